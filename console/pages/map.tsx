import type { Route } from '../app/route.ts';
import { Page } from '../parts/page.tsx';

export function MapPage(_: { readonly route: Route }) {
  return <Page title="MapPage">…</Page>;
}
