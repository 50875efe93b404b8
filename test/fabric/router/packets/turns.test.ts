import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ROUTER_LIMITS } from '../../../../fabric/router/limits.ts';
import type { Router } from '../../../../fabric/router/router.ts';
import { concat, fromHex } from '../../../../protocol/bytes.ts';
import { encodeFrame } from '../../../../protocol/tunnel/frame.ts';
import { heartbeat } from '../../../../protocol/tunnel/icmp6.ts';
import { type RouterEvent, startRouterThreads } from '../../../../tunnel/router.ts';
import { udp } from '../../packets.ts';
import {
  APPLICATION_DATA,
  HANDSHAKE,
  KEY_UPDATE,
  type RecordWriter,
  recordWriter,
  SUITE,
} from '../../tls-records.ts';
import {
  activeDevices,
  admitted,
  connect,
  type Device,
  type FakeAdmission,
  fakeAdmission,
  OURS,
  type Peer,
  testRouter,
  until,
} from '../fixture.ts';

let admission: FakeAdmission;
let hostile: Device;
let honest: Device;
let router: Router;
let lines: string[];

beforeEach(async () => {
  admission = fakeAdmission();
  lines = [];
  [hostile, honest] = await activeDevices(admission, 'fd00:1::bad', 'fd00:1::a');
  router = await testRouter(admission, { threads: 1, lines });
});

afterEach(() => router.close());

/** A device whose records are written by hand. */
async function byHand(): Promise<{ peer: Peer; records: RecordWriter }> {
  let secret: Uint8Array | undefined;
  const listen = (tls: TLSSocket): void => {
    tls.on('keylog', (line) => {
      const [label, , text] = line.toString('latin1').trim().split(' ');
      if (label === 'CLIENT_TRAFFIC_SECRET_0') secret = fromHex(text!);
    });
  };
  const peer = await admitted(router, hostile, { ...OURS, version: 'TLSv1.3', ciphers: SUITE, listen });
  return { peer, records: recordWriter(secret!) };
}

async function answers(peer: Peer, device: Device): Promise<void> {
  const before = peer.received.length;
  peer.send(heartbeat(device.address));
  await until(() => peer.received.length > before);
}

const many = (count: number, make: () => Uint8Array): Uint8Array =>
  concat(...Array.from({ length: count }, make));

describe('[H-A1] a device', () => {
  it('may change its key, but not again and again: then its connection ends, and says why', async () => {
    const other = await admitted(router, honest);
    const { peer, records } = await byHand();
    peer.raw.write(many(50, () => records.seal(HANDSHAKE, KEY_UPDATE)));
    peer.raw.write(records.seal(APPLICATION_DATA, encodeFrame(heartbeat(hostile.address))));
    await until(() => peer.received.length === 1);
    peer.raw.write(many(2_000, () => records.seal(HANDSHAKE, KEY_UPDATE)));
    await peer.ending;
    expect(lines.filter((line) => line.includes(`${hostile.name} disconnected`))).toEqual([
      `info device ${hostile.name} disconnected: connection failed (more than 60 TLS messages in a minute)`,
    ]);
    await answers(other, honest);
  });

  it('may send its frames byte by byte', async () => {
    const { peer, records } = await byHand();
    const bytes = encodeFrame(heartbeat(hostile.address));
    for (let i = 0; i < 40; i++) {
      peer.raw.write(
        concat(...Array.from(bytes, (byte) => records.seal(APPLICATION_DATA, Uint8Array.of(byte)))),
      );
    }
    await until(() => peer.received.length === 40);
  });

  it('that has begun a message of TLS gets its packets when it has ended it; its thread does not ask again and again', async () => {
    const other = await admitted(router, honest);
    const { peer, records } = await byHand();
    peer.raw.write(records.seal(HANDSHAKE, KEY_UPDATE.subarray(0, 4)));
    await answers(other, honest);
    other.send(udp(honest.address, hostile.address, 1, 100));
    for (let i = 0; i < 200; i++) await answers(other, honest);
    expect(peer.received).toEqual([]);
    expect(router.traffic().devices!.socketFull).toBeLessThan(20);
    peer.raw.write(records.seal(HANDSHAKE, KEY_UPDATE.subarray(4)));
    records.nextKey();
    await until(() => peer.received.length === 1);
    expect(router.sessions()).toHaveLength(2);
  });

  it('that has begun a message of TLS is cut as soon as it is banned', async () => {
    const { peer, records } = await byHand();
    peer.raw.write(records.seal(HANDSHAKE, KEY_UPDATE.subarray(0, 4)));
    const other = await admitted(router, honest);
    await answers(other, honest);
    admission.set(hostile, 'banned');
    await peer.ending;
    await answers(other, honest);
  });
});

describe('[H-A1] a change of the registry', () => {
  it('is in force when the threads say so: what a device sends after that is not taken, however much it sends', async () => {
    const other = await admitted(router, honest);
    const { peer, records } = await byHand();
    const bytes = encodeFrame(udp(hostile.address, honest.address, 1, 100));
    const flood = (): void => {
      const pieces = Array.from(bytes, (byte) => records.seal(APPLICATION_DATA, Uint8Array.of(byte)));
      if (!peer.raw.destroyed) peer.raw.write(concat(...pieces), () => setImmediate(flood));
    };
    peer.raw.on('error', () => {});
    for (let i = 0; i < 20; i++) flood();
    await until(() => other.received.length > 20);
    admission.set(hostile, 'banned');
    await router.settled();
    const taken = router.counters().received.packets;
    for (let i = 0; i < 50; i++) await answers(other, honest);
    expect(router.counters().received.packets).toBe(taken + 50);
  });

  it('is in force for every connection that it ends: their ends are known before', async () => {
    const events: RouterEvent[] = [];
    const settings = { ...ROUTER_LIMITS, threads: 2, several: false, tun: undefined, offload: 0 as const };
    const threads = startRouterThreads({ host: '127.0.0.1', port: 0 }, hostile, settings, (event) =>
      events.push(event),
    );
    const arrived = () => events.filter((event) => event.kind === 'arrived');
    for (let i = 0; i < 20; i++) {
      await connect(threads, honest, OURS);
      await until(() => arrived().length > i);
      threads.admit(arrived()[i]!.peer, honest.address, 1, 1);
    }
    expect(events.filter(({ kind }) => kind === 'ended')).toEqual([]);
    for (const { peer } of arrived()) threads.disconnect(peer, new Uint8Array(0), false, false);
    expect(await threads.settled(60_000)).toBe(true);
    expect(events.filter(({ kind }) => kind === 'ended')).toHaveLength(20);
    await threads.close();
    expect(await threads.settled(60_000)).toBe(true);
  });
});
