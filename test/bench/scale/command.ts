import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The program as it is shipped, beside the bundle of the benchmark. */
export const PROGRAM = fileURLToPath(new URL('./enf-fabric.mjs', import.meta.url));

/** How often the memory of a command is looked at. */
const LOOK_MS = 5;

/** What a command took. */
export interface Run {
  readonly seconds: number;
  /** Megabytes (10^6 bytes) of the whole process, at most. */
  readonly peakMb: number;
  /** How many elements of a JSON array it has printed. */
  readonly rows: number;
}

/** Runs a command to its end. @throws Error if it fails */
export async function run(...words: readonly string[]): Promise<Run> {
  const begun = performance.now();
  const child = spawn(process.execPath, [PROGRAM, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let peakMb = 0;
  const timer = setInterval(() => {
    peakMb = Math.max(peakMb, peakOf(child.pid!));
  }, LOOK_MS);
  const elements = elementCounter();
  let [rows, errors] = [0, ''];
  child.stdout.on('data', (chunk: Buffer) => {
    rows += elements(chunk);
  });
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  const [code] = await once(child, 'close');
  clearInterval(timer);
  if (code !== 0) throw new Error(`${words.join(' ')} ended with ${code}: ${errors}`);
  return { seconds: (performance.now() - begun) / 1_000, peakMb, rows };
}

/** The largest resident set of a process so far, in megabytes; 0 once it has ended. */
function peakOf(pid: number): number {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return (Number(kilobytes ?? 0) * 1_024) / 1e6;
  } catch {
    return 0;
  }
}

/** What begins an element of an array, and nothing in it. */
const ELEMENT = '\n  {';

/** Counts the elements of an array in the parts of its text. */
export function elementCounter(): (part: Buffer) => number {
  let rest = Buffer.alloc(0);
  return (part) => {
    const text = Buffer.concat([rest, part]);
    let count = 0;
    for (let at = text.indexOf(ELEMENT); at >= 0; at = text.indexOf(ELEMENT, at + 1)) count++;
    // Too short for a whole one.
    rest = text.subarray(-ELEMENT.length + 1);
    return count;
  };
}
