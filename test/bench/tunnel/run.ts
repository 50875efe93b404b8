import { cpus } from 'node:os';
import { isFailure } from '../../../protocol/failure.ts';
import { measureNoise } from '../processes.ts';
import { type Kind, waitUntilUp } from './kind.ts';
import {
  type Bench,
  measureFast,
  measureLimited,
  measureTlsFast,
  measureTlsLimited,
  type TlsOptions,
} from './measure.ts';
import { veth } from './own.ts';
import { PATHS, type Path } from './path.ts';
import { makeCertificates } from './rivals.ts';
import type { Sample } from './row.ts';

/**
 * One interleaved run. Each round visits every path and, on it, every tunnel in turn (the next round backwards), each
 * time on namespaces made anew, so that whatever else the machine does meets all of them alike.
 */

/**
 * The order of one round on a path. Where the processor decides, there and back: a virtual machine can be half as fast again for
 * some ten seconds, and too few looks may all meet that in one tunnel.
 */
export function visits<T>(kinds: readonly T[], path: Path, round: number): readonly T[] {
  const [there, back] = [kinds, [...kinds].reverse()];
  if (path.name === 'fast') return [...there, ...back];
  return round % 2 === 0 ? back : there;
}

/** TLS without a tunnel, as one of the kinds: it has no ends to start, its measurement is its own. */
export const tlsBulk: Kind = { ...veth, name: 'tls-bulk' };
const CIPHER = 'TLS_AES_128_GCM_SHA256';
/** A program that did not come up may have met a busy machine. */
const ATTEMPTS = 2;

export interface Result {
  readonly name: string;
  readonly samples: readonly Sample[];
  /** Why there are none, or fewer. */
  readonly troubles: readonly string[];
}

/** @param progress is told each step @returns results in the order of `kinds`, and the share others used in each visit */
export async function run(
  kinds: readonly Kind[],
  rounds: number,
  common: Omit<Bench, 'congestion'>,
  congestion: (path: Path) => string,
  progress: (line: string) => void,
): Promise<{ results: readonly Result[]; noise: readonly number[] }> {
  const { testbed, tools } = common;
  const results = kinds.map(() => ({ samples: [] as Sample[], troubles: [] as string[] }));
  const noise: number[] = [];
  const out = new Set<Kind>();
  const trouble = (kind: Kind, error: unknown): void => {
    testbed.ensureOpen(); // what fails because we were stopped is nobody's trouble
    results[kinds.indexOf(kind)]!.troubles.push((error as Error).message);
    if (isFailure(error, 'bench.not-here')) out.add(kind);
  };

  progress('making keys, certificates and identities');
  await testbed.build(PATHS[0]!, tools.wan, 0);
  const file = await makeCertificates(testbed);
  const tls: TlsOptions = { certificate: file('far', 'crt'), key: file('far', 'key'), cipher: CIPHER };
  for (const kind of kinds) {
    try {
      await kind.prepare(testbed);
    } catch (error) {
      trouble(kind, error);
      out.add(kind);
    }
  }
  await testbed.clear();

  const visitOnce = async (kind: Kind, path: Path, seed: number): Promise<Sample> => {
    const bench: Bench = { ...common, congestion: congestion(path) };
    await testbed.build(path, tools.wan, seed);
    const meter = measureNoise(testbed.groups, cpus().length);
    const sample = kind === tlsBulk ? await visitTls(bench, tls, path) : await visit(bench, kind, path);
    noise.push(meter.share());
    return sample;
  };

  const clock = remaining(rounds * PATHS.flatMap((path) => visits(kinds, path, 1)).length);
  for (let round = 1; round <= rounds; round++) {
    for (const path of PATHS) {
      for (const kind of visits(kinds, path, round)) {
        const left = clock.next(out.has(kind));
        if (out.has(kind)) continue;
        progress(`round ${round}/${rounds}, ${path.title}: ${kind.name}${left}`);
        for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
          const failed = await visitOnce(kind, path, round).then(
            (sample) => void results[kinds.indexOf(kind)]!.samples.push(sample),
            (error: unknown) => ({ error }),
          );
          await testbed.clear();
          if (failed === undefined) break;
          const again = attempt < ATTEMPTS && isFailure(failed.error, 'bench.not-up');
          if (again) continue;
          trouble(kind, failed.error);
          break;
        }
      }
    }
  }
  return { results: kinds.map(({ name }, i) => ({ name, ...results[i]! })), noise };
}

/** How long the rest will take, by what the visits took so far. */
function remaining(visits: number): { next(skipped: boolean): string } {
  const start = performance.now();
  let [begun, left] = [0, visits];
  return {
    next(skipped) {
      const minutes = (((performance.now() - start) / 60_000) * left) / Math.max(1, begun);
      const text = begun === 0 ? '' : `, about ${Math.ceil(minutes)} min left`;
      left--;
      if (!skipped) begun++;
      return text;
    },
  };
}

async function visit(bench: Bench, kind: Kind, path: Path): Promise<Sample> {
  const standing = await kind.start(bench.testbed);
  await waitUntilUp(bench.testbed, standing);
  if (path.name === 'fast') return measureFast(bench, standing);
  const { mbit, rttMs } = await measureLimited(bench, standing, bench.effort[path.name]);
  return path.name === 'slow'
    ? { mbit_at_20: mbit, ...(rttMs !== undefined && { rtt_load_20mbit_ms: rttMs }) }
    : { mbit_lossy: mbit, ...(rttMs !== undefined && { rtt_lossy_ms: rttMs }) };
}

async function visitTls(bench: Bench, tls: TlsOptions, path: Path): Promise<Sample> {
  if (path.name === 'fast') return measureTlsFast(bench, tls);
  const mbit = await measureTlsLimited(bench, tls, bench.effort[path.name]);
  return path.name === 'slow' ? { mbit_at_20: mbit } : { mbit_lossy: mbit };
}
