import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import type { Duty } from '../../../../fabric/registry/nodes.ts';
import { openServerRegistry } from '../../../../fabric/registry/postgres/registry.ts';
import {
  grantsScript,
  ROLES,
  type Role,
  type RoleNames,
} from '../../../../fabric/registry/postgres/schema/grants.ts';
import type { RegistryOptions } from '../../../../fabric/registry/registry.ts';
import { isFailure } from '../../../../protocol/failure.ts';
import { scratch, type WholeRegistry, wholeOf } from '../../place.ts';
import { onOneClock } from './registries.ts';
import type { Server } from './server.ts';

/** A registry as nodes of separate duties have it, each with a user of the database that may do no more than that. */

export const NAMES = { identity: 'enf_identity', router: 'enf_router', console: 'enf_console' } as const;

export const DUTY: Readonly<Record<Role, Duty>> = {
  identity: 'identity',
  router: 'tunnels',
  console: 'console',
};

export const grant = (server: Server, database: string, names: RoleNames = NAMES): string =>
  server.sql(database, grantsScript(names));

/** Makes the roles, and gives them what they may do in this database, and in all that become copies of it. */
export function giveRoles(server: Server, database: string): void {
  server.sql('postgres', ROLES.map((role) => `CREATE ROLE ${NAMES[role]} LOGIN`).join(';'));
  grant(server, database);
}

export const urlOf = (server: Server, database: string, role: Role): string =>
  server.url(database).replace('enf@', `${NAMES[role]}@`);

export function openAs(
  server: Server,
  database: string,
  role: Role,
  options: RegistryOptions = {},
): WholeRegistry {
  const file = join(scratch(), 'registry.url');
  const registry = wholeOf(
    openServerRegistry([urlOf(server, database, role)], file, {
      ...onOneClock(options),
      serves: [DUTY[role]],
    }),
  );
  onTestFinished(() => registry.close());
  return registry;
}

/** What an identity server asks of the registry, and what a router does; everything else is the console's. */
const IDENTITY = ['admit', 'onAdmitted', 'refused', 'entitled', 'issue', 'issuers', 'enrolling'] as const;
const ROUTER = [
  ...['attach', 'connected', 'disconnected', 'detached', 'reported', 'isConnected'],
  ...['clones', 'decommission', 'delegate', 'hasNetwork', 'excluded', 'onChange'],
  ...['hasAnchors', 'listedAddress', 'vouchers', 'vouches', 'admitVouched'],
  ...['join', 'beat', 'leave', 'newsSince', 'onNews'],
] as const;

const picked = (registry: WholeRegistry, names: readonly string[]): Partial<WholeRegistry> =>
  Object.fromEntries(
    names.filter((name) => name in registry).map((name) => [name, registry[name as keyof WholeRegistry]]),
  );

/** One registry of which each part is that of a node of its duty. */
export function byDuty(server: Server, database: string, options: RegistryOptions = {}): WholeRegistry {
  // What is written by and by has no caller that a refusal would reach.
  const errors: unknown[] = [];
  const noting = { ...options, onError: (error: unknown) => void (isFailure(error) && errors.push(error)) };
  onTestFinished(() => expect(errors).toEqual([]));
  const [identity, router, console] = [
    openAs(server, database, 'identity', noting),
    openAs(server, database, 'router', noting),
    openAs(server, database, 'console', noting),
  ];
  const all = { ...console, ...picked(identity, IDENTITY), ...picked(router, ROUTER) };
  /** What somebody has chosen counts at each node within a second (registry/sweeping.ts); here at once. */
  const choosing = <O extends Pick<WholeRegistry, 'setPrivacy'>>(own: O): O => ({
    ...own,
    async setPrivacy(actor, change) {
      await own.setPrivacy(actor, change);
      for (const each of [identity, router]) each.privacyChoices();
    },
  });
  return {
    ...choosing(all),
    of: (scope) => choosing(console.of(scope)),
    privacyChoices() {
      for (const each of [identity, router]) each.privacyChoices();
      return console.privacyChoices();
    },
    async openGroup(gid) {
      await identity.catchUp();
      return identity.openGroup(gid);
    },
    async follow(periodMs) {
      const stops = [await router.follow(periodMs), await console.follow(periodMs)];
      return () => {
        for (const stop of stops) stop();
      };
    },
    // Waits for what each of them writes by and by.
    async refused(handshake, unlisted) {
      await router.delegate(new Uint8Array(16));
      await identity.refused(handshake, unlisted);
      await console.catchUp();
      await identity.catchUp();
    },
    async admit(applicant) {
      await identity.catchUp();
      return identity.admit(applicant);
    },
    async close() {
      await Promise.all([identity.close(), router.close(), console.close()]);
    },
  };
}
