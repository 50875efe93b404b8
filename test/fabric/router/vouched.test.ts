/** Machines with certificates of their owners' CAs: the ten cases of the design, and a CA of another owner. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readCertificate } from '../../../crypto/certificates.ts';
import { EVERYTHING, scopeOf } from '../../../fabric/access/scope.ts';
import type { Context } from '../../../fabric/operations/contract/operation.ts';
import { setStanding } from '../../../fabric/operations/devices.ts';
import { replaceDevice } from '../../../fabric/operations/endings.ts';
import {
  addAnchor,
  importListed,
  removeAnchor,
  revokeCertificate,
  takeCrl,
} from '../../../fabric/operations/pki/cas.ts';
import type { Registry } from '../../../fabric/registry/registry.ts';
import { emptySqliteRegistry, openSqliteRegistry } from '../../../fabric/registry/sqlite/open.ts';
import type { Router } from '../../../fabric/router/router.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { encodeBase64 } from '../../../protocol/identity/base64.ts';
import { revocationListIn } from '../../../protocol/identity/revocation-list.ts';
import { parseRoots } from '../../../protocol/identity/roots.ts';
import { parseIpv6, parsePrefix } from '../../../protocol/ipv6.ts';
import { type CaFolder, caFolder, type KeyKind, type MadeCertificate } from '../openssl-ca.ts';
import { udp } from '../packets.ts';
import { connect, makeDevice, OURS, type Peer, testRouter, until } from './fixture.ts';

const NETWORK = 'fd00:1::/64';
const A = 'fd00:1::a:0:0:1';
const B = 'fd00:1::a:0:0:2';

let files: CaFolder;
let root: MadeCertificate;
let intermediate: MadeCertificate;
let stranger: MadeCertificate;

beforeAll(() => {
  files = caFolder();
  root = files.ca({ subject: '/CN=Plant root' });
  intermediate = files.ca({ subject: '/CN=Plant issuing', by: root });
  stranger = files.ca({ subject: '/CN=Plant root' });
}, 60_000);
afterAll(() => files.remove());

let folder: string;
let registry: Registry;
let router: Router;
let lines: string[];
let context: Context;

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

const contextOf = (own: Context['registry']): Context => ({
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

const derOf = ({ pem }: MadeCertificate): Uint8Array =>
  parseRoots(new TextEncoder().encode(pem), 'test').certificates[0]!;

async function addCa(
  ca: MadeCertificate | readonly MadeCertificate[] = root,
  admits: 'listed' | 'anybody' = 'anybody',
  on = context,
  networks = [NETWORK],
): Promise<number> {
  const certificates = [ca].flat().map((each) => encodeBase64(derOf(each)));
  const added = await addAnchor.run(on, { name: 'plant CA', certificates, networks, admits });
  return added.view.id;
}

const leafOf = (
  by: MadeCertificate,
  addresses: readonly string[] = [A],
  more: { key?: KeyKind; seconds?: number; serial?: string; usage?: string } = {},
) => files.leaf({ subject: '/CN=pump', by, addresses, ...more });

/** Connects as the machine does that shows these certificates. */
async function come(leaf: MadeCertificate, ...chain: readonly MadeCertificate[]): Promise<Peer> {
  const certificate = [leaf, ...chain].map(({ pem }) => pem).join('');
  return connect(router, { ...(await makeDevice(A)), certificate, key: leaf.key }, OURS);
}

const isIn = (address = A): boolean => router.sessions().some((each) => each.address === address);

async function comesIn(leaf: MadeCertificate, ...chain: readonly MadeCertificate[]): Promise<Peer> {
  const before = router.sessions().find((each) => each.address === A)?.from;
  const peer = await come(leaf, ...chain);
  await until(() => router.sessions().some((each) => each.from !== before));
  return peer;
}

