import type { Route } from '../app/route.ts';
import { Page } from '../parts/page.tsx';

export function Claim(_: { readonly route: Route }) {
  return <Page title="Claim">…</Page>;
}
