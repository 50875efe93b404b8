import type { Route } from '../app/route.ts';
import { Page } from '../parts/page.tsx';

export function Overview(_: { readonly route: Route }) {
  return <Page title="Overview">…</Page>;
}