async function isRefused(leaf: MadeCertificate, ...chain: readonly MadeCertificate[]): Promise<void> {
  const peer = await come(leaf, ...chain);
  expect((await peer.ending).verdict).toEqual({ kind: 'unknown' });
  expect(router.sessions()).toEqual([]);
}

describe('a machine with a certificate of its owner’s CA', () => {
  it.each(['p256', 'p384', 'ed25519', 'rsa2048'] as const)(
    'has its address with a key of %s',
    async (key) => {
      await addCa();
      await comesIn(leafOf(root, [A], { key }));
      expect(isIn()).toBe(true);
      const device = await registry.of(EVERYTHING).device(parseIpv6(A));
      expect(device).toMatchObject({ kind: 'pki', groupName: 'plant CA', standing: 'active' });
    },
  );

  it('is not taken by a network that wants keys in chips, but for one that is in with the same certificate', async () => {
    await addCa();
    const known = leafOf(root);
    const leaves = async (): Promise<void> => {
      (await comesIn(known)).close();
      await until(() => !isIn());
    };
    await leaves();
    const take = (residentOnly: boolean) =>
      registry.of(EVERYTHING).setResidentOnly('test', parsePrefix(NETWORK), residentOnly);
    await take(true);
    await leaves();
    await isRefused(leafOf(root));
    await isRefused(leafOf(root, [B]));
    expect(lines.join('\n')).toContain('takes only devices whose chips keep their keys');
    await take(false);
    await comesIn(leafOf(root));
  });

  it('comes by an intermediate that it shows, and again by one that is remembered', async () => {
    await addCa();
    (await comesIn(leafOf(intermediate), intermediate)).close();
    await until(() => !isIn());
    await comesIn(leafOf(intermediate), intermediate);
    expect(isIn()).toBe(true);
  });

  it('comes by an intermediate that was added with its CA', async () => {
    await addCa([root, intermediate]);
    await comesIn(leafOf(intermediate));
    expect(isIn()).toBe(true);
  });

  it('exchanges packets with another one', async () => {
    await addCa();
    const one = await comesIn(leafOf(root));
    const other = await come(leafOf(root, [B]));
    await until(() => isIn(B));
    one.send(udp(parseIpv6(A), parseIpv6(B), 100));
    await until(() => other.received.length > 0);
    one.send(udp(parseIpv6(B), parseIpv6(A), 100));
    await until(() => router.counters().drops.spoofed > 0);
  });

  it.each([
    ['says what its key is for', ['keyUsage=critical,keyCertSign,cRLSign'], 'p384'],
    ['does not say that, as real ones do not', [], 'rsa2048'],
  ] as const)('comes by a root that %s', async (_what, extensions, key) => {
    const own = files.ca({ subject: '/CN=Own root', extensions, key });
    await addCa(own);
    await comesIn(leafOf(own));
    expect(isIn()).toBe(true);
  });

  it('may name its address as enftun does', async () => {
    await addCa();
    await comesIn(files.leaf({ subject: `/CN=${A}`, by: root, addresses: [] }));
    expect(isIn()).toBe(true);
  });
});

