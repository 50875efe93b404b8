import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { longestPause, type Pace, paceOf } from '../../../fabric/router/pace.ts';
import type { Session } from '../../../fabric/router/session.ts';
import { encodePace, isPace, parsePace } from '../../../protocol/tunnel/pace.ts';
import {
  activeDevices,
  admitted,
  type FakeAdmission,
  fakeAdmission,
  OURS,
  type Peer,
  testRouter,
  until,
} from './fixture.ts';

describe('the longest pause', () => {
  test.each([
    [0, 300, 30],
    [1, 300, 30],
    [3_000, 300, 30],
    [3_001, 300, 45],
    [12_000, 300, 120],
    [30_000, 300, 300],
    [1_000_000, 300, 300],
    [1_000_000, 10_000, 300],
    [1_000_000, 1_000_000, 30],
  ])('of %d devices, of which %d are taken in a second, is %d s', (devices, takes, seconds) => {
    expect(longestPause(devices, takes)).toBe(seconds);
  });

  test('is one that devices take, whatever the numbers, and keeps a third of what is taken free wherever it is not the most', () => {
    for (const takes of [10, 300, 10_000, 1_000_000]) {
      for (let devices = 1; devices <= 2 ** 24; devices *= 2) {
        const seconds = longestPause(devices, takes);
        expect(isPace(seconds)).toBe(true);
        if (seconds < 300) expect((2 * devices) / seconds).toBeLessThanOrEqual((takes * 2) / 3);
      }
    }
  });
});

describe('the pace of a router', () => {
  const sent: [unknown, number | 'ignored' | undefined][] = [];
  const lines: string[] = [];
  let devices: number;
  let broken = false;
  let pace: Pace;
  const session = (peer: number, understandsVerdicts = true) =>
    ({ peer, understandsVerdicts }) as unknown as Session;
  beforeEach(() => {
    sent.length = 0;
    lines.length = 0;
    devices = 3_000;
    broken = false;
    pace = paceOf(
      { send: (peer, packet) => void sent.push([peer, parsePace(packet)]) },
      {
        connectsPerSecond: 300,
        devices: async () => {
          if (broken) throw new Error('the disk is full');
          return devices;
        },
      },
      (_, line) => void lines.push(line),
    );
  });

  test('is told to whoever is there and whoever comes, once it is known, but to no C peer', async () => {
    pace.admitted(session(1));
    expect(sent).toEqual([]);
    await pace.look(() => [session(1), session(2, false)]);
    pace.admitted(session(3));
    pace.admitted(session(4, false));
    expect(sent).toEqual([
      [1, 30],
      [3, 30],
    ]);
  });

  test('is told again when it changes, and not before', async () => {
    const here = () => Array.from({ length: 250 }, (_, i) => session(i));
    await pace.look(here);
    devices = 2_000;
    await pace.look(here);
    expect(sent).toHaveLength(250);
    devices = 20_000;
    await pace.look(here);
    expect(sent).toHaveLength(500);
    expect(sent.slice(250)).toEqual(here().map((each) => [each.peer, 240]));
    expect(lines).toEqual([expect.stringContaining('240 s')]);
  });

  test('stays as it is while the registry does not answer', async () => {
    await pace.look(() => []);
    broken = true;
    await expect(pace.look(() => [])).rejects.toThrow('the disk is full');
    expect(pace.seconds).toBe(30);
  });
});

describe('over a tunnel', () => {
  let admission: FakeAdmission;
  let peers: Peer[];
  const closing: (() => unknown)[] = [];
  beforeEach(() => {
    admission = fakeAdmission();
    peers = [];
  });
  afterEach(async () => {
    for (const peer of peers) peer.close();
    for (const close of closing.splice(0)) await close();
  });

  test('an agent hears the pace, a C peer nothing, and without a source nobody does', async () => {
    const [a, b] = await activeDevices(admission, 'fd00:1::a', 'fd00:1::b');
    const router = await testRouter(admission, {
      pace: { connectsPerSecond: 300, devices: async () => 5_000 },
    });
    closing.push(() => router.close());
    const agent = await admitted(router, a, OURS);
    const c = await admitted(router, b);
    peers.push(agent, c);
    await until(() => agent.controls.length === 2);
    expect(agent.controls[1]).toEqual(encodePace(60));
    expect(c.controls).toEqual([]);

    const silent = await testRouter(admission);
    closing.push(() => silent.close());
    const other = await admitted(silent, a, OURS);
    peers.push(other);
    await until(() => other.controls.length === 1);
    expect(other.controls.map((packet) => parsePace(packet))).toEqual([undefined]);
  });
});
