import { actFor } from '../api/http.ts';

/** Which owner this window is for, where who has signed in may act for several. It is each window's own, and forgotten with it. */
const KEY = 'enf-owner';

/** The owner that was chosen in this window; undefined: the first one, or all for who runs the fabric. */
export const chosenOwner = (): string | undefined => sessionStorage.getItem(KEY) ?? undefined;

/** Everything is asked for this owner from now on. */
export function keepOwner(name: string | undefined): void {
  if (name === undefined) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, name);
  actFor(name);
}

actFor(chosenOwner());
