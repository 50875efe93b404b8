import { effect, signal } from '@preact/signals';
import { whenNotFresh } from '../api/http.ts';
import { me } from './session.ts';

/** Called with whether the person has shown that it is there; undefined: nobody asks for that. */
export const confirming = signal<((done: boolean) => void) | undefined>(undefined);

let pending: Promise<boolean> | undefined;

/** What several requests ask for at once is asked once; of whoever is signed out, nothing. */
function ask(): Promise<boolean> {
  if (!me.peek()) return Promise.resolve(false);
  pending ??= new Promise<boolean>((resolve) => {
    confirming.value = resolve;
  }).finally(() => {
    pending = undefined;
    confirming.value = undefined;
  });
  return pending;
}

whenNotFresh(ask);
// The question was for the person that was there.
effect(() => {
  if (!me.value) confirming.peek()?.(false);
});
