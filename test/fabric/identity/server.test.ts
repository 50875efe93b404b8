import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { PORTABLE_CURVES } from '../../../crypto/curves.ts';
import { primitives } from '../../../crypto/primitives.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { deterministicSigner } from '../../../protocol/crypto/ecdsa.ts';
import type { Primitives } from '../../../protocol/crypto/primitives.ts';
import { SUITE_NAMES, type SuiteSpec } from '../../../protocol/crypto/suite.ts';
import { matches } from '../../../protocol/ipv6.ts';
import { portableServer } from '../../../protocol/xtt/stateless.ts';
import { claimOf, dialed, makeBatch, provision } from '../device.ts';
import { allOf, NETWORK } from '../place.ts';
import { giveRoster, makeRoster } from '../rosters.ts';
import { openTestServer, sharedTestServer } from './fixture.ts';

const shared = sharedTestServer();
const refused = { code: 'xtt.error-received' };

/** The fields of every attempt at the shared server. */
const at = (): { port: number; root: Uint8Array; gid: Uint8Array } => ({
  port: shared.current.server.port,
  root: shared.current.root,
  gid: shared.current.batch.gid,
});

describe('provisioning', () => {
  for (const suite of [1, 2, 3, 4] as SuiteSpec[]) {
    test(`gives an identity with ${SUITE_NAMES[suite]}, and the same chip the same again`, async () => {
      const { registry, batch, last } = shared.current;
      const chip = await batch.chip();
      const { identity, longtermKey } = await provision({ ...at(), chip, suite });
      expect(matches(NETWORK, identity)).toBe(true);
      expect(await registry.device(identity)).toMatchObject({ longtermKey, standing: 'active' });
      expect(await last()).toMatchObject({
        source: '127.0.0.1',
        suite,
        gid: batch.gid,
        proven: true,
        result: 'ok',
        address: identity,
      });

      // The device lost its state: another suite and key, the same address.
      const again = await provision({ ...at(), chip, suite: ((suite % 4) + 1) as SuiteSpec });
      expect(again.identity).toEqual(identity);
      expect(again.longtermKey).not.toEqual(longtermKey);
      expect((await registry.device(identity)).longtermKey).toEqual(again.longtermKey);
    });
  }

  test('many chips at once get addresses of their own', async () => {
    const { batch, registry } = shared.current;
    const before = (await allOf((page) => registry.devices(page))).length;
    const chips = await Promise.all(Array.from({ length: 8 }, () => batch.chip()));
    const all = await Promise.all(chips.map((chip) => provision({ ...at(), chip })));
    expect(new Set(all.map(({ identity }) => String(identity))).size).toBe(8);
    expect(await allOf((page) => registry.devices(page))).toHaveLength(before + 8);
  });

  test('a device may ask for its own address, not for another one', async () => {
    const { batch, last } = shared.current;
    const chip = await batch.chip();
    const { identity } = await provision({ ...at(), chip });
    expect((await provision({ ...at(), chip, requested: identity })).identity).toEqual(identity);
    const thief = await batch.chip();
    await expect(provision({ ...at(), chip: thief, requested: identity })).rejects.toMatchObject(refused);
    expect(await last()).toMatchObject({ result: 'fabric.address-not-yours', proven: true });
  });

  test('listens on IPv6, too, and records the peer’s IPv6 address', async () => {
    const own = await openTestServer({ listen: { host: '::1', port: 0 } });
    try {
      const { root, batch, server } = own;
      await provision({ port: server.port, host: '::1', root, gid: batch.gid, chip: await batch.chip() });
      expect(await own.last()).toMatchObject({ source: '::1', result: 'ok' });
    } finally {
      await own.close();
    }
  });
});