describe('is refused', () => {
  it('while no owner has a CA', async () => {
    await isRefused(leafOf(root, [A], { key: 'rsa2048' }));
    await isRefused(leafOf(root));
  });
  it.each(['p521', 'rsa1024'] as const)('with a key of %s', async (key) => {
    await addCa();
    const peer = await come(leafOf(root, [A], { key }));
    // One that the router does not ask for the client does not show; one that is too weak ends the handshake.
    expect([undefined, 'unknown']).toContain((await peer.ending).verdict?.kind);
    expect(router.sessions()).toEqual([]);
  });
  it('by a CA of the same name', async () => {
    await addCa();
    await isRefused(leafOf(stranger));
    expect(lines.join()).toContain('issuer');
  });
  it('without the intermediate', async () => {
    await addCa();
    await isRefused(leafOf(intermediate));
  });
  it('with two addresses, or none', async () => {
    await addCa();
    await isRefused(leafOf(root, [A, B]));
    await isRefused(leafOf(root, []));
  });
  it('with an address in another network, or of the fabric itself', async () => {
    await addCa();
    await isRefused(leafOf(root, ['fd00:2::a:0:0:1']));
    await isRefused(leafOf(root, ['fd00:1::1']));
  });
  it('by more CAs below the one that was added than a chain may have', async () => {
    const chain = [intermediate];
    for (const subject of ['/CN=2', '/CN=3', '/CN=4', '/CN=5'])
      chain.unshift(files.ca({ subject, by: chain[0]! }));
    await addCa([root, ...chain]);
    await isRefused(leafOf(chain[0]!));
    (await comesIn(leafOf(chain[1]!))).close();
  });
  it('once it has expired', async () => {
    await addCa();
    await isRefused(leafOf(root, [A], { seconds: -60 }));
  });
  it('with a certificate for servers', async () => {
    await addCa();
    await isRefused(leafOf(root, [A], { usage: 'serverAuth' }));
  });
  it('beyond the names that its root allows, also by an intermediate that is remembered', async () => {
    const narrow = files.ca({
      subject: '/CN=Narrow',
      extensions: ['nameConstraints=critical,permitted;IP:fd00:1:0:0:a::/ffff:ffff:ffff:ffff:ffff:0:0:0'],
    });
    const below = files.ca({ subject: '/CN=Below', by: narrow });
    await addCa(narrow);
    (await comesIn(leafOf(below, ['fd00:1::a:0:0:1']), below)).close();
    await until(() => router.sessions().length === 0);
    await isRefused(leafOf(below, ['fd00:1::b:0:0:1']), below);
  });
  it('with the address of a device that has a TPM', async () => {
    await addCa();
    const own = registry.of(EVERYTHING);
    await own.addGroup('test', {
      gid: new Uint8Array(32).fill(7),
      gpk: new Uint8Array(258),
      basename: new Uint8Array(1),
      name: 'batch',
      network: parsePrefix(NETWORK),
    });
    const device = await makeDevice(A);
    const address = await registry.admit({
      gid: new Uint8Array(32).fill(7),
      pseudonym: new Uint8Array(65).fill(4),
      longtermKey: device.publicKey,
      requested: new Uint8Array(16),
      source: '192.0.2.1',
      suite: 1,
    } as never);
    const { formatIpv6 } = await import('../../../protocol/ipv6.ts');
    await isRefused(leafOf(root, [formatIpv6(address)]));
  });
});

describe('devices that are listed', () => {
  it('come in, and no others', async () => {
    const id = await addCa(root, 'listed');
    const leaf = leafOf(root);
    await isRefused(leaf);
    await importListed.run(context, {
      id,
      devices: [{ address: A, serial: toHex(readCertificate(derOf(leaf))!.serial) }],
    });
    await isRefused(leafOf(root, [A], { serial: '77' }));
    await comesIn(leaf);
  });
  it('have the address of the list if their certificate names none', async () => {
    const id = await addCa(root, 'listed');
    const leaf = leafOf(root, []);
    const spki = toHex(readCertificate(derOf(leaf))!.spki);
    await importListed.run(context, { id, devices: [{ address: A, subject: 'CN=pump', spki }] });
    await comesIn(leaf);
    expect(isIn()).toBe(true);
  });
  it('are in networks of the CA only', async () => {
    const id = await addCa(root, 'listed');
    const run = importListed.run(context, { id, devices: [{ address: 'fd00:2::5:0:0:1' }] });
    await expect(run).rejects.toSatisfy((error) => isFailure(error, 'pki.bad-mapping'));
  });
});

