import type { Counted } from './series.ts';
import { type Case, capacity } from './setup.ts';
import type { Run } from './simulate.ts';

/** What a run comes to. Seconds count from when the fabric is back, or from when a node is lost. */
export interface Figures {
  readonly scenario: string;
  readonly variant: string;
  readonly agents: number;
  readonly nodes: number;
  /** Connections that all nodes together take in a second, and how many seconds those of all agents take. */
  readonly capacity: number;
  readonly idealSeconds: number;
  readonly longestPause: number;
  readonly isTold: boolean;
  readonly seed: number;
  /** Agents without a tunnel when the most were. */
  readonly missing: number;
  /** The most connections that came in at routers in a second. */
  readonly peak: number;
  /** Attempts of all agents, those while the fabric was away included, for each of them. */
  readonly attemptsPerAgent: number;
  /** Connections: closed for others, told when to come again, given up by agents; handshakes: made and refused. */
  readonly cut: number;
  readonly told: number;
  readonly late: number;
  readonly provisioned: number;
  readonly refused: number;
  /** Of the routers' CPU, the share that went to connections that were not admitted; 0 if none was used. */
  readonly wasted: number;
  /** When so many per cent of the missing were back for good; null: not while it was simulated. */
  readonly back: {
    readonly '50': number | null;
    readonly '90': number | null;
    readonly '99': number | null;
    readonly '100': number | null;
  };
  /** The largest share of all tunnels that one node has at the end. */
  readonly fullest: number;
  readonly renewed: number;
  readonly simulatedSeconds: number;
}

/** The second from which times count. */
export function zeroOf({ setup: { outage, loss } }: Pick<Run, 'setup'>): number {
  const ms = outage === undefined ? (loss?.atMs ?? 0) : outage.fromMs + outage.forMs;
  return Math.ceil(ms / 1_000);
}

export function figuresOf({ scenario, variant, longestPause, isTold }: Case, run: Run): Figures {
  const { setup, series, seconds, cpu, carried, renewed } = run;
  const { agents, nodes, seed } = setup;
  const zero = zeroOf(run);
  const online = series.of('online').subarray(0, seconds);
  const sum = (what: Counted): number => series.of(what).reduce((all, each) => all + each, 0);
  const most = agents - online.subarray(zero).reduce((low, each) => Math.min(low, each), agents);
  const back = (share: number): number | null => {
    const enough = agents - Math.floor((1 - share) * most);
    const last = online.findLastIndex((each, second) => second >= zero && each < enough);
    return last === online.length - 1 ? null : Math.max(0, last + 1 - zero);
  };
  const perSecond = capacity(setup);
  return {
    scenario,
    variant,
    agents,
    nodes,
    capacity: Math.round(perSecond),
    idealSeconds: Math.round(most / perSecond),
    longestPause,
    isTold,
    seed,
    missing: most,
    peak: series.of('arrivals').reduce((all, each) => Math.max(all, each), 0),
    attemptsPerAgent: sum('attempts') / agents,
    cut: sum('cut'),
    told: sum('told'),
    late: sum('late'),
    provisioned: sum('provisioned'),
    refused: sum('refused'),
    wasted: cpu.used === 0 ? 0 : cpu.wasted / cpu.used,
    back: { '50': back(0.5), '90': back(0.9), '99': back(0.99), '100': back(1) },
    fullest: Math.max(...carried) / agents,
    renewed,
    simulatedSeconds: seconds,
  };
}
