import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { routerMetrics } from '../../../../fabric/metrics/router.ts';
import { LOOKED_UP_AT_ONCE } from '../../../../fabric/registry/admission.ts';
import type { Router } from '../../../../fabric/router/router.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { parseIpv6 } from '../../../../protocol/ipv6.ts';
import { heartbeat, isHeartbeatReply } from '../../../../protocol/tunnel/icmp6.ts';
import {
  activeDevice,
  admitted,
  connect,
  type Device,
  type FakeAdmission,
  fakeAdmission,
  type Manner,
  makeDevice,
  OURS,
  type Peer,
  testRouter,
  until,
} from '../fixture.ts';

const A = 'fd00:1::a';
const B = 'fd00:1::b';

let admission: FakeAdmission;
let router: Router;
let device: Device;
let lines: string[];

beforeEach(async () => {
  admission = fakeAdmission();
  lines = [];
  router = await testRouter(admission, { lines });
  device = await activeDevice(admission, A);
});

afterEach(() => router.close());

describe('admission', () => {
  const manners: [string, Manner][] = [
    ['a C peer, TLS 1.2', { version: 'TLSv1.2' }],
    ['a C peer, TLS 1.3', { version: 'TLSv1.3' }],
    ['our agent, TLS 1.2', { ...OURS, version: 'TLSv1.2' }],
    ['our agent, TLS 1.3', { ...OURS, version: 'TLSv1.3' }],
    ['a later agent that offers more', { alpn: ['enf/9', 'enf/1'] }],
    ['a peer over IPv6', { host: '::1' }],
  ];
  for (const [who, manner] of manners) {
    it(`admits ${who} with the registered key`, async () => {
      const peer = await admitted(router, device, manner);
      peer.send(heartbeat(device.address));
      await until(() => peer.received.length > 0);
      expect(isHeartbeatReply(device.address, peer.received[0]!)).toBe(true);
      expect(peer.tls.alpnProtocol).toBe(manner.alpn === undefined ? false : 'enf/1');
      const [session] = router.sessions();
      expect(session).toMatchObject({ address: A, understandsVerdicts: manner.alpn !== undefined });
      if (manner.version !== undefined) expect(session!.tls).toBe(manner.version);
      expect(router.pendingHandshakes).toBe(0);
      peer.close();
      expect(await peer.ending).toEqual({ how: 'orderly' });
      await until(() => router.sessions().length === 0);
      expect(admission.history).toEqual([`+${toHex(device.address)}`, `-${toHex(device.address)}`]);
    });
  }

  it('refuses another key in a certificate for the same address', async () => {
    const impostor = await makeDevice(A);
    expect(await (await connect(router, impostor)).ending).toEqual({ how: 'orderly' });
    const ours = await connect(router, impostor, OURS);
    expect(await ours.ending).toEqual({ how: 'orderly', verdict: { kind: 'unknown' } });
    expect(router.sessions()).toEqual([]);
    expect(admission.history).toEqual([]);
  });

  it('refuses a device of another network, and a peer without certificate', async () => {
    const foreign = await makeDevice('fd00:2::b');
    expect(await (await connect(router, foreign)).ending).toEqual({ how: 'orderly' });
    for (const who of [foreign, undefined]) {
      const peer = await connect(router, who, OURS);
      expect(await peer.ending).toEqual({ how: 'orderly', verdict: { kind: 'unknown' } });
    }
    expect(router.sessions()).toEqual([]);
  });

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`[H-C1] tells a device whose address is not registered to prove itself anew (${version})`, async () => {
      const lost = await makeDevice(B);
      expect((await (await connect(router, lost, { version })).ending).how).toBe('reset');
      const ours = await connect(router, lost, { ...OURS, version });
      expect(await ours.ending).toEqual({ how: 'orderly', verdict: { kind: 'unregistered' } });
      expect(router.sessions()).toEqual([]);
      expect(admission.history).toEqual([]);
    });
  }

  it('[H-C1] tells a device so if its registered key is that of a backup, and only an active one', async () => {
    const renewed = await makeDevice(A);
    admission.set(device, 'active', undefined, { outdated: true });
    const ours = await connect(router, renewed, OURS);
    expect(await ours.ending).toEqual({ how: 'orderly', verdict: { kind: 'unregistered' } });
    expect((await (await connect(router, renewed)).ending).how).toBe('reset');
    (await admitted(router, device)).close();
    for (const standing of ['banned', 'suspended', 'evicted'] as const) {
      admission.set(device, standing, undefined, { outdated: true });
      const peer = await connect(router, renewed, OURS);
      expect(await peer.ending).toEqual({ how: 'orderly', verdict: { kind: 'unknown' } });
    }
  });

  it('[H-C1] tells a source so a limited number of times, and then nothing that it does not tell of a device', async () => {
    const lost = await makeDevice(B);
    await router.close();
    router = await testRouter(admission, { lines, limits: { refusalBurst: 10_000 } });
    const told = async () => (await (await connect(router, lost, OURS)).ending).verdict?.kind;
    for (let i = 0; i < 50; i++) expect(await told()).toBe('unregistered');
    while ((await told()) !== 'unknown');
    expect(await (await connect(router, lost)).ending).toEqual({ how: 'orderly' });
  });

  it('does not reveal the standing of a device to a peer with another key', async () => {
    admission.set(device, 'banned');
    const impostor = await connect(router, await makeDevice(A), OURS);
    expect(await impostor.ending).toEqual({ how: 'orderly', verdict: { kind: 'unknown' } });
  });

  it('refuses a peer whose ALPN names are all unknown in the handshake', async () => {
    const peer = await connect(router, device, { alpn: ['h2'] });
    expect((await peer.ending).how).toBe('aborted');
    await until(() => router.pendingHandshakes === 0);
  });
});

