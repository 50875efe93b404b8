import type { Route } from '../app/route.ts';
import { Page } from '../parts/page.tsx';

export function Audit(_: { readonly route: Route }) {
  return <Page title="Audit">…</Page>;
}
