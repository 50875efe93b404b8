import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Router } from '../../../fabric/router/router.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { encodeDecommission } from '../../../protocol/tunnel/decommission.ts';
import { heartbeat } from '../../../protocol/tunnel/icmp6.ts';
import { ALPN_CONTROL, ALPN_SUPER } from '../../../protocol/tunnel/wire.ts';
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
} from './fixture.ts';

const REQUEST = encodeDecommission({ kind: 'request' });

let admission: FakeAdmission;
let router: Router;
let a: Device;
let b: Device;
let lines: string[];

beforeEach(async () => {
  admission = fakeAdmission();
  lines = [];
  router = await testRouter(admission, { lines });
  [a, b] = await activeDevices(admission, 'fd00:1::a', 'fd00:1::b');
});
afterEach(() => router.close());

const leaves = (): string[] => admission.history.filter((line) => line.startsWith('leaves'));
const refusal = (reason: 'forbidden' | 'too-many'): string =>
  toHex(encodeDecommission({ kind: 'refused', reason }));
const told = (peer: Peer): string[] => peer.controls.map(toHex);

/** Resolves once everything sent before has been handled: by the thread, and by JavaScript if it is for that. */
async function settled(peer: Peer, device: Device): Promise<void> {
  const before = peer.received.length;
  peer.send(heartbeat(device.address));
  await until(() => peer.received.length > before);
  await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('a device that leaves for good', () => {
  for (const alpn of [ALPN_CONTROL, ALPN_SUPER]) {
    it(`is retired at its own wish on ${alpn}, and told so; its next connection, too`, async () => {
      const peer = await admitted(router, a, { alpn: [alpn] });
      const other = await admitted(router, b, OURS);
      peer.send(REQUEST);
      expect(await peer.ending).toEqual({ how: 'orderly', verdict: { kind: 'retired' } });
      expect(leaves()).toEqual([`leaves ${toHex(a.address)}`]);
      const again = await connect(router, a, { alpn: [alpn] });
      expect(await again.ending).toEqual({ how: 'orderly', verdict: { kind: 'retired' } });
      // A C program with that identity is refused as one that is banned.
      expect(await (await connect(router, a)).ending).toEqual({ how: 'orderly' });
      await settled(other, b);
      expect(router.sessions().map(({ address }) => address)).toEqual([b.name]);
    });
  }

  it('is none if it speaks without control messages, or says anything else', async () => {
    const c = await admitted(router, a);
    c.send(REQUEST);
    await settled(c, a);
    const ours = await admitted(router, b, OURS);
    ours.send(
      Uint8Array.of(0xf5),
      Uint8Array.of(0xf5, 2, 1),
      Uint8Array.of(0xf5, 1, 0),
      Uint8Array.of(0xf5, 9),
    );
    await settled(ours, b);
    expect(leaves()).toEqual([]);
    expect(router.sessions()).toHaveLength(2);
  });

  it('stays where the fabric lets no device do that, and is told why', async () => {
    await router.close();
    router = await testRouter(admission, { lines, decommission: false });
    const peer = await admitted(router, a, OURS);
    peer.send(REQUEST);
    await until(() => told(peer).includes(refusal('forbidden')));
    await settled(peer, a);
    expect(leaves()).toEqual([]);
    expect(router.sessions()).toHaveLength(1);
  });

  it('waits if too many of its group leave; another group does not', async () => {
    await router.close();
    router = await testRouter(admission, { lines, limits: { departureBurst: 1, departurePeriodMs: 60_000 } });
    const elsewhere = await makeDevice('fd00:1::c');
    admission.set(elsewhere, 'active', undefined, { gid: new Uint8Array(32).fill(1) });
    const first = await admitted(router, a, OURS);
    first.send(REQUEST);
    expect((await first.ending).verdict).toEqual({ kind: 'retired' });
    const second = await admitted(router, b, OURS);
    second.send(REQUEST);
    await until(() => told(second).includes(refusal('too-many')));
    const third = await admitted(router, elsewhere, OURS);
    third.send(REQUEST);
    expect((await third.ending).verdict).toEqual({ kind: 'retired' });
    expect(leaves()).toEqual([a, elsewhere].map(({ address }) => `leaves ${toHex(address)}`));
  });

  it('is not cut while the registry fails, and may ask again', async () => {
    const peer = await admitted(router, a, OURS);
    admission.broken = true;
    peer.send(REQUEST);
    await until(() => lines.some((line) => line.startsWith('error') && line.includes('the disk is full')));
    admission.broken = false;
    await settled(peer, a);
    expect(router.sessions()).toHaveLength(1);
    peer.send(REQUEST);
    expect((await peer.ending).verdict).toEqual({ kind: 'retired' });
  });
});
