import { passwords } from '../access/password.ts';
import type { Actor } from '../operations/contract/operation.ts';
import type { Registry } from '../registry/registry.ts';
import { confirmByPasskey, confirmByPassword } from './confirm.ts';
import {
  addAccount,
  beginAccount,
  confirmByAccount,
  listAccounts,
  removeAccount,
  signInByAccount,
} from './elsewhere.ts';
import { guard } from './guard.ts';
import type { AccountOperation, Signing } from './operation.ts';
import {
  addPasskey,
  beginPasskey,
  changePassword,
  countRecoveryCodes,
  endOwnSessions,
  listPasskeys,
  makeRecoveryCodes,
  removePasskey,
  showMe,
  showSeen,
} from './own.ts';
import { findPasskey, setUp, signIn, signInByPasskey } from './sign-in.ts';

/** By name. */
export const ACCOUNT_OPERATIONS: ReadonlyMap<string, AccountOperation<unknown>> = new Map(
  [
    signIn,
    setUp,
    findPasskey,
    signInByPasskey,
    confirmByPassword,
    confirmByPasskey,
    showMe,
    showSeen,
    changePassword,
    endOwnSessions,
    listPasskeys,
    beginPasskey,
    addPasskey,
    removePasskey,
    makeRecoveryCodes,
    countRecoveryCodes,
    signInByAccount,
    confirmByAccount,
    beginAccount,
    addAccount,
    listAccounts,
    removeAccount,
  ].map((each) => [each.name, each]),
);

/** Signing in at one fabric. */
export interface Account {
  /**
   * Runs the operation of this name; undefined if there is none.
   * @throws Failure `access.forbidden`, `access.fresh-sign-in`, `fabric.bad-input`, and those of the operation
   */
  perform(name: string, actor: Actor, input: unknown): Promise<{ readonly view: unknown } | undefined>;
}

export function account(registry: Registry, now: () => number = Date.now): Account {
  const on: Signing = { registry, passwords: passwords(), guard: guard(now), now };
  return {
    async perform(name, actor, input) {
      const operation = ACCOUNT_OPERATIONS.get(name);
      return operation === undefined ? undefined : { view: await operation.run(on, actor, input) };
    },
  };
}