describe('another owner', () => {
  it('vouches for no address of this one, and takes none of its machines', async () => {
    const other = await registry.addOwner('test', 'other');
    await registry.lendPrefix('test', other.name, parsePrefix('fd00:2::/64'));
    const scope = scopeOf(other.id, false);
    const theirs = contextOf(registry.of(scope));
    await theirs.registry.addNetwork('test', parsePrefix('fd00:2::/64'), 'theirs');
    const foreign = files.ca({ subject: '/CN=Foreign' });
    await addCa(foreign, 'anybody', theirs, ['fd00:2::/64']);
    const mine = await addCa();
    await isRefused(leafOf(foreign));
    await expect(addCa(foreign, 'anybody', theirs)).rejects.toSatisfy((error) =>
      isFailure(error, 'fabric.unknown-network'),
    );
    // Whoever lists a machine of others with its own address: two disagree, and it gets neither.
    const same = await addCa(root, 'listed', theirs, ['fd00:2::/64']);
    const leaf = leafOf(root, []);
    const spki = toHex(readCertificate(derOf(leaf))!.spki);
    await importListed.run(context, { id: mine, devices: [{ address: A, spki }] });
    await importListed.run(theirs, { id: same, devices: [{ address: 'fd00:2::a:0:0:9', spki }] });
    await isRefused(leaf);
    // One that has been in stays so, whoever lists it later.
    const pump = leafOf(root, []);
    const key = toHex(readCertificate(derOf(pump))!.spki);
    await importListed.run(context, { id: mine, devices: [{ address: A, spki: key }] });
    const peer = await comesIn(pump);
    peer.close();
    await importListed.run(theirs, { id: same, devices: [{ address: 'fd00:2::a:0:0:8', spki: key }] });
    await comesIn(pump);
    // What is of the other owner is as if it were not there.
    for (const run of [
      removeAnchor.run(theirs, { id: mine }),
      revokeCertificate.run(theirs, { id: mine, serial: '1', reason: 'x' }),
      importListed.run(theirs, { id: mine, devices: [] }),
    ])
      await expect(run).rejects.toSatisfy((error) => isFailure(error, 'pki.unknown-ca'));
    expect((await theirs.registry.anchors()).map(({ name, id }) => [name, id])).not.toContainEqual([
      'plant CA',
      mine,
    ]);
  });
});

/** A list that has the certificate with the number 4711. */
const crlOf = (by: MadeCertificate): string =>
  encodeBase64(revocationListIn(new TextEncoder().encode(files.crl(by, ['4711'])))!);

