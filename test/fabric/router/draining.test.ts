import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Draining, drainingOf, returnSpread } from '../../../fabric/router/draining.ts';
import type { Router } from '../../../fabric/router/router.ts';
import type { Session } from '../../../fabric/router/session.ts';
import { encodeDrain, MOST_DRAIN_SECONDS, parseDrain } from '../../../protocol/tunnel/drain.ts';
import { REPORT_REQUEST } from '../../../protocol/tunnel/report.ts';
import {
  activeDevices,
  admitted,
  type Device,
  type FakeAdmission,
  fakeAdmission,
  OURS,
  testRouter,
  until,
} from './fixture.ts';

test('the return is spread so that no more come than the fabric takes', () => {
  expect(returnSpread(0, 300)).toBe(0);
  expect(returnSpread(1, 300)).toBe(1);
  expect(returnSpread(3_000, 300)).toBe(15);
  expect(returnSpread(3_000)).toBe(15);
  expect(returnSpread(10_000_000, 10)).toBe(MOST_DRAIN_SECONDS);
});

describe('a drain', () => {
  const sent: [unknown, unknown][] = [];
  let draining: Draining;
  const session = (peer: number, understandsVerdicts = true) =>
    ({ peer, understandsVerdicts }) as unknown as Session;
  beforeEach(() => {
    sent.length = 0;
    draining = drainingOf(
      { send: (peer, packet) => void sent.push([peer, parseDrain(packet)]) },
      100,
      () => {},
    );
  });
  const LEAVE = { kind: 'leave', within: 30, after: 10, spread: 4 };

  test('is told to agents that are there and that come, to no C peer, and to nobody before', async () => {
    draining.admitted(session(0));
    expect(draining.now).toBeUndefined();
    await draining.begin({ within: 30, retryAfter: 10 }, [session(1), session(2, false)], 250);
    draining.admitted(session(3));
    draining.admitted(session(4, false));
    expect(sent).toEqual([
      [1, LEAVE],
      [3, LEAVE],
    ]);
    expect(draining.now).toMatchObject({ within: 30, retryAfter: 10 });
  });

  test('ends for those that are still there, and is none for who comes then', async () => {
    await draining.end([session(1)]);
    expect(sent).toEqual([]);
    await draining.begin({ within: 30, retryAfter: 10 }, [], 0);
    await draining.end([session(1), session(2, false)]);
    draining.admitted(session(3));
    expect(sent).toEqual([[1, { kind: 'stay' }]]);
    expect(draining.now).toBeUndefined();
  });

  test('that ends while many are told goes on telling none', async () => {
    const many = Array.from({ length: 1_000 }, (_, i) => session(i));
    const begun = draining.begin({ within: 30, retryAfter: 10 }, many, many.length);
    await draining.end(many);
    await begun;
    // Each that was sent away was called back.
    const last = new Map(sent);
    expect([...last.values()].every((message) => (message as { kind: string }).kind === 'stay')).toBe(true);
  });

  test('has its beginning from the first time, its times from the last', async () => {
    await draining.begin({ within: 30, retryAfter: 10 }, [], 0);
    const { sinceMs } = draining.now!;
    await draining.begin({ within: 5, retryAfter: 1 }, [], 0);
    expect(draining.now).toEqual({ within: 5, retryAfter: 1, sinceMs });
  });
});

describe('over tunnels', () => {
  let admission: FakeAdmission;
  let router: Router;
  let [a, b, c]: [Device, Device, Device] = [] as never;
  beforeEach(async () => {
    admission = fakeAdmission();
    [a, b, c] = await activeDevices(admission, 'fd00:1::a', 'fd00:1::b', 'fd00:1::c');
    router = await testRouter(admission);
  });
  afterEach(() => router.close());

  test('agents hear it and may stay, C peers do not, and the router goes on serving both', async () => {
    const agent = await admitted(router, a, OURS);
    const peer = await admitted(router, b);
    await router.drain({ within: 30, retryAfter: 10 });
    const newcomer = await admitted(router, c, OURS);
    await until(() => agent.controls.length === 2 && newcomer.controls.length === 2);
    expect(agent.controls[1]).toEqual(encodeDrain({ kind: 'leave', within: 30, after: 10, spread: 1 }));
    expect(newcomer.controls).toEqual([REPORT_REQUEST, agent.controls[1]]);
    expect(peer.controls).toEqual([]);
    expect(router.sizes).toEqual({ agent: 2, c: 1 });
    await router.resume();
    await until(() => agent.controls.length === 3);
    expect(agent.controls[2]).toEqual(encodeDrain({ kind: 'stay' }));
    expect(router.draining).toBeUndefined();
  });
});
