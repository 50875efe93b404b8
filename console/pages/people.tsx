import type { Route } from '../app/route.ts';
import { Page } from '../parts/page.tsx';

export function People(_: { readonly route: Route }) {
  return <Page title="People">…</Page>;
}
