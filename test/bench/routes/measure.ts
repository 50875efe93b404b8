import { setTimeout as pause } from 'node:timers/promises';
import type { Daemon } from './daemons.ts';
import { devicesOf, openPlace, type Place, type Program } from './place.ts';

/** What one daemon, started fresh, took; times in ms. */
export interface Figures {
  /** From adding a route at a node to a packet of another one that arrives. */
  readonly packetMs: number[];
  /** From adding many routes at a node until another one's kernel has them, and from removing them until it has none. */
  readonly addMs: number;
  readonly withdrawMs: number;
  /** CPU of the daemon meanwhile, at the node that adds and at the one that learns. */
  readonly addCpuMs: readonly [number, number];
  /** Memory of the daemon with all these routes, at both, bytes. */
  readonly rss: readonly [number, number];
  /** From cutting a node's link until another one has no route to its device; from killing its daemon; from starting that until it is back. */
  readonly cutMs: number;
  readonly killMs: number;
  readonly backMs: number;
  /** A node whose own tunnel is the older one sends to the node with the newer. */
  readonly newestWins: boolean;
}

const DEVICE = 'fd00:1::d';
const PATIENCE_MS = 120_000;
const now = (): number => Number(process.hrtime.bigint()) / 1e6;

async function until(
  what: string,
  fact: () => boolean,
  everyMs = 2,
  patienceMs = PATIENCE_MS,
): Promise<number> {
  const end = now() + patienceMs;
  while (!fact()) {
    if (now() > end) throw new Error(`${what}: not after ${patienceMs / 1000} s`);
    await pause(everyMs);
  }
  return now();
}

/** FRR has the link-local address of the next node, BIRD its other one. */
const leads = (place: Place, from: string, to: 1 | 2): boolean => {
  const { ok, out } = place.run(from, 'ip', '-6', 'route', 'get', DEVICE);
  return ok && new RegExp(`via (fd99::|fe80::9:)${to} `).test(out);
};

/** True once it is so, false if it is not after some seconds. */
const soon = (fact: () => boolean): Promise<boolean> =>
  until('', fact, 20, 10_000).then(
    () => true,
    () => false,
  );

async function change(
  writer: Program,
  count: number,
  metric: number,
  remove: boolean,
  address?: string,
): Promise<number> {
  writer.send(JSON.stringify({ count, metric, remove, address }));
  return (await writer.said<{ began: number }>()).began;
}

export async function measure(daemon: Daemon, rounds: number, count: number): Promise<Figures> {
  const place = openPlace(daemon);
  try {
    place.run(devicesOf('a'), 'ip', '-6', 'addr', 'add', `${DEVICE}/128`, 'dev', 'd0', 'nodad');
    for (const node of ['a', 'b', 'c']) await place.startDaemon(node);
    const table = String(daemon.table);
    const [atA, atB] = [
      await place.start('a', 'writer', 'tun0', table),
      await place.start('b', 'writer', 'tun0', table),
    ];
    const metric = daemon.metric(1);
    await change(atA, 1, metric, false, DEVICE);
    await until('the sessions', () => leads(place, 'c', 1), 50);
    await change(atA, 1, metric, true, DEVICE);
    await until('the withdrawal', () => !leads(place, 'c', 1), 20);
    await pause(1_000);

    const sink = await place.start(devicesOf('a'), 'sink');
    const probe = await place.start('c', 'probe', DEVICE);
    const packetMs: number[] = [];
    for (let i = 0; i < rounds; i++) {
      sink.send('');
      const began = await change(atA, 1, metric, false, DEVICE);
      packetMs.push((await sink.said<number>()) - began);
      await change(atA, 1, metric, true, DEVICE);
      await until('the withdrawal', () => !leads(place, 'c', 1), 20);
      await pause(700);
    }
    probe.child.stdin!.end();

    const before = place.routes('c');
    const usedBefore = [place.used('a').cpuMs, place.used('c').cpuMs] as const;
    const addBegan = await change(atA, count, metric, false);
    const addMs = (await until('the routes', () => place.routes('c') >= before + count, 20)) - addBegan;
    const [a, c] = [place.used('a'), place.used('c')];
    const removeBegan = await change(atA, count, metric, true);
    const withdrawMs = (await until('their withdrawal', () => place.routes('c') <= before, 20)) - removeBegan;

    await change(atA, 1, metric, false, DEVICE);
    await until('the route', () => leads(place, 'c', 1), 20);
    await change(atB, 1, daemon.metric(2), false, DEVICE);
    await until('the newer route', () => leads(place, 'c', 2), 20);
    const newestWins = await soon(() => leads(place, 'a', 2));
    await change(atB, 1, daemon.metric(2), true, DEVICE);
    await until('the older route', () => leads(place, 'c', 1), 20);

    const cutAt = now();
    place.cut('a', true);
    const cutMs = (await until('the cut', () => !leads(place, 'c', 1))) - cutAt;
    place.cut('a', false);
    await until('the route after the cut', () => leads(place, 'c', 1), 50);
    const killAt = now();
    place.killDaemon('a');
    const killMs = (await until('the kill', () => !leads(place, 'c', 1))) - killAt;
    await pause(1_000);
    const startAt = now();
    await place.startDaemon('a');
    const backMs = (await until('the route after the kill', () => leads(place, 'c', 1), 10)) - startAt;
    return {
      ...{ packetMs, addMs, withdrawMs, cutMs, killMs, backMs, newestWins },
      addCpuMs: [a.cpuMs - usedBefore[0], c.cpuMs - usedBefore[1]],
      rss: [a.rss, c.rss],
    };
  } finally {
    place.close();
  }
}