describe('refusal', () => {
  test('of a group that is not admitted; after the group was added it is', async () => {
    const { registry, last } = shared.current;
    const stranger = makeBatch('strangers');
    const chip = await stranger.chip();
    await expect(provision({ ...at(), chip, gid: stranger.gid })).rejects.toMatchObject(refused);
    expect(await last()).toMatchObject({
      result: 'fabric.group-not-admitted',
      gid: stranger.gid,
      proven: false,
    });
    const { gid, gpk, basename } = stranger;
    await registry.addGroup('test', { gid, gpk, basename, name: 'strangers', network: NETWORK });
    await provision({ ...at(), chip, gid });
  });

  test('of a suspended group, until it is resumed', async () => {
    const { registry, batch, last } = shared.current;
    const chip = await batch.chip();
    await registry.setGroupStatus('test', batch.gid, 'suspended');
    await expect(provision({ ...at(), chip })).rejects.toMatchObject(refused);
    expect(await last()).toMatchObject({ result: 'fabric.group-suspended' });
    await registry.setGroupStatus('test', batch.gid, 'active');
    await provision({ ...at(), chip });
  });

  test('[H-E21] beyond the limits of its group, until they are raised; who is in is not asked', async () => {
    const { registry, batch, last } = shared.current;
    const [inside, outside] = [await batch.chip(), await batch.chip()];
    await provision({ ...at(), chip: inside });
    for (const [limit, result] of [
      [{ most: 1 }, 'fabric.group-full'],
      [{ most: 0, countries: ['CH'] }, 'fabric.country-unexpected'],
    ] as const) {
      await registry.changeGroup('test', batch.gid, limit);
      await expect(provision({ ...at(), chip: outside })).rejects.toMatchObject(refused);
      expect(await last()).toMatchObject({ result, proven: true, gid: batch.gid });
      await provision({ ...at(), chip: inside });
    }
    await registry.changeGroup('test', batch.gid, { countries: [] });
    await provision({ ...at(), chip: outside });
  });

  test('of a member that the stolen key of the issuer has made, where the batch has a roster; without one it is admitted', async () => {
    const { registry, batch, last } = shared.current;
    const [genuine, forged, thief] = [await batch.chip(), await batch.chip(), await batch.chip()];
    await provision({ ...at(), chip: forged });
    expect(await last()).toMatchObject({ result: 'ok' });
    const pseudonym = (await genuine(new Uint8Array(64))).slice(-65);
    const roster = makeRoster(batch.gid, [{ pseudonym, serial: 'GW-0001' }], { names: true });
    await giveRoster(registry, batch.gid, roster);
    for (const chip of [thief, forged]) {
      await expect(provision({ ...at(), chip })).rejects.toMatchObject(refused);
      expect(await last()).toMatchObject({ result: 'fabric.not-on-roster', proven: true, gid: batch.gid });
    }
    const { identity } = await provision({ ...at(), chip: genuine });
    expect(await last()).toMatchObject({ result: 'ok', pseudonym });
    expect((await registry.device(identity)).name).toBe('gw-0001');
    expect((await registry.roster(batch.gid)).roster?.inForce).toMatchObject({ seen: 1 });
    await registry.removeRoster('test', batch.gid);
    await provision({ ...at(), chip: thief });
  });

  test('of a device whose chip does not keep its key, by a network that wants that; any other network takes it', async () => {
    const { registry, batch, last } = shared.current;
    const [kept, sealed] = [await batch.chip(), await batch.chip()];
    const listed = async (chip: typeof kept, resident: boolean) => ({
      ...{ pseudonym: (await chip(new Uint8Array(64))).slice(-65), resident },
    });
    await giveRoster(
      registry,
      batch.gid,
      makeRoster(batch.gid, [await listed(kept, true), await listed(sealed, false)]),
    );
    const { network } = await registry.group(toHex(batch.gid));
    await registry.setResidentOnly('test', network, true);
    await expect(provision({ ...at(), chip: sealed })).rejects.toMatchObject(refused);
    expect(await last()).toMatchObject({ result: 'fabric.not-resident', proven: true, gid: batch.gid });
    await provision({ ...at(), chip: kept });
    await registry.setResidentOnly('test', network, false);
    await provision({ ...at(), chip: sealed });
    await registry.removeRoster('test', batch.gid);
  });

  test('of a device of a stolen pallet, which was banned before it was ever powered', async () => {
    const { registry, batch, last } = shared.current;
    const chips = [await batch.chip(), await batch.chip()];
    const devices = await Promise.all(
      chips.map(async (chip, i) => ({
        pseudonym: (await chip(new Uint8Array(64))).slice(-65),
        serial: `GW-${i + 2}`,
      })),
    );
    await giveRoster(registry, batch.gid, makeRoster(batch.gid, devices, { perBox: 1 }));
    await registry.setRosterStanding('test', batch.gid, { of: { box: 2 }, change: 'ban' });
    await provision({ ...at(), chip: chips[0]! });
    await expect(provision({ ...at(), chip: chips[1]! })).rejects.toMatchObject(refused);
    expect(await last()).toMatchObject({ result: 'fabric.device-banned', proven: true });
    await registry.setRosterStanding('test', batch.gid, { of: { serial: 'GW-3' }, change: 'unban' });
    await provision({ ...at(), chip: chips[1]! });
    await registry.removeRoster('test', batch.gid);
  });

  test('of a banned device; an evicted one gets its address again', async () => {
    const { registry, batch, last } = shared.current;
    const chip = await batch.chip();
    const { identity, longtermKey } = await provision({ ...at(), chip });
    await registry.setStanding('test', identity, 'ban');
    await expect(provision({ ...at(), chip })).rejects.toMatchObject(refused);
    expect(await last()).toMatchObject({ result: 'fabric.device-banned', proven: true });
    expect((await registry.device(identity)).longtermKey).toEqual(longtermKey);
    await registry.setStanding('test', identity, 'unban');
    await registry.setStanding('test', identity, 'evict');
    expect((await provision({ ...at(), chip })).identity).toEqual(identity);
    expect((await registry.device(identity)).standing).toBe('active');
  });

  test('of a chip of another batch under this batch’s id', async () => {
    const chip = await makeBatch('forgers').chip();
    await expect(provision({ ...at(), chip })).rejects.toMatchObject(refused);
    expect(await shared.current.last()).toMatchObject({ result: 'xtt.bad-group-signature', proven: false });
  });

  test('of a device personalised with another basename', async () => {
    const chip = await shared.current.batch.chip(new TextEncoder().encode('another basename'));
    await expect(provision({ ...at(), chip })).rejects.toMatchObject(refused);
    expect(await shared.current.last()).toMatchObject({ result: 'xtt.bad-group-signature' });
  });

  test('of a longterm signature by another key', async () => {
    const chip = await shared.current.batch.chip();
    const alter: Parameters<typeof provision>[0]['alter'] = async (claim, attesting) => ({
      ...claim,
      longtermSignature: (await claimOf({ ...at(), chip }, attesting)).longtermSignature,
    });
    await expect(provision({ ...at(), chip, alter })).rejects.toMatchObject(refused);
    expect(await shared.current.last()).toMatchObject({ result: 'xtt.bad-longterm-signature' });
  });

  test('of this fabric by a device that trusts another root', async () => {
    const foreign = shared.current.root.map((byte, i) => (i < 16 ? byte ^ 1 : byte));
    const chip = await shared.current.batch.chip();
    await expect(provision({ ...at(), root: foreign, chip })).rejects.toMatchObject({
      code: 'xtt.unknown-root',
    });
    expect(await shared.current.last()).toMatchObject({ result: 'net.abandoned', proven: false });
  });

  test('when the registry fails, at once', async () => {
    const own = await openTestServer();
    const { root, batch, server, registry } = own;
    registry.admit = () => Promise.reject(new Error('disk on fire'));
    const attempt = { port: server.port, root, gid: batch.gid, chip: await batch.chip() };
    await expect(provision(attempt)).rejects.toMatchObject(refused);
    expect(await own.last()).toMatchObject({ result: 'internal' });
    expect(own.log.join('\n')).toContain('disk on fire');
    await own.close();
  });
});

