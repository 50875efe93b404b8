import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { curves } from '../../../crypto/curves.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { hello } from '../../../protocol/xtt/client.ts';
import { ownName } from '../../namespaces.ts';
import { startCallers } from '../admit/callers.ts';
import type { Caller } from '../admit/client.ts';
import { type BenchFabric, found, type Serving } from '../admit/fabric.ts';
import { type BenchGroup, makeChip, makeGroup, signAs } from '../admit/fleet.ts';
import { addressOf, openLoop } from '../admit/load.ts';
import { compile } from '../compile.ts';
import { enrol, heartbeats } from '../router/devices.ts';
import { answer } from '../router/measure.ts';
import type { Attack, Row } from './attack.ts';

/** Strangers that connect, send something or nothing, and go no further; whoever is closed connects again. */
interface Strangers {
  readonly what: string;
  readonly family: 4 | 6;
  readonly sources: number;
  /** Connections of each source at a time. */
  readonly each: number;
  /** What each sends; nothing if undefined. */
  readonly first?: 'hello';
  /** Honest connects that must succeed, in percent. */
  readonly atLeast: number;
}

const SILENT = 'silent sources';
const STOPPING = 'sources that stop after their hello';
/** What an operator might allow. Strangers that stop after their hello are as many: with more, those that come again make room. */
const MAX_CONNECTIONS = 4_000;
const STRANGERS: readonly Strangers[] = [
  { what: `4 ${SILENT}`, family: 4, sources: 4, each: 1_500, atLeast: 95 },
  { what: `40 ${SILENT}`, family: 4, sources: 40, each: 150, atLeast: 95 },
  { what: `250 ${SILENT}`, family: 4, sources: 250, each: 24, atLeast: 95 },
  { what: `1,000 ${SILENT}`, family: 4, sources: 1_000, each: 6, atLeast: 95 },
  { what: `1,000 ${SILENT}, /64s of a /40`, family: 6, sources: 1_000, each: 6, atLeast: 90 },
  { what: `1,000 ${STOPPING}`, family: 4, sources: 1_000, each: 4, first: 'hello', atLeast: 95 },
  {
    what: `1,000 ${STOPPING}, /64s of a /40`,
    family: 6,
    sources: 1_000,
    each: 6,
    first: 'hello',
    atLeast: 90,
  },
];
/** Devices that come for their identity, a second, and how long each takes for a group signature. */
const ARRIVALS = 10;
const SIGNING_MS = 1_000;
const DEVICES = 200;
/** Until strangers who cannot all connect have done their worst. */
const SETTLING_MS = 6_000;
const { primitives } = curves();

/** A fabric in a network namespace where 127.0.0.0/8 and a /40 lead to the machine itself, and its honest devices. */
interface Place {
  readonly serving: Serving;
  /** Words before a program that is to run there. */
  readonly inside: readonly string[];
  /** Starts strangers.c there. */
  come(strangers: Strangers, port: number, first: string): Promise<{ leave(): Promise<void> }>;
  /** Honest connects that succeeded, in percent. */
  tunnels(seconds: number): Promise<number>;
  identities(seconds: number): Promise<number>;
}

export const CONNECTS: Attack = {
  id: 'A2',
  title: 'strangers shut the router and the identity server',
  async measure({ seconds }, say) {
    const group = makeGroup('bench');
    const fabric = found([group]);
    const namespace = `enf-${ownName('connects')}-x`;
    try {
      ip('netns', 'add', namespace);
      ip('-n', namespace, 'link', 'set', 'lo', 'up');
      ip('-n', namespace, '-6', 'route', 'add', 'local', '2001:db8:a000::/40', 'dev', 'lo');
      const place = await open(fabric, group, namespace);
      const rows: Row[] = [];
      try {
        const { port, tunnelPort } = place.serving;
        const greeting = { dhSecret: primitives.random(32), nonce: primitives.random(32) };
        const clientInit = toHex(hello(primitives, 1, greeting).send);
        rows.push(...(await measureAt('router', place.tunnels, tunnelPort, 'clienthello')));
        rows.push(...(await measureAt('identity server', place.identities, port, clientInit)));
      } finally {
        await place.serving.stop();
      }
      return rows;

      async function measureAt(
        where: string,
        honest: (seconds: number) => Promise<number>,
        port: number,
        first: string,
      ): Promise<Row[]> {
        say(`${where}: alone`);
        const without = await honest(seconds);
        const rows: Row[] = [];
        for (const strangers of STRANGERS) {
          say(`${where}: ${strangers.what}`);
          const { leave } = await place.come(strangers, port, first);
          const under = await honest(seconds);
          await leave();
          const what = `honest connects at the ${where}, ${strangers.what}`;
          rows.push({ what, unit: '%', without, with: under, must: { atLeast: strangers.atLeast } });
        }
        return rows;
      }
    } finally {
      fabric.remove();
      ip('netns', 'del', namespace);
    }
  },
};

const ip = (...words: string[]): void => void execFileSync('ip', words);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function open(fabric: BenchFabric, group: BenchGroup, namespace: string): Promise<Place> {
  const program = await compile('hostile/strangers', fabric.folder, ['-lssl', '-lcrypto']);
  const devicesProgram = await compile('router/devices', fabric.folder, ['-lssl', '-lcrypto', '-lpthread']);
  const callersProgram = await compile('admit/callers', fabric.folder);
  const list = heartbeats(fabric, await enrol(fabric, group, DEVICES));
  const inside = ['netns', 'exec', namespace];
  const serving = await fabric.serveAs(['ip', ...inside], '--max-connections', String(MAX_CONNECTIONS));
  const run = (...words: string[]): ChildProcess =>
    spawn('ip', [...inside, ...words], { stdio: ['pipe', 'pipe', 'inherit'] });
  return {
    serving,
    inside,
    async come({ family, sources, each, first }, port, greeting) {
      const host = family === 4 ? '127.0.0.1' : '::1';
      const sent = first === undefined ? [] : [greeting];
      const strangers = run(
        program,
        host,
        String(port),
        String(family),
        String(sources),
        String(each),
        ...sent,
      );
      const ended = once(strangers, 'exit');
      await Promise.race([once(strangers.stdout!, 'data'), pause(SETTLING_MS), ended]);
      if (strangers.exitCode !== null) throw new Error('the strangers could not connect');
      return {
        async leave() {
          strangers.stdin!.end();
          await ended;
          await pause(SETTLING_MS);
        },
      };
    },
    async tunnels(seconds) {
      const devices = run(devicesProgram, 'try', String(serving.tunnelPort), list, String(seconds));
      const { tried, connections } = await answer<{ tried: number; connections: number }>(devices);
      return (100 * connections) / tried;
    },
    async identities(seconds) {
      const callers = startCallers(callersProgram, serving.port, ['ip', ...inside]);
      const next = (turn: number): Caller => {
        const chip = makeChip(group);
        const sign = (message: Uint8Array): Uint8Array => signAs(chip, message);
        const from = addressOf(200, turn);
        return { callers, from, suite: 1, gid: group.gid, root: fabric.root, sign, signingMs: SIGNING_MS };
      };
      const { admitted, refused, broken } = await openLoop(ARRIVALS, seconds, next);
      await callers.end();
      return (100 * admitted) / (admitted + refused + broken);
    },
  };
}
