import type { Route } from '../app/route.ts';
import { Page } from '../parts/page.tsx';

export function You(_: { readonly route: Route }) {
  return <Page title="You">…</Page>;
}