describe('a live session is cut', () => {
  it('when its certificate is revoked by its serial number', async () => {
    const id = await addCa();
    const leaf = leafOf(root);
    const peer = await comesIn(leaf);
    const serial = toHex(readCertificate(derOf(leaf))!.serial);
    const { view } = await revokeCertificate.run(context, { id, serial, reason: 'stolen' });
    expect(view.changed).toBe(true);
    expect((await peer.ending).verdict).toEqual({ kind: 'unknown' });
    await isRefused(leaf);
    expect((await revokeCertificate.run(context, { id, serial, reason: 'stolen' })).view.changed).toBe(false);
  });
  it('when a list of its issuer has it, and by an older list no more', async () => {
    const id = await addCa([root, intermediate]);
    const leaf = leafOf(intermediate, [A], { serial: '4711' });
    const peer = await comesIn(leaf);
    // Of another issuer it is another certificate that has this number.
    expect((await takeCrl.run(context, { id, crl: crlOf(root) })).view.changed).toBe(true);
    expect(isIn()).toBe(true);
    const crl = crlOf(intermediate);
    expect((await takeCrl.run(context, { id, crl })).view.changed).toBe(true);
    expect((await peer.ending).verdict).toEqual({ kind: 'unknown' });
    await isRefused(leaf);
    expect((await takeCrl.run(context, { id, crl })).view.changed).toBe(false);
    await expect(takeCrl.run(context, { id, crl: crlOf(stranger) })).rejects.toSatisfy((error) =>
      isFailure(error, 'pki.bad-crl'),
    );
    await expect(takeCrl.run(context, { id, crl: 'MAA=' })).rejects.toSatisfy((error) =>
      isFailure(error, 'pki.bad-crl'),
    );
  });
  it('by the list of its own CA alone, where an owner has two of which one has a list', async () => {
    const second = files.ca({ subject: '/CN=Second root', key: 'ed25519' });
    const id = await addCa();
    await addCa(second);
    const peer = await comesIn(leafOf(root, [A], { serial: '4711' }));
    const leaf = leafOf(second, [B], { serial: '4711' });
    const other = await come(leaf);
    await until(() => isIn(B));
    await takeCrl.run(context, { id, crl: crlOf(root) });
    expect((await peer.ending).verdict).toEqual({ kind: 'unknown' });
    expect(isIn(B)).toBe(true);
    other.close();
    await until(() => !isIn(B));
    await come(leaf);
    await until(() => isIn(B));
  });
  it('when the certificate of its intermediate is revoked, which was remembered', async () => {
    const id = await addCa();
    (await comesIn(leafOf(intermediate), intermediate)).close();
    await until(() => !isIn());
    const peer = await comesIn(leafOf(intermediate), intermediate);
    const serial = toHex(readCertificate(derOf(intermediate))!.serial);
    await revokeCertificate.run(context, { id, serial, reason: 'lost' });
    await peer.ending;
    await isRefused(leafOf(intermediate), intermediate);
  });
  it('when its CA is removed', async () => {
    const id = await addCa();
    const leaf = leafOf(root);
    const peer = await comesIn(leaf);
    await removeAnchor.run(context, { id });
    expect((await peer.ending).verdict).toEqual({ kind: 'unknown' });
    await isRefused(leaf);
    // Added again, it vouches for the device that is there.
    await addCa();
    await comesIn(leaf);
  });
  it('when its certificate expires', async () => {
    await addCa();
    const peer = await comesIn(leafOf(root, [A], { seconds: 3 }));
    expect((await peer.ending).verdict).toEqual({ kind: 'unknown' });
  }, 20_000);
  it('when it is banned; and evicted it comes back by a newer certificate', async () => {
    await addCa();
    const leaf = leafOf(root);
    const peer = await comesIn(leaf);
    await setStanding.run(context, { address: A, change: 'ban' });
    expect((await peer.ending).verdict).toMatchObject({ kind: 'banned' });
    await setStanding.run(context, { address: A, change: 'unban' });
    await setStanding.run(context, { address: A, change: 'evict' });
    expect((await (await come(leaf)).ending).verdict).toEqual({ kind: 'evicted' });
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await comesIn(leafOf(root));
    expect(isIn()).toBe(true);
  });
});

it('keeps devices with TPMs as they were', async () => {
  await addCa();
  const peer = await connect(router, await makeDevice('fd00:1::a:0:0:7'), OURS);
  expect((await peer.ending).verdict).toEqual({ kind: 'unregistered' });
});

it('refuses what is no CA, one CA twice, and a chip in place of a certificate', async () => {
  const id = await addCa();
  await expect(addCa()).rejects.toSatisfy((error) => isFailure(error, 'pki.ca-exists'));
  for (const bad of [
    leafOf(root),
    files.ca({ subject: '/CN=old', seconds: -60 }),
    files.ca({ subject: '/CN=weak', key: 'rsa1024' }),
  ])
    await expect(addCa(bad)).rejects.toSatisfy((error) => isFailure(error, 'pki.bad-ca'));
  for (let i = 1; i < 8; i++) await addCa(files.ca({ subject: `/CN=${i}` }));
  await expect(addCa(files.ca({ subject: '/CN=9' }))).rejects.toSatisfy((error) =>
    isFailure(error, 'pki.too-many-cas'),
  );
  await comesIn(leafOf(root));
  await come(leafOf(root, [B]));
  await until(() => isIn(B));
  await expect(replaceDevice.run(context, { address: A, by: B } as never)).rejects.toSatisfy((error) =>
    isFailure(error),
  );
  await removeAnchor.run(context, { id });
}, 60_000);
