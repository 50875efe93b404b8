import { expect, test } from 'vitest';
import { connectionTotals } from '../../../../fabric/router/totals.ts';
import type { RouterCounters } from '../../../../tunnel/router.ts';

interface Connection {
  packets: number;
}

/** Totals of so many open connections with a packet each, and how many of them were read so far. */
function totalsOf(count: number) {
  let read = 0;
  const totals = connectionTotals<Connection>(({ packets }) => {
    read++;
    return { receivedPackets: packets, drops: {} } as RouterCounters;
  });
  const connections = Array.from({ length: count }, () => ({ packets: 1 }));
  for (const connection of connections) totals.begin(connection);
  return { totals, connections, read: () => read };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('[H-E] a sum over many connections is made in parts, and everybody who asks meanwhile gets it', async () => {
  const { totals, read } = totalsOf(1_000);
  const sums = [totals.inTurns(), totals.inTurns(), totals.inTurns()];
  const steps: number[] = [];
  let done = false;
  void Promise.all(sums).then(() => {
    done = true;
  });
  for (let before = read(); !done; before = read()) {
    await turn();
    steps.push(read() - before);
  }
  expect(Math.max(...steps)).toBeLessThanOrEqual(100);
  expect(read()).toBe(1_000);
  for (const sum of sums) expect((await sum)?.receivedPackets).toBe(1_000);
  // The next one is a new one.
  await totals.inTurns();
  expect(read()).toBe(2_000);
});

test('[H-E] connections that end while they are added up are counted once, and a total never falls', async () => {
  const { totals, connections } = totalsOf(350);
  let last = 0;
  const unknown: Connection = { packets: 7 };
  for (let ended = 0; ended < 350; ended += 70) {
    const sum = totals.inTurns();
    for (const part of [0, 35]) {
      await turn();
      // From both ends: some have been read, some have not.
      for (let n = 0; n < 35; n++) {
        const index = n % 2 === 0 ? ended / 2 + part / 2 + n / 2 : 349 - (ended / 2 + part / 2 + (n - 1) / 2);
        totals.end(connections[Math.floor(index)]!);
      }
    }
    const packets = (await sum)!.receivedPackets;
    expect(packets).toBe(350);
    expect(packets).toBeGreaterThanOrEqual(last);
    last = packets;
  }
  expect(totals.now()?.receivedPackets).toBe(350);
  expect(totals.end(unknown)).toBe(false);
  expect(totals.now()?.receivedPackets).toBe(350);
});

test('without a connection there is no sum', async () => {
  const { totals } = totalsOf(0);
  expect(totals.now()).toBeUndefined();
  expect(await totals.inTurns()).toBeUndefined();
});
