import { readFileSync } from 'node:fs';
import { parseBusy } from '../processes.ts';
import { type Callers, startCallers } from './callers.ts';
import type { BenchFabric, Serving } from './fabric.ts';
import { type Clients, closedLoop, type Outcome, percentile, sorted } from './load.ts';

/** A server at work, and the connections of its clients. */
export interface TestServer {
  readonly serving: Serving;
  /** What its clients trust. */
  readonly root: Uint8Array;
  readonly callers: Callers;
  stop(): Promise<void>;
}

/** Starts the fabric's program on these cores; `program` is callers.c, compiled. */
export async function startTestServer(
  fabric: BenchFabric,
  program: string,
  cores: string,
  ...options: string[]
): Promise<TestServer> {
  const serving = await fabric.serve(cores, ...options);
  const callers = startCallers(program, serving.port);
  return {
    serving,
    root: fabric.root,
    callers,
    async stop() {
      await callers.end();
      await serving.stop();
    },
  };
}

/** A load with what it cost. */
export interface MeasuredLoad extends Outcome {
  readonly perSecond: number;
  readonly cpuMs: number;
  /** How busy the server and the load generator were, of one core. */
  readonly busy: number;
  readonly ownBusy: number;
  /** What others used of the machine meanwhile, in cores. */
  readonly others: number;
  /** How long what the server had said lay there until the load generator looked at it, milliseconds, sorted. */
  readonly lain: readonly number[];
}

/** Both processes of the load generator count as the load generator. */
export async function measureLoad(
  {
    serving,
    callers,
  }: { readonly serving: Pick<Serving, 'cpu'>; readonly callers: Pick<Callers, 'cpu' | 'delays'> },
  run: () => Promise<Outcome>,
): Promise<MeasuredLoad> {
  callers.delays();
  const own = (): number => process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6 + callers.cpu();
  const machine = (): number => parseBusy(readFileSync('/proc/stat', 'latin1')).busy;
  const before = { server: serving.cpu(), own: own(), machine: machine(), at: performance.now() };
  const outcome = await run();
  const elapsed = (performance.now() - before.at) / 1_000;
  const spent = serving.cpu() - before.server;
  const mine = own() - before.own;
  return {
    ...outcome,
    perSecond: outcome.admitted / outcome.seconds,
    cpuMs: (spent * 1_000) / outcome.admitted,
    busy: spent / elapsed,
    ownBusy: mine / elapsed,
    others: Math.max(0, machine() - before.machine - spent - mine) / elapsed,
    lain: sorted(callers.delays()),
  };
}

/** All the load there is, for `seconds` after `warmS`. */
export async function saturate(
  server: TestServer,
  clients: Clients,
  warmS: number,
  seconds: number,
): Promise<MeasuredLoad> {
  const load = closedLoop(clients);
  await load.measure(warmS);
  const seen = await measureLoad(server, () => load.measure(seconds));
  await load.stop();
  return seen;
}

export const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** One load in words. */
export function describeLoad(name: string, seen: MeasuredLoad): string {
  const ms = (values: readonly number[], share: number): string =>
    `p${share * 100} ${percentile(values, share).toFixed(0)} ms`;
  const line =
    `${name}: ${Math.round(seen.perSecond)}/s, ${seen.cpuMs.toFixed(3)} ms CPU each, ` +
    `server ${percent(seen.busy)} of a core, load generator ${percent(seen.ownBusy)}, others ${percent(seen.others)}, ` +
    `${seen.refused} refused, ${seen.broken} broken, ${ms(seen.latencies, 0.5)}, ${ms(seen.latencies, 0.99)}`;
  if (seen.lateness.length === 0) return line;
  return (
    `${line}; of that the load generator’s own: it began ${ms(seen.lateness, 0.99)} after a client was due, ` +
    `and looked at each answer ${ms(seen.lain, 0.5)}, ${ms(seen.lain, 0.99)} after it had come`
  );
}
