import { signal } from '@preact/signals';
import { parseRoute } from './address.ts';

/** Where the console is now. */
export const route = signal(parseRoute(location.hash));
addEventListener('hashchange', () => {
  route.value = parseRoute(location.hash);
});

export function go(href: string): void {
  location.hash = href;
}