describe('the port', () => {
  test('that is taken is named', async () => {
    const other = createServer();
    const port = await new Promise<number>((resolve) => {
      other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port));
    });
    await expect(openTestServer({ listen: { host: '127.0.0.1', port } })).rejects.toMatchObject({
      code: 'net.port-busy',
      message: expect.stringContaining(`127.0.0.1:${port}`),
    });
    other.close();
  });

  test('of an address this machine does not have is named', async () => {
    await expect(openTestServer({ listen: { host: '192.0.2.1', port: 0 } })).rejects.toMatchObject({
      code: 'net.no-such-address',
    });
  });
});

describe('closing', () => {
  test('lets a handshake in progress end and closes an idle connection', async () => {
    const own = await openTestServer();
    const { root, batch, server } = own;
    const idler = await dialed(server.port);
    const gone = new Promise((resolve) => idler.once('close', resolve));
    idler.resume();
    const chip = await batch.chip();
    let closed: Promise<void> | undefined;
    const { identity } = await provision({
      port: server.port,
      root,
      gid: batch.gid,
      chip,
      alter: (claim) => {
        closed = server.close(300);
        return claim;
      },
    });
    expect(matches(NETWORK, identity)).toBe(true);
    await closed;
    idler.destroy();
    await gone;
    expect(server.open).toBe(0);
    await expect(dialed(server.port)).rejects.toThrow(/ECONNREFUSED/);
    await own.close().catch(() => {});
  });
});

test('the secrets of handshakes are forgotten when their cookies have expired, also if no other handshake follows', async () => {
  let ms = 0;
  let forgotten = 0;
  const watched: Primitives = {
    ...primitives,
    x25519Key(secret) {
      const key = primitives.x25519Key(secret);
      return { ...key, forget: () => forgotten++ && key.forget() };
    },
  };
  const own = await openTestServer({
    now: () => ms,
    sweepMs: 5,
    curves: {
      ...PORTABLE_CURVES,
      server: (keys, options) => portableServer(watched, deterministicSigner, keys, options),
    },
  });
  const { server, root, batch } = own;
  await provision({ port: server.port, root, gid: batch.gid, chip: await batch.chip() });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(forgotten).toBe(0);
  ms = 90_000;
  while (forgotten === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await own.close();
});

test('nothing secret is logged', async () => {
  const { batch, log } = shared.current;
  await provision({ ...at(), chip: await batch.chip() });
  expect(log).toEqual([expect.stringMatching(/^info fd00:1:2:3:[0-9a-f:]+ provisioned from 127\.0\.0\.1$/)]);
});
