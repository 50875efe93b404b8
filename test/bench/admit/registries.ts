import { availableParallelism } from 'node:os';
import { median } from '../statistics.ts';
import { columns, figure } from '../table.ts';
import { databaseCpu } from './database-cpu.ts';
import { type BenchFabric, found } from './fabric.ts';
import { type BenchGroup, type Chip, makeChip, signAs } from './fleet.ts';
import { addressOf, closedLoop } from './load.ts';
import {
  type MeasuredLoad,
  measureLoad,
  percent,
  startTestServer,
  type TestServer,
} from './measured-load.ts';

/** What one registry takes beside another, each in its turn: first boots, and boots of devices that it knows. */

/** Handshakes at a time for each server. */
const SLOTS = 192;
const REST_MS = 60;
const TURNS = 4;
const WARM_S = 1;
/** Known devices: few enough that some have all the rows of handshakes that are kept, at the end. */
const KNOWN = 1_000;
/** First boots of a turn, at most; beyond them devices come again. */
const FIRST_BOOTS_PER_S = 3_300;

/** A registry with the servers on it. */
interface Candidate {
  readonly registry: string;
  readonly servers: readonly TestServer[];
  /** CPU seconds of the database's processes so far. */
  readonly database: () => number;
  /** Which device comes next: of those that never came, and of those that did. */
  readonly comes: Record<Kind, () => Chip>;
}

type Kind = 'first' | 'known';
const KINDS: readonly Kind[] = ['first', 'known'];
const TITLE: Record<Kind, string> = { first: 'first boots', known: 'boots of known devices' };

interface Turn {
  readonly seen: MeasuredLoad;
  readonly databaseMs: number;
}

interface Options {
  /** callers.c, compiled. */
  readonly program: string;
  readonly seconds: number;
  /** The file with the database's address. */
  readonly registry: string;
  /** Identity servers on it: 1, or also 2. */
  readonly servers: number;
  readonly say: (line: string) => void;
}

export interface RegistryFigures {
  readonly registry: string;
  readonly servers: number;
  readonly kind: Kind;
  readonly handshakes_per_s: number;
  readonly fabric_ms: number;
  readonly database_ms: number;
  readonly ratio_to_sqlite: number;
  /** The rate at which the busiest of a server and the database has no time left, if nobody else has their processors, against the same of SQLite. */
  readonly own_cores_ratio: number;
}

/** Measures all of them in turns; `onFile` has its registry in a file. */
export async function compareRegistries(
  onFile: BenchFabric,
  groups: readonly BenchGroup[],
  { program, seconds, registry, servers, say }: Options,
): Promise<RegistryFigures[]> {
  const onServer = found(groups, registry);
  const nodes = ['a', 'b'].slice(0, servers).map((name) => onServer.another(name));
  try {
    say('making devices');
    const count = Math.ceil(FIRST_BOOTS_PER_S * (seconds + WARM_S) * TURNS * servers) + KNOWN;
    const chips = Array.from({ length: count }, (_, i) => makeChip(groups[i % groups.length]!));
    const started = await Promise.all(nodes.map((node, i) => startTestServer(node, program, coreOf(i))));
    const there = comingTo(chips);
    let spent = (): number => 0;
    const candidates: Candidate[] = [
      {
        registry: 'SQLite',
        servers: [await startTestServer(onFile, program, coreOf(0))],
        database: () => 0,
        comes: comingTo(chips),
      },
      ...nodes.map((_, i) => ({
        registry: i === 0 ? 'PostgreSQL' : 'PostgreSQL, two servers',
        ...{ servers: started.slice(0, i + 1), database: () => spent(), comes: there },
      })),
    ];
    for (const each of candidates) await turn(each, 'first', WARM_S);
    // Its connections are there now.
    spent = databaseCpu(registry);
    const turns = candidates.map(() => ({ first: [] as Turn[], known: [] as Turn[] }));
    for (let round = 0; round < TURNS; round++)
      for (const kind of KINDS)
        for (const [at, each] of candidates.entries()) {
          const taken = await turn(each, kind, seconds);
          turns[at]![kind].push(taken);
          say(`${each.registry}, ${TITLE[kind]}: ${inWords(taken)}`);
        }
    for (const { stop } of [...candidates[0]!.servers, ...started]) await stop();
    return candidates.flatMap(({ registry, servers }, at) =>
      KINDS.map((kind) =>
        figuresOf({ registry, servers: servers.length, kind }, turns[at]![kind], turns[0]![kind]),
      ),
    );
  } finally {
    for (const fabric of [onServer, ...nodes]) fabric.remove();
  }
}

