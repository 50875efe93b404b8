import { signal } from '@preact/signals';
import { whenNotFresh } from '../api/http.ts';

/** Called with whether the person has shown that it is there; undefined: nobody asks for that. */
export const confirming = signal<((done: boolean) => void) | undefined>(undefined);

let pending: Promise<boolean> | undefined;

/** What several requests ask for at once is asked once. */
function ask(): Promise<boolean> {
  pending ??= new Promise<boolean>((resolve) => {
    confirming.value = resolve;
  }).finally(() => {
    pending = undefined;
    confirming.value = undefined;
  });
  return pending;
}

whenNotFresh(ask);