describe('a refusal', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`is an orderly close for a banned or suspended C peer that sends at once (${version})`, async () => {
      for (const standing of ['banned', 'suspended'] as const) {
        admission.set(device, standing);
        const peer = await connect(router, device, { version });
        for (let i = 0; i < 20; i++) peer.send(heartbeat(device.address));
        expect(await peer.ending).toEqual({ how: 'orderly' });
      }
    });

    it(`is a reset for an evicted C peer (${version})`, async () => {
      admission.set(device, 'evicted');
      const peer = await connect(router, device, { version });
      expect((await peer.ending).how).toBe('reset');
    });

    it(`sends our agent the verdict before the orderly close (${version})`, async () => {
      const verdicts = {
        banned: { kind: 'banned', seconds: 40 },
        evicted: { kind: 'evicted' },
        suspended: { kind: 'suspended', seconds: 40 },
        retired: { kind: 'retired' },
      } as const;
      for (const standing of ['banned', 'evicted', 'suspended', 'retired'] as const) {
        admission.set(device, standing);
        const peer = await connect(router, device, { ...OURS, version });
        peer.send(heartbeat(device.address));
        expect(await peer.ending).toEqual({ how: 'orderly', verdict: verdicts[standing] });
        expect(peer.received).toEqual([]);
      }
    });
  }

  it('is temporary while the registry fails', async () => {
    admission.broken = true;
    const peer = await connect(router, device, OURS);
    expect(await peer.ending).toEqual({ how: 'orderly', verdict: { kind: 'retry-after', seconds: 30 } });
    admission.broken = false;
    await admitted(router, device, OURS);
    const said = lines.filter((line) => line.includes('registry'));
    expect(said).toEqual([
      'error the registry does not answer: the disk is full',
      'notice the registry answers again',
    ]);
  });
});

