import type { OpenId } from '../../../fabric/access/openid.ts';
import type { Role } from '../../../fabric/access/roles.ts';
import { invitePerson } from '../../../fabric/operations/people/people.ts';
import { opened, registryFile } from '../place.ts';
import { served, traveller } from './console.ts';
import { CLIENT, issuer } from './issuer.ts';

export const PASSWORD = 'correct horse battery';
export const ANNA = { sub: 'u-1', email: 'Anna@example.org', email_verified: true, name: 'Anna' };

/** A console whose people sign in at an issuer; both are in this process, with one clock. */
export async function place(settings: Partial<OpenId> = {}) {
  const time = { now: Date.now() };
  const now = (): number => time.now;
  const at = await issuer(now);
  at.claims = ANNA;
  const registry = opened(registryFile(), { now });
  const log: string[] = [];
  const openid: OpenId = {
    ...{ issuer: new URL(at.url), clientId: CLIENT.id, secret: CLIENT.secret, name: 'Example' },
    ...{ claim: 'email', domains: [], role: 'auditor', ...settings },
  };
  // Browsers in these tests name the port that the console really has, whatever its origin is.
  const origin = 'http://localhost:8480';
  const api = await served(registry, { now, openid, origin, log: (_level, line) => log.push(line) });
  const on = {
    ...{ registry, actor: 'alice', now },
    running: { notify: async () => 'in force', presence: async () => undefined },
  };
  const invite = (login?: string, role: Role = 'operator') => invitePerson.run(on, { role, hours: 1, login });
  return { at, registry, api, time, log, on, invite, browser: () => traveller(api) };
}

/** Where a browser comes back to that is not let in. */
export const problem = (code: string): string => `/#/?problem=${code}`;
