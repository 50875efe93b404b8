import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { primitives } from '../../../../crypto/primitives.ts';
import type { RootUpdates } from '../../../../fabric/router/roots.ts';
import type { Router } from '../../../../fabric/router/router.ts';
import { rootSetDigest, setOf } from '../../../../protocol/identity/root-update.ts';
import { heartbeat } from '../../../../protocol/tunnel/icmp6.ts';
import { encodeReport, REPORT_REQUEST } from '../../../../protocol/tunnel/report.ts';
import { encodeRootsMessage, NO_DIGEST } from '../../../../protocol/tunnel/roots.ts';
import { MAX_PACKET } from '../../../../protocol/tunnel/wire.ts';
import {
  activeDevices,
  admitted,
  connect,
  type Device,
  type FakeAdmission,
  fakeAdmission,
  makeDevice,
  OURS,
  type Peer,
  testRouter,
  until,
} from '../fixture.ts';

const NEWS: RootUpdates = { version: 3, updates: [new Uint8Array(MAX_PACKET - 2).fill(2), Uint8Array.of(3)] };
const notice = (version: number): Uint8Array => encodeRootsMessage({ kind: 'notice', version });
const known = (version: number, digest?: Uint8Array): Uint8Array => {
  const update = NEWS.updates[version - 2];
  const own = update === undefined ? NO_DIGEST : rootSetDigest(primitives, setOf(update));
  return encodeRootsMessage({ kind: 'known', version, digest: digest ?? own });
};
const updates = NEWS.updates.map((update) => encodeRootsMessage({ kind: 'update', update }));

let admission: FakeAdmission;
let router: Router;
let a: Device;
let b: Device;

beforeEach(async () => {
  admission = fakeAdmission();
  [a, b] = await activeDevices(admission, 'fd00:1::a', 'fd00:1::b');
});
afterEach(() => router.close());

/** Resolves once everything sent before has been handled. */
async function settled(peer: Peer, device: Device): Promise<void> {
  const before = peer.received.length;
  peer.send(heartbeat(device.address));
  await until(() => peer.received.length > before);
  await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('devices that are told of roots', () => {
  it('hear the version when they are admitted, and get what is behind theirs, in order', async () => {
    router = await testRouter(admission, { roots: NEWS });
    const peer = await admitted(router, a, OURS);
    await until(() => peer.controls.length === 2);
    expect(peer.controls).toEqual([REPORT_REQUEST, notice(3)]);
    expect(router.learned).toEqual({ newest: 0, older: 1, c: 0 });
    peer.send(known(1));
    await until(() => peer.controls.length === 4);
    expect(peer.controls.slice(2)).toEqual(updates);
    peer.send(known(2));
    await until(() => peer.controls.length === 5);
    expect(peer.controls[4]).toEqual(updates[1]);
    peer.send(known(3));
    await until(() => router.learned.newest === 1);
    await settled(peer, a);
    expect(peer.controls).toHaveLength(5);
    peer.close();
    await until(() => router.learned.newest === 0);
    expect(router.learned).toEqual({ newest: 0, older: 0, c: 0 });
  });

  it('are told while they are connected, with a report between; nothing else of them changes', async () => {
    router = await testRouter(admission);
    const peer = await admitted(router, a, OURS);
    const c = await admitted(router, b);
    await until(() => peer.controls.length === 1);
    expect(router.learned).toEqual({ newest: 1, older: 0, c: 1 });
    const identity = await makeDevice('fd00::fffe');
    await router.replaceIdentity(identity, NEWS);
    await until(() => peer.controls.length === 2);
    expect(router.learned).toEqual({ newest: 0, older: 1, c: 1 });
    peer.send(encodeReport({ version: '1.2' })!, known(2));
    await until(() => peer.controls.length === 3);
    await settled(c, b);
    expect(c.controls).toEqual([]);
    expect(admission.history.filter((line) => line.startsWith('says'))).toHaveLength(1);
    expect(router.sessions()).toHaveLength(2);
  });

  it('that have another set under the version have not learned, and are told nothing', async () => {
    router = await testRouter(admission, { roots: NEWS });
    const peer = await admitted(router, a, OURS);
    peer.send(known(3), known(2, Uint8Array.of(9, 9, 9, 9)));
    await settled(peer, a);
    expect(router.learned).toEqual({ newest: 0, older: 1, c: 0 });
    expect(peer.controls).toEqual([REPORT_REQUEST, notice(3)]);
  });

  it('say so at most eight times at once, and nothing that is malformed', async () => {
    router = await testRouter(admission, { roots: NEWS });
    const peer = await admitted(router, a, OURS);
    peer.send(notice(9), Uint8Array.of(0xf4), Uint8Array.of(0xf4, 2, 0, 0, 0), updates[1]!);
    await settled(peer, a);
    expect(router.counters().drops.malformed).toBe(4);
    peer.send(...Array.from({ length: 100 }, () => known(2)));
    await settled(peer, a);
    expect(peer.controls.filter((each) => each.length === updates[1]!.length)).toHaveLength(8);
    expect(router.counters().drops.malformed).toBe(4 + 92);
    // A version of the future is not behind.
    expect(router.learned.newest).toBe(0);
  });
});

it('200 tunnels hear of the roots while the certificate is replaced, and none is lost', async () => {
  router = await testRouter(admission);
  const devices = await Promise.all(
    Array.from({ length: 200 }, (_, i) => makeDevice(`fd00:1::${(i + 256).toString(16)}`)),
  );
  for (const device of devices) admission.set(device, 'active');
  const peers: Peer[] = [];
  // Some at a time: on a busy machine a TLS handshake has a deadline, too.
  for (let first = 0; first < devices.length; first += 20) {
    const some = devices.slice(first, first + 20).map((device) => connect(router, device, OURS));
    peers.push(...(await Promise.all(some)));
    await until(() => router.sizes.agent === peers.length);
  }
  await router.replaceIdentity(await makeDevice('fd00::fffe'), NEWS);
  await until(() => peers.every(({ controls }) => controls.length === 2));
  for (const peer of peers) peer.send(known(3));
  await until(() => router.learned.newest === 200);
  await Promise.all(peers.map((peer, i) => settled(peer, devices[i]!)));
  expect(router.sessions()).toHaveLength(200);
});

describe('the certificate of the router', () => {
  const shown = ({ tls }: Peer): string => tls.getPeerCertificate().fingerprint256;

  it('is another one for whoever comes after its replacement, and no tunnel ends', async () => {
    router = await testRouter(admission);
    const before = await admitted(router, a, OURS);
    await router.replaceIdentity(await makeDevice('fd00::fffe'), { version: 1, updates: [] });
    // Both threads, whichever takes the connection.
    for (let i = 0; i < 6; i++) {
      const after = await admitted(router, b, OURS);
      expect(shown(after)).not.toBe(shown(before));
    }
    await settled(before, a);
    expect(router.sessions().map(({ address }) => address)).toContain(a.name);
  });

  it('stays what it is if the next one is of no use', async () => {
    router = await testRouter(admission);
    const before = await admitted(router, a, OURS);
    const [one, other] = [await makeDevice('fd00::1'), await makeDevice('fd00::2')];
    for (const identity of [
      { certificate: 'x', key: other.key },
      { certificate: one.certificate, key: other.key },
      { certificate: one.certificate, key: '' },
    ])
      await expect(router.replaceIdentity(identity, NEWS)).rejects.toMatchObject({
        code: 'router.bad-certificate',
      });
    expect(shown(await admitted(router, b, OURS))).toBe(shown(before));
  });
});
