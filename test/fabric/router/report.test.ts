import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Router } from '../../../fabric/router/router.ts';
import { concat, toHex, u16 } from '../../../protocol/bytes.ts';
import { heartbeat } from '../../../protocol/tunnel/icmp6.ts';
import { encodeReport, REPORT_REQUEST, type Report } from '../../../protocol/tunnel/report.ts';
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

const report = (code = 'tls.clock', seconds = 7): Uint8Array =>
  encodeReport({ version: '1.2', failure: { code, seconds } } satisfies Report)!;

const said = (): string[] => admission.history.filter((line) => line.startsWith('says'));

/** Resolves once everything sent before has been handled: by the thread, and by JavaScript if it is for that. */
async function settled(peer: Peer, device: Device): Promise<void> {
  const before = peer.received.length;
  peer.send(heartbeat(device.address));
  await until(() => peer.received.length > before);
  await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('[C-40] the report of a device', () => {
  for (const alpn of [ALPN_CONTROL, ALPN_SUPER]) {
    it(`is requested once the device was admitted on ${alpn}, and recorded for it`, async () => {
      const peer = await admitted(router, a, { alpn: [alpn] });
      await until(() => peer.controls.length > 0);
      expect(peer.controls).toEqual([REPORT_REQUEST]);
      peer.send(report(), encodeReport({ version: '1.3' })!);
      await until(() => said().length === 2);
      const own = toHex(a.address);
      expect(said()).toEqual([`says ${own} 1.2 tls.clock 7`, `says ${own} 1.3`]);
      expect(router.counters().drops.malformed).toBe(0);
      // It is not forwarded, and the connection goes on.
      await settled(peer, a);
      expect(peer.received).toHaveLength(1);
      expect(router.counters().received.packets).toBe(1);
    });
  }

  it('is neither requested of a C peer nor accepted from one', async () => {
    const peer = await admitted(router, a);
    peer.send(report());
    await settled(peer, a);
    expect(peer.controls).toEqual([]);
    expect(said()).toEqual([]);
    expect(router.counters().drops.malformed).toBe(1);
  });

  it('is dropped if it is malformed or too long, and others are not disturbed', async () => {
    const other = await admitted(router, b, OURS);
    const peer = await admitted(router, a, OURS);
    const broken = report();
    broken[1] = 200;
    peer.send(broken);
    peer.send(concat(report(), new Uint8Array(60)));
    peer.send(concat(Uint8Array.of(0xf3), new Uint8Array(1_400).fill(0x41)));
    peer.send(Uint8Array.of(0xf3), Uint8Array.of(0xf4, 1, 2), REPORT_REQUEST);
    await settled(peer, a);
    expect(said()).toEqual([]);
    // The thread drops what is too long or not of this type; two were short enough to be parsed.
    expect(router.counters().drops.malformed).toBe(4);
    expect(lines.filter((line) => line.includes('an invalid report'))).toHaveLength(2);
    await settled(other, b);
    // A frame longer than any of ours ends the connection, whatever it begins with.
    peer.tls.write(concat(u16(1_497), Uint8Array.of(0xf3), new Uint8Array(1_496)));
    expect((await peer.ending).how).toBe('orderly');
    await settled(other, b);
    expect(said()).toEqual([]);
  });

  it('is accepted three times and then rarely, however often it comes, and per device', async () => {
    const flood = await admitted(router, a, OURS);
    const modest = await admitted(router, b, OURS);
    const many = 2_000;
    flood.send(...Array.from({ length: many }, (_, i) => report('net.unreachable', i)));
    await settled(flood, a);
    const own = toHex(a.address);
    expect(said()).toEqual([0, 1, 2].map((i) => `says ${own} 1.2 net.unreachable ${i}`));
    expect(router.counters().drops.malformed).toBe(many - 3);
    modest.send(report());
    await until(() => said().length === 4);
    expect(said()[3]).toBe(`says ${toHex(b.address)} 1.2 tls.clock 7`);
  });

  it('is ignored from a peer that was not admitted, or was replaced', async () => {
    // Another key for this address, then a banned device: both have sent it before the router has decided.
    const thief = { ...(await makeDevice(a.name)), name: a.name };
    const stranger = await connect(router, thief, OURS);
    stranger.send(report('thief.was-here'));
    expect((await stranger.ending).verdict).toEqual({ kind: 'unknown' });
    admission.set(b, 'banned');
    const banned = await connect(router, b, OURS);
    banned.send(report('banned.was-here'));
    expect((await banned.ending).verdict).toEqual({ kind: 'banned', seconds: 40 });
    expect([stranger.controls, banned.controls].flat()).not.toContainEqual(REPORT_REQUEST);
    const older = await admitted(router, a, OURS);
    const newer = await admitted(router, a, OURS);
    older.send(report('old.was-here'));
    await older.ending;
    await settled(newer, a);
    expect(said()).toEqual([]);
  });

  it('may fail to be recorded: the session goes on', async () => {
    const peer = await admitted(router, a, OURS);
    admission.reported = () => {
      throw new Error('the disk is full');
    };
    peer.send(report());
    await until(() => lines.some((line) => line.includes('the registry does not record: the disk is full')));
    await settled(peer, a);
  });
});
