import { longestPause } from '../../fabric/router/pace.ts';

/** What happens in a simulation, and to whom. Times are milliseconds; those of events count from the start of the simulation. */
export interface Setup {
  readonly agents: number;
  readonly nodes: number;
  /** Threads of each node, and CPU of one accept on one of them: 1,000 accepts a second with 2 and 2 ms. */
  readonly threads: number;
  readonly acceptMs: number;
  /** Handshakes of an identity server in a second; each node has one, on processors of its own. */
  readonly provisionsPerSecond: number;
  /** The longest pause of an agent between two attempts, as the fabric has told it; undefined: it has not. */
  readonly longestMs: number | undefined;
  /** False: each pause is as long as it can be. */
  readonly jitter: boolean;
  /**
   * How agents choose a node: one name with all addresses in an order of chance; or a list of hosts, each in an order of its own (`list`) or all in the same
   * one (`same`), of which the one that failed last is tried last; or which is always tried from its first on.
   */
  readonly choice: 'name' | 'list' | 'same' | 'first';
  /** The fabric is away: its hosts refuse connections, or nothing answers. */
  readonly outage?: { readonly fromMs: number; readonly forMs: number; readonly how: 'refused' | 'silent' };
  /** One node is away from then on. */
  readonly loss?: { readonly atMs: number; readonly node: number; readonly how: 'refused' | 'silent' };
  /** Nothing can be written to the database, or also not be read from it. */
  readonly database?: { readonly fromMs: number; readonly forMs: number; readonly readable: boolean };
  /** The router of one node does not reach the database. */
  readonly cutOff?: { readonly fromMs: number; readonly forMs: number; readonly node: number };
  /** The share of agents that have no identity yet: they are switched on while the fabric is away. */
  readonly fresh: number;
  /** The keys of all identities are due: each is renewed as soon as its agent has been online for a while. */
  readonly renewals: boolean;
  /** See `RouterModel.told`. `error`: of each node's estimate of how long it will take (standard deviation of its logarithm). `same`: all are told the whole time. */
  readonly told?: {
    readonly share: number;
    readonly cost: number;
    readonly error: number;
    readonly same: boolean;
  };
  /** When the simulation ends at the latest. */
  readonly untilMs: number;
  readonly seed: number;
}

/** Agents have been online for so long when something happens. */
export const CALM_MS = 120_000;
const MINUTE = 60_000;

/** How many nodes there are, and what each takes in a second, unless it is said. */
export const NODES = 10;
export const PER_SECOND = 1_000;
const THREADS = 2;

/** A case that is simulated with several longest pauses. */
export interface Scenario {
  readonly name: string;
  readonly about: string;
  /** At most so many agents, and nodes. */
  readonly most?: { readonly agents: number; readonly nodes: number };
  /** It is about several nodes. */
  readonly several?: true;
  /** Longest pauses in seconds beside 300, and the one that the fabric tells. */
  readonly pauses?: readonly number[];
  /** Runs beside that of `change`, by what is different. */
  readonly change: Partial<Setup>;
  readonly variants?: readonly { readonly label: string; readonly change: Partial<Setup> }[];
}

const away = (forMs: number, how: 'refused' | 'silent' = 'refused'): Pick<Setup, 'outage'> => ({
  outage: { fromMs: CALM_MS, forMs, how },
});
const BACK = CALM_MS + 10 * MINUTE;

/**
 * What a node might do when it has no room. To say it inside TLS costs all of an accept but the admission (router.ts, `SHARES`), less what was
 * spent to accept it.
 */
