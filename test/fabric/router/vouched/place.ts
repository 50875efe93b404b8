/** Machines with certificates of their owners' CAs at a router: a fabric for each test, and who comes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { EVERYTHING } from '../../../../fabric/access/scope.ts';
import type { Context } from '../../../../fabric/operations/contract/operation.ts';
import { addAnchor } from '../../../../fabric/operations/pki/cas.ts';
import type { Registry } from '../../../../fabric/registry/registry.ts';
import { emptySqliteRegistry, openSqliteRegistry } from '../../../../fabric/registry/sqlite/open.ts';
import type { Router } from '../../../../fabric/router/router.ts';
import { encodeBase64 } from '../../../../protocol/identity/base64.ts';
import { revocationListIn } from '../../../../protocol/identity/revocation-list.ts';
import { parseRoots } from '../../../../protocol/identity/roots.ts';
import { parsePrefix } from '../../../../protocol/ipv6.ts';
import { type CaFolder, caFolder, type KeyKind, type MadeCertificate } from '../../openssl-ca.ts';
import { connect, makeDevice, OURS, type Peer, testRouter, until } from '../fixture.ts';

export const NETWORK = 'fd00:1::/64';
export const A = 'fd00:1::a:0:0:1';
export const B = 'fd00:1::a:0:0:2';

export let files: CaFolder;
export let root: MadeCertificate;
export let intermediate: MadeCertificate;
export let stranger: MadeCertificate;

beforeAll(() => {
  files = caFolder();
  root = files.ca({ subject: '/CN=Plant root' });
  intermediate = files.ca({ subject: '/CN=Plant issuing', by: root });
  stranger = files.ca({ subject: '/CN=Plant root' });
}, 60_000);
afterAll(() => files.remove());

let folder: string;
export let registry: Registry;
export let router: Router;
export let lines: string[];
export let context: Context;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'enf-vouched-'));
  lines = [];
  const path = join(folder, 'registry.db');
  writeFileSync(path, emptySqliteRegistry('test', Date.now()));
  registry = openSqliteRegistry(path);
  const own = registry.of(EVERYTHING);
  await own.addNetwork('test', parsePrefix(NETWORK), 'plant');
  router = await testRouter(registry, { lines });
  context = { ...contextOf(own), whole: registry };
});
afterEach(async () => {
  await router.close();
  await registry.close();
  rmSync(folder, { recursive: true });
});

export const contextOf = (own: Context['registry']): Context => ({
  registry: own,
  actor: 'test',
  now: Date.now,
  running: {
    presence: async () => undefined,
    notify: async () => {
      await registry.catchUp();
      await router.settled();
      return 'in force';
    },
  },
});

export const derOf = ({ pem }: MadeCertificate): Uint8Array =>
  parseRoots(new TextEncoder().encode(pem), 'test').certificates[0]!;

export async function addCa(
  ca: MadeCertificate | readonly MadeCertificate[] = root,
  admits: 'listed' | 'anybody' = 'anybody',
  on = context,
  networks = [NETWORK],
): Promise<number> {
  const certificates = [ca].flat().map((each) => encodeBase64(derOf(each)));
  const added = await addAnchor.run(on, { name: 'plant CA', certificates, networks, admits });
  return added.view.id;
}

export const leafOf = (
  by: MadeCertificate,
  addresses: readonly string[] = [A],
  more: { key?: KeyKind; seconds?: number; serial?: string; usage?: string } = {},
) => files.leaf({ subject: '/CN=pump', by, addresses, ...more });

/** Connects as the machine does that shows these certificates. */
export async function come(leaf: MadeCertificate, ...chain: readonly MadeCertificate[]): Promise<Peer> {
  const certificate = [leaf, ...chain].map(({ pem }) => pem).join('');
  return connect(router, { ...(await makeDevice(A)), certificate, key: leaf.key }, OURS);
}

export const isIn = (address = A): boolean => router.sessions().some((each) => each.address === address);

export async function comesIn(leaf: MadeCertificate, ...chain: readonly MadeCertificate[]): Promise<Peer> {
  const before = router.sessions().find((each) => each.address === A)?.from;
  const peer = await come(leaf, ...chain);
  await until(() => router.sessions().some((each) => each.from !== before));
  return peer;
}

export async function isRefused(leaf: MadeCertificate, ...chain: readonly MadeCertificate[]): Promise<void> {
  const peer = await come(leaf, ...chain);
  expect((await peer.ending).verdict).toEqual({ kind: 'unknown' });
  expect(router.sessions()).toEqual([]);
}

/** A list that has the certificate with the number 4711. */
export const crlOf = (by: MadeCertificate): string =>
  encodeBase64(revocationListIn(new TextEncoder().encode(files.crl(by, ['4711'])))!);
