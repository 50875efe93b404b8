import { afterEach, expect, test } from 'vitest';
import { encodeBeats } from '../../../protocol/tunnel/beats.ts';
import { heartbeat } from '../../../protocol/tunnel/icmp6.ts';
import { parsePace } from '../../../protocol/tunnel/pace.ts';
import { BEATS_TYPE } from '../../../protocol/tunnel/wire.ts';
import { activeDevices, admitted, fakeAdmission, OURS, testRouter, until } from './fixture.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function greeted(options: Parameters<typeof testRouter>[1]) {
  const admission = fakeAdmission();
  const [a, b] = await activeDevices(admission, 'fd00:1::a', 'fd00:1::b');
  const router = await testRouter(admission, options);
  closing.push(() => router.close());
  const [agent, c] = [await admitted(router, a, OURS), await admitted(router, b)];
  closing.push(agent.close, c.close);
  /** The C peer has everything that it was sent before. */
  const caughtUp = async (): Promise<void> => {
    c.send(heartbeat(b.address));
    await until(() => c.received.length > 0);
  };
  return { agent, c, caughtUp };
}

test('an agent is told how soon to send heartbeats when it was admitted; a C peer hears nothing', async () => {
  const beats = { periodMs: 5_000, timeoutMs: 3_000 };
  const { agent, c, caughtUp } = await greeted({ beats });
  await until(() => agent.controls.length === 2);
  expect(agent.controls[1]).toEqual(encodeBeats(beats));
  await caughtUp();
  expect(c.controls).toEqual([]);
});

test('without them it is told nothing of that', async () => {
  const { agent } = await greeted({ pace: { connectsPerSecond: 300, devices: async () => 1 } });
  await until(() => agent.controls.some((packet) => parsePace(packet) !== undefined));
  expect(agent.controls.filter(([type]) => type === BEATS_TYPE)).toEqual([]);
});