/** The load generator has core 1; servers share the others as far as they go. */
function coreOf(server: number): string {
  const cores = Array.from({ length: availableParallelism() }, (_, core) => core).filter(
    (core) => core !== 1,
  );
  return String(cores[server % Math.max(1, cores.length)] ?? 0);
}

function comingTo(chips: readonly Chip[]): Record<Kind, () => Chip> {
  let [first, known] = [0, 0];
  return {
    first: () => chips[first++ % chips.length]!,
    known: () => chips[known++ % Math.min(KNOWN, first)]!,
  };
}

/** One load on a candidate, with what its database spent on it. */
async function turn({ servers, database, comes }: Candidate, kind: Kind, seconds: number): Promise<Turn> {
  const load = closedLoop({
    slots: SLOTS * servers.length,
    restMs: REST_MS,
    next(slot) {
      const { callers, root } = servers[slot % servers.length]!;
      const { group, ...chip } = comes[kind]();
      const suite = Math.floor(slot / servers.length) % 2 === 0 ? 1 : 3;
      return {
        ...{ callers, root, suite, from: addressOf(1, slot), gid: group.gid },
        sign: (message) => signAs({ group, ...chip }, message),
      };
    },
  });
  await load.measure(WARM_S);
  const before = database();
  const seen = await measureLoad(together(servers), () => load.measure(seconds));
  const spent = database() - before;
  await load.stop();
  return { seen, databaseMs: (spent * 1_000) / seen.admitted };
}

/** Several servers as one. */
const together = (servers: readonly TestServer[]): Parameters<typeof measureLoad>[0] => ({
  serving: { cpu: () => servers.reduce((sum, { serving }) => sum + serving.cpu(), 0) },
  callers: {
    cpu: () => servers.reduce((sum, { callers }) => sum + callers.cpu(), 0),
    delays: () => servers.flatMap(({ callers }) => callers.delays()),
  },
});

const middle = (turns: readonly Turn[], of: (turn: Turn) => number): number => median(turns.map(of))!;

function figuresOf(
  what: Pick<RegistryFigures, 'registry' | 'servers' | 'kind'>,
  turns: readonly Turn[],
  onFile: readonly Turn[],
): RegistryFigures {
  const fabric = middle(turns, ({ seen }) => seen.cpuMs);
  const database = middle(turns, ({ databaseMs }) => databaseMs);
  const busiest = Math.max(fabric / what.servers, database);
  return {
    ...what,
    handshakes_per_s: middle(turns, ({ seen }) => seen.perSecond),
    fabric_ms: fabric,
    database_ms: database,
    // Of turns beside each other: a machine may become faster within a run.
    ratio_to_sqlite: median(turns.map(({ seen }, at) => seen.perSecond / onFile[at]!.seen.perSecond))!,
    own_cores_ratio: middle(onFile, ({ seen }) => seen.cpuMs) / busiest,
  };
}

const inWords = ({ seen, databaseMs }: Turn): string =>
  `${Math.round(seen.perSecond)}/s, ${seen.cpuMs.toFixed(3)} ms CPU each, database ${databaseMs.toFixed(3)} ms, ` +
  `server ${percent(seen.busy)} of a core, load generator ${percent(seen.ownBusy)}, ${seen.refused} refused, ${seen.broken} broken`;

/** The table of one run. */
export const reportRegistries = (all: readonly RegistryFigures[]): string =>
  columns(
    ['', 'per second', 'of SQLite', 'CPU of fabric', 'of database', 'of SQLite, on own cores'],
    all.map((each) => [
      `${each.registry}: ${TITLE[each.kind]}`,
      `${Math.round(each.handshakes_per_s)}`,
      figure(each.ratio_to_sqlite),
      `${figure(each.fabric_ms)} ms`,
      `${figure(each.database_ms)} ms`,
      figure(each.own_cores_ratio),
    ]),
  );
