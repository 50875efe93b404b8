import { computed, signal } from '@preact/signals';
import type { Permission } from '../../fabric/access/roles.ts';
import { account, type Me } from '../api/account.ts';
import { whenSignedOut } from '../api/http.ts';
import { Problem } from '../api/problem.ts';
import { chosenOwner, keepOwner } from './owner.ts';

/** Who has signed in; null: nobody; undefined: that is not known yet. */
export const me = signal<Me | null | undefined>(undefined);
/** Why nobody has: shown at the sign-in page. */
export const signedOutBecause = signal<string | undefined>(undefined);

/** Kept from when somebody comes in to when it goes: who finds no session at another visit did not sign out by itself. */
const SIGNED_IN = 'enf-signed-in';
const SIGNED_OUT = 'You were signed out: the session has ended, or your access was changed.';

function remember(who: Me): Me {
  localStorage.setItem(SIGNED_IN, '1');
  return who;
}

const permissions = computed(() => new Set(me.value?.permissions ?? []));

/** May who has signed in do this? The fabric decides; the console only shows what would be refused less. */
export const may = (permission: Permission): boolean => permissions.value.has(permission);

/** Looks whether this browser has a session. */
export async function resume(): Promise<void> {
  try {
    me.value = remember(
      await account.me().catch((error: unknown) => {
        // The owner that was chosen in this window is none of its any more.
        if (!(error instanceof Problem) || error.code !== 'fabric.unknown-owner') throw error;
        keepOwner(undefined);
        return account.me();
      }),
    );
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'access.not-signed-in')
      signedOutBecause.value = (error as Error).message;
    else if (localStorage.getItem(SIGNED_IN) !== null) {
      signedOutBecause.value = SIGNED_OUT;
      localStorage.removeItem(SIGNED_IN);
    }
    me.value = null;
  }
}

export function entered(who: Me): void {
  // What it is told is so for its first owner.
  keepOwner(undefined);
  signedOutBecause.value = undefined;
  me.value = remember(who);
}

/** Shows what is of another owner, or of all. @throws Problem */
export async function chooseOwner(name: string | undefined): Promise<void> {
  const former = chosenOwner();
  keepOwner(name);
  try {
    me.value = await account.me();
  } catch (error) {
    keepOwner(former);
    throw error;
  }
}

export async function leave(): Promise<void> {
  await account.signOut();
  localStorage.removeItem(SIGNED_IN);
  keepOwner(undefined);
  signedOutBecause.value = undefined;
  me.value = null;
}

whenSignedOut(() => {
  if (me.value) {
    signedOutBecause.value = SIGNED_OUT;
    localStorage.removeItem(SIGNED_IN);
  }
  me.value = null;
});
