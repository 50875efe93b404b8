import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TSchema } from 'typebox';
import { expect } from 'vitest';
import { ACCOUNT_ROUTES } from '../../../../fabric/api/account-table.ts';
import { ROUTES } from '../../../../fabric/api/routes.ts';
import { type Api, startApi } from '../../../../fabric/api/server.ts';
import { emptyRegistry, openRegistry } from '../../../../fabric/open-registry.ts';
import type { InputOf, OperationName, ViewOf } from '../../../../fabric/operations/all.ts';
import { requestFor } from '../../../../fabric/operations/contract/request.ts';
import { createToken } from '../../../../fabric/operations/people/tokens.ts';
import { foundAuthority } from '../../../../fabric/pki/found.ts';
import { openAuthority } from '../../../../fabric/pki/keeper.ts';
import type { City } from '../../../../fabric/registry/records.ts';
import { formatIpv6 } from '../../../../protocol/ipv6.ts';
import type { WholeRegistry as Registry } from '../../place.ts';
import { wholeOf } from '../../place.ts';
import { differs, pathsIn, sentAs } from '../../strict.ts';
import { fabricOf } from '../console.ts';

export const folder = mkdtempSync(join(tmpdir(), 'enf-answers-'));
export const data = join(folder, 'fabric');
export const NETWORK = 'fd00:1:2:3::/64';
export const PASSWORD = 'correct horse battery';
export const described = new Map<string, TSchema>(
  [...ROUTES, ...ACCOUNT_ROUTES].map(({ name, answer }) => [name, answer]),
);
/** Names of what was answered, and the paths of the fields that had a value. */
export const seen = { requests: new Set<string>(), paths: new Set<string>() };

/** Fields that are null as long as something is new, and rows of which only a request has some. */
export const NEVER = [
  'events',
  'owner-member.removed',
  'person-role.removed',
  'token-create.revoked',
  'token-create.used',
];

export let registry: Registry;
export let api: Api;
export let token: string;
let online: string | undefined;
/** The device with this address has a tunnel. */
export const setOnline = (address: string): void => {
  online = address;
};

/** A fabric and its API, and a token of its host. */
export async function open(): Promise<void> {
  await foundAuthority(data, 'test');
  writeFileSync(join(folder, 'registry.db'), emptyRegistry('test'));
  registry = wholeOf(
    await openRegistry(join(folder, 'registry.db'), {
      locate: () => 'CH',
      cityOf: (source) => CITIES[source],
    }),
  );
  const keys = await openAuthority(data);
  const running = {
    presence: async () => (address: Uint8Array) => ({
      online: formatIpv6(address) === online,
      ...(formatIpv6(address) === online && { silentSince: 1_767_323_045_678 }),
    }),
    learned: async () => ({ newest: 1, older: 0, c: 0 }),
    ruleCounts: async () => new Map([[1, { packets: 3, bytes: 180 }]]),
    limited: async () => 7,
  };
  api = await startApi({
    listen: { host: '127.0.0.1', port: 0 },
    ...fabricOf(registry, Date.now, async () => keys, running),
    version: '1.2.3',
    log: () => {},
  });
  const on = { registry, running: { notify: async () => '', ...running }, actor: 'alice', now: Date.now };
  token = (await createToken.run(on, { name: 'story', role: 'host', days: 1 })).token;
}

export async function close(): Promise<void> {
  await api.close();
  await registry.close();
  rmSync(folder, { recursive: true });
}

/** Compares an answer with its schema, and remembers what was in it. */
export function look(name: string, answer: unknown): void {
  expect(differs(described.get(name), answer), name).toBeUndefined();
  seen.requests.add(name);
  for (const path of pathsIn(described.get(name)!, sentAs(answer), name)) seen.paths.add(path);
}

/** Runs an operation at its route. */
export async function run<Name extends OperationName>(
  name: Name,
  input: InputOf<Name>,
): Promise<ViewOf<Name>> {
  const route = ROUTES.find((each) => each.name === name)!;
  const { path, body } = requestFor(route, input);
  const response = await fetch(`http://127.0.0.1:${api.port}/api/v1${path}`, {
    method: route.method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const answer = (await response.json()) as ViewOf<Name>;
  expect([name, response.status, response.status === 200 ? '' : answer]).toEqual([name, 200, '']);
  look(name, answer);
  return answer;
}

/** One with a name, and one of which only the region is known. */
export const AROUND = { latitude: 47.5, longitude: 8.72, radiusKm: 20 };
export const CITIES: Readonly<Record<string, City>> = {
  '130.59.1.1': { country: 'CH', region: 'Zurich', city: 'Winterthur', point: AROUND },
  '130.59.1.2': { country: 'CH', region: 'Zurich', point: AROUND },
  '130.59.1.3': { country: 'CH', city: 'Winterthur', point: AROUND },
};

export const PAGE = { limit: 50 };
export const PEER = { source: '130.59.1.1', country: 'CH' };