describe('a session', () => {
  it('is replaced by a newer connection of the same device', async () => {
    const older = await admitted(router, device, OURS);
    const newer = await admitted(router, device, OURS);
    expect(await older.ending).toEqual({ how: 'orderly' });
    newer.send(heartbeat(device.address));
    await until(() => newer.received.length === 1);
    expect(router.sessions()).toHaveLength(1);
    const address = toHex(device.address);
    expect(admission.history).toEqual([`+${address}`, `-${address}`, `+${address}`]);
  });

  it('[C-22] of two devices with one key: the operator is warned, other devices are not disturbed', async () => {
    const other = await activeDevice(admission, B);
    const bystander = await admitted(router, other);
    for (let i = 0; i < 10; i++) await admitted(router, device);
    expect(router.clones).toBe(0);
    for (let i = 0; i < 3; i++) {
      await admitted(router, device, { host: '::1' });
      await admitted(router, device, { ...OURS, host: '127.0.0.1' });
    }
    await until(() => router.clones === 1);
    expect(admission.history.filter((line) => line.startsWith('twins'))).toEqual([
      `twins ${toHex(device.address)} 127.0.0.1 ::1`,
    ]);
    const said = lines.filter((line) => line.includes('in turns'));
    expect(said).toEqual([
      `warning device ${A} connects from 127.0.0.1 and ::1 in turns: two devices seem to have its key`,
    ]);
    expect(routerMetrics(router)).toContain('enf_router_twins_total 1\n');
    bystander.send(heartbeat(other.address));
    await until(() => bystander.received.length === 1);
    expect(router.sessions()).toHaveLength(2);
  });

  it('stays if a peer with another key connects for its address', async () => {
    const peer = await admitted(router, device);
    await (await connect(router, await makeDevice(A), OURS)).ending;
    peer.send(heartbeat(device.address));
    await until(() => peer.received.length === 1);
  });

  it('[H-E] is cut with the others of its group by one change, for which nobody else is looked up', async () => {
    const [gid, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    const members = await Promise.all(
      Array.from({ length: LOOKED_UP_AT_ONCE + 10 }, (_, n) => makeDevice(`fd00:1::1:${n + 1}`)),
    );
    // Registered, but not connected.
    for (let n = 0; n < 200; n++) {
      const absent = { ...device, address: parseIpv6(`fd00:1::2:${n}`), name: '' };
      admission.set(absent, 'active', undefined, { gid });
    }
    const stranger = await makeDevice(B);
    for (const member of members) admission.set(member, 'active', undefined, { gid });
    admission.set(stranger, 'active', undefined, { gid: other });
    const bystander = await admitted(router, stranger);
    const peers: Peer[] = [];
    for (const member of members) peers.push(await admitted(router, member));

    admission.asked.length = 0;
    // How many were looked up when each turn of the event loop began.
    const seen = [0];
    const look = (): void => {
      seen.push(admission.asked.length);
      if (admission.asked.length < members.length) setImmediate(look);
    };
    setImmediate(look);
    await admission.setGroup(gid, 'suspended');
    await until(() => seen.at(-1) === members.length);
    const steps = seen.slice(1).map((count, i) => count - seen[i]!);
    expect(Math.max(...steps)).toBe(LOOKED_UP_AT_ONCE);
    expect(admission.together).toEqual([LOOKED_UP_AT_ONCE, 10]);
    expect(admission.asked.sort()).toEqual(members.map(({ address }) => toHex(address)).sort());
    expect(router.sessions().map((session) => session.address)).toEqual([B]);
    for (const peer of peers) expect((await peer.ending).how).toBe('orderly');
    bystander.send(heartbeat(stranger.address));
    await until(() => bystander.received.length === 1);

    // Resumed, they come back; a group without sessions costs nothing.
    await admission.setGroup(gid, 'active');
    await admitted(router, members[0]!);
    admission.asked.length = 0;
    await admission.setGroup(new Uint8Array(32).fill(3), 'suspended');
    expect(admission.asked).toEqual([]);
  });

  const changes: [string, (who: Device) => void | Promise<void>, 'orderly' | 'reset', string, number?][] = [
    ['banned', (who) => admission.set(who, 'banned'), 'orderly', 'banned', 40],
    ['retired', (who) => admission.set(who, 'retired'), 'orderly', 'retired'],
    ['evicted', (who) => admission.set(who, 'evicted'), 'reset', 'evicted'],
    ['suspended', (who) => admission.set(who, 'suspended'), 'orderly', 'suspended', 40],
    ['removed', (who) => admission.remove(who), 'orderly', 'unknown'],
    [
      'given another key',
      async (who) => admission.set(await makeDevice(who.name), 'active'),
      'orderly',
      'unknown',
    ],
  ];
  for (const [what, change, how, kind, seconds] of changes) {
    it(`is cut at once when the device is ${what}, and no other one is`, async () => {
      const other = await activeDevice(admission, B);
      const bystander = await admitted(router, other);
      const legacy = await admitted(router, device);
      await change(device);
      expect(router.sessions().map((session) => session.address)).toEqual([B]);
      expect((await legacy.ending).how).toBe(how);

      admission.set(device, 'active');
      const ours = await admitted(router, device, OURS);
      await change(device);
      expect(await ours.ending).toEqual({
        how: 'orderly',
        verdict: seconds === undefined ? { kind } : { kind, seconds },
      });
      bystander.send(heartbeat(other.address));
      await until(() => bystander.received.length === 1);
    });
  }

  it('stays when a change does not concern it', async () => {
    const peer = await admitted(router, device);
    admission.set(device, 'active');
    admission.set(await makeDevice(B), 'banned');
    peer.send(heartbeat(device.address));
    await until(() => peer.received.length === 1);
    expect(router.sessions()).toHaveLength(1);
  });

  it('ends in order if the registry cannot record that', async () => {
    const peer = await admitted(router, device);
    admission.broken = true;
    peer.close();
    await until(() => router.sessions().length === 0);
    expect(lines).toContain('error the registry does not record: the disk is full');
  });
});