const TOLD = { share: 0.2, cost: 0.7, error: 0, same: false };
const TELLING = [
  { label: 'told', change: { told: TOLD } },
  { label: 'told, all the same', change: { told: { ...TOLD, same: true } } },
  { label: 'told, estimated', change: { told: { ...TOLD, error: 0.7 } } },
  { label: 'told at a tenth of the cost', change: { told: { ...TOLD, cost: 0.1 } } },
];

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'outage',
    about: 'the fabric is away for 10 minutes; its hosts refuse connections',
    pauses: [60],
    change: away(10 * MINUTE),
  },
  {
    name: 'silent',
    about: 'the same, and nothing answers: each attempt waits 10 s for its time-out',
    change: away(10 * MINUTE, 'silent'),
  },
  {
    name: 'short',
    about: 'the fabric is away for 20 seconds',
    pauses: [60],
    change: away(20_000),
    variants: TELLING,
  },
  {
    name: 'small',
    about: '1,000 agents of one node, which is away for 5 minutes',
    most: { agents: 1_000, nodes: 1 },
    change: away(5 * MINUTE),
  },
  {
    name: 'node',
    about: 'one node of all is away for good: its program ends, or its power',
    several: true,
    change: { loss: { atMs: CALM_MS, node: 0, how: 'refused' }, untilMs: CALM_MS + 60 * MINUTE },
    variants: [{ label: 'power', change: { loss: { atMs: CALM_MS, node: 0, how: 'silent' } } }],
  },
  {
    name: 'hosts',
    about: '10 minutes, and all agents have the nodes in remote.hosts, each in an order of its own',
    several: true,
    change: { ...away(10 * MINUTE), choice: 'list' },
    variants: [
      { label: 'listed', change: { choice: 'same' } },
      { label: 'from the first', change: { choice: 'first' } },
    ],
  },
  {
    name: 'database',
    about: '10 minutes; a minute later nothing is written to the database for 30 s; one agent of ten is new',
    change: {
      ...away(10 * MINUTE),
      fresh: 0.1,
      database: { fromMs: BACK + MINUTE, forMs: 30_000, readable: true },
    },
    variants: [
      { label: 'nor read', change: { database: { fromMs: BACK + MINUTE, forMs: 30_000, readable: false } } },
    ],
  },
  {
    name: 'cut-off',
    about:
      '10 minutes; then one node of all does not reach the database for 10 minutes; all agents have the nodes in remote.hosts',
    several: true,
    change: {
      ...away(10 * MINUTE),
      choice: 'list',
      cutOff: { fromMs: BACK, forMs: 10 * MINUTE, node: 0 },
    },
    variants: [
      { label: 'one name', change: { choice: 'name' } },
      { label: 'all nodes', change: { database: { fromMs: BACK, forMs: 10 * MINUTE, readable: false } } },
    ],
  },
  {
    name: 'renewals',
    about: '10 minutes, and the keys of all identities are due in the hour after',
    change: { ...away(10 * MINUTE), renewals: true, untilMs: BACK + 90 * MINUTE },
  },
  {
    name: 'weak',
    about: '10 minutes, and nodes that take 300 connections a second',
    change: { ...away(10 * MINUTE), acceptMs: (1_000 * THREADS) / 300, provisionsPerSecond: 300 },
    variants: TELLING.filter(({ label }) => !label.includes(',')),
  },
  {
    name: 'no-jitter',
    about: '10 minutes, and agents that all wait as long as they may: what the back-off spares',
    change: { ...away(10 * MINUTE), jitter: false },
  },
];

export const nodeRate = ({ threads, acceptMs }: Pick<Setup, 'threads' | 'acceptMs'>): number =>
  (1_000 * threads) / acceptMs;

/** Connections that all nodes together take in a second. */
export const capacity = (setup: Setup): number => setup.nodes * nodeRate(setup);

/** One simulation of a scenario. */
export interface Case {
  readonly scenario: string;
  /** What is different from the scenario's first run; empty for that. */
  readonly variant: string;
  /** Seconds. */
  readonly longestPause: number;
  /** It is the one that the fabric tells. */
  readonly isTold: boolean;
  readonly setup: Setup;
}

export interface Given {
  readonly agents: number;
  readonly seed: number;
  readonly nodes?: number;
  /** Connections that a node takes in a second, and as many handshakes. */
  readonly perSecond?: number;
  /** Longest pauses, seconds. */
  readonly pauses?: readonly number[];
}

/** What is simulated for a scenario. `pauses`, in seconds, take the place of its own. */
export function casesOf(scenario: Scenario, given: Given): Case[] {
  const { agents, nodes = NODES, perSecond = PER_SECOND } = given;
  const { most = { agents, nodes } } = scenario;
  const base: Setup = {
    agents: Math.min(most.agents, agents),
    nodes: Math.min(most.nodes, nodes),
    threads: THREADS,
    acceptMs: (1_000 * THREADS) / perSecond,
    provisionsPerSecond: perSecond,
    longestMs: undefined,
    jitter: true,
    choice: 'name',
    fresh: 0,
    renewals: false,
    untilMs: BACK + 60 * MINUTE,
    seed: given.seed,
    ...scenario.change,
  };
  const all = [{ label: '', change: {} }, ...(scenario.variants ?? [])];
  return all.flatMap(({ label, change }) => {
    const setup = { ...base, ...change };
    const told = longestPause(setup.agents, Math.floor(capacity(setup)));
    // What is different is compared with one longest pause.
    const own = label === '' ? [300, told, ...(scenario.pauses ?? [])] : [told];
    const pauses = [...new Set(given.pauses ?? own)].sort((one, other) => other - one);
    return pauses.map((seconds) => ({
      scenario: scenario.name,
      variant: label,
      longestPause: seconds,
      isTold: seconds === told,
      setup: { ...setup, longestMs: 1_000 * seconds },
    }));
  });
}
