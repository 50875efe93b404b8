/** Which machines with certificates of their owners' CAs come in, and which are refused. */
import { describe, expect, it } from 'vitest';
import { EVERYTHING } from '../../../../fabric/access/scope.ts';
import { replaceDevice } from '../../../../fabric/operations/endings.ts';
import { removeAnchor } from '../../../../fabric/operations/pki/cas.ts';
import { Failure, isFailure } from '../../../../protocol/failure.ts';
import { formatIpv6, parseIpv6, parsePrefix } from '../../../../protocol/ipv6.ts';
import { udp } from '../../packets.ts';
import { connect, makeDevice, OURS, until } from '../fixture.ts';
import {
  A,
  addCa,
  B,
  come,
  comesIn,
  context,
  files,
  intermediate,
  isIn,
  isRefused,
  leafOf,
  lines,
  NETWORK,
  registry,
  root,
  router,
  stranger,
} from './place.ts';

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

  it('is told to come later while its registry cannot be written', async () => {
    await addCa();
    const { admitVouched } = registry;
    for (const [code, remedy] of [
      ['registry.unreachable', 'retry'],
      ['registry.diverged', 'operator'],
      ['os.disk-full', 'retry'],
    ] as const) {
      registry.admitVouched = () => Promise.reject(new Failure(code, remedy, 'no'));
      expect((await (await come(leafOf(root))).ending).verdict).toEqual({ kind: 'retry-after', seconds: 30 });
    }
    registry.admitVouched = admitVouched;
    await comesIn(leafOf(root));
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
    await isRefused(leafOf(root, [formatIpv6(address)]));
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
