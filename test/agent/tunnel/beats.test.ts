import { describe, expect, test, vi } from 'vitest';
import { heartbeatRules } from '../../../agent/tunnel/tls-session.ts';
import { concat, fromHex, u32 } from '../../../protocol/bytes.ts';
import { heartbeat } from '../../../protocol/tunnel/icmp6.ts';
import { OWN, openedTunnel } from './opened-tunnel.ts';

/** The packet as docs/wire.md has it. */
const beats = (periodMs: number, timeoutMs: number): Uint8Array =>
  concat(fromHex('f901'), u32(periodMs), u32(timeoutMs));
const SHORTEST = beats(2_000, 1_000);

/** A tunnel whose router says this as soon as the device is up; heartbeats are a minute apart by its own rules. */
async function told(packet: Uint8Array, rules: Parameters<typeof openedTunnel>[1] = { shortened: true }) {
  const opened = await openedTunnel({}, rules);
  opened.connect();
  await opened.happens('up');
  opened.router.send(packet);
  return opened;
}

describe('shorter heartbeats', () => {
  test('are sent as soon as the router says so, and a router that falls silent is given up', async () => {
    const { router, settings, events, failure } = await told(SHORTEST);
    await vi.waitFor(() => expect(router.packets.length).toBeGreaterThan(2), 15_000);
    expect(router.packets).toEqual(router.packets.map(() => heartbeat(OWN)));
    expect(events).toHaveLength(1);
    settings.silent = true;
    expect(await failure()).toMatchObject({ code: 'tunnel.silent' });
  });

  test('hold for the connection alone', async () => {
    const { router, connect, happens, events } = await told(SHORTEST);
    await vi.waitFor(() => expect(router.packets.length).toBeGreaterThan(1), 15_000);
    connect();
    await vi.waitFor(() => expect(events.map(({ kind }) => kind)).toEqual(['up', 'up']), 10_000);
    const before = router.packets.length;
    const other = await told(SHORTEST);
    await vi.waitFor(() => expect(other.router.packets.length).toBeGreaterThan(2), 15_000);
    expect(router.packets).toHaveLength(before);
    await happens('up');
  });

  test('are no longer ones', async () => {
    const own = { shortened: true, heartbeatPeriodMs: 100 };
    const [long, never] = await Promise.all([told(beats(300_000, 300_000), own), told(SHORTEST)]);
    await vi.waitFor(() => expect(never.router.packets.length).toBeGreaterThan(1), 15_000);
    expect(long.router.packets.length).toBeGreaterThan(2);
  });

  test('are refused out of bounds, in another form, and where an operator has set them: nothing is disturbed', async () => {
    const refused = await Promise.all([
      ...[
        beats(1_999, 1_000),
        beats(2_000, 999),
        beats(0, 0),
        fromHex('f9'),
        fromHex('f901'),
        fromHex('f90200000fa000000fa0'),
        SHORTEST.subarray(0, 9),
        concat(SHORTEST, Uint8Array.of(0)),
      ].map((packet) => told(packet)),
      told(SHORTEST, {}),
    ]);
    const taken = await told(SHORTEST);
    await vi.waitFor(() => expect(taken.router.packets.length).toBeGreaterThan(2), 15_000);
    for (const { router, events } of refused) expect([router.packets.length, events.length]).toEqual([1, 1]);
  });
});

test('the agent lets the fabric shorten what nobody has set', () => {
  const rules = (heartbeatPeriod: number | 'auto', heartbeatTimeout: number | 'auto') =>
    Object.values(heartbeatRules({ heartbeatPeriod, heartbeatTimeout }));
  expect(rules('auto', 'auto')).toEqual([25_000, 10_000, true]);
  expect(rules(300_000, 'auto')).toEqual([300_000, 10_000, false]);
  expect(rules('auto', 500)).toEqual([25_000, 500, false]);
  expect(rules(1_000, 2_000)).toEqual([1_000, 2_000, false]);
});
