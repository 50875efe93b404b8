import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { generateP256 } from '../../../crypto/primitives.ts';
import { encodeTrust } from '../../../protocol/identity/trust.ts';
import { makeRootCertificate } from '../../../protocol/xtt/certificate.ts';

/** The program as it is shipped, beside the bundle of the benchmark. */
export const PROGRAM = fileURLToPath(new URL('./enf-factory.mjs', import.meta.url));

/** Runs a command to its end. @throws Error if it fails */
export const factory = (...words: readonly string[]): string =>
  execFileSync(process.execPath, [PROGRAM, ...words], { encoding: 'utf8' });

/** A batch in a folder of its own. */
export interface Batch {
  readonly folder: string;
  readonly group: string;
  readonly trust: string;
}

export function makeBatch(folder: string, name: string): Batch {
  const group = join(folder, name);
  const trust = join(folder, `${name}-trust.json`);
  const xttRoot = makeRootCertificate(new Uint8Array(16).fill(0x52), generateP256().publicKey);
  const tlsRoot = '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n';
  writeFileSync(trust, encodeTrust({ xttRoot, tlsRoot }));
  factory('group', 'create', '--name', name, '--basename', 'bench', '--out', group);
  return { folder, group, trust };
}

/** A program of the line that goes on until it is told to stop, and says what happens as JSON. */
export interface Line {
  readonly pid: number;
  /** The next event for which this holds. @throws Error if the program ends before */
  until(holds: (event: LineEvent) => boolean): Promise<LineEvent>;
  stop(): Promise<void>;
}

export interface LineEvent {
  readonly event: string;
  readonly port?: number;
  readonly socket?: number;
  readonly message?: string;
}

export function startLine(...words: readonly string[]): Line {
  const child = spawn(process.execPath, [PROGRAM, ...words, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const events: LineEvent[] = [];
  let [errors, ended] = ['', false];
  const wake = new Set<() => void>();
  const tell = (): void => {
    for (const each of wake) each();
  };
  createInterface({ input: child.stdout! }).on('line', (line) => {
    events.push(JSON.parse(line) as LineEvent);
    tell();
  });
  child.stderr!.on('data', (text) => {
    errors = `${errors}${text}`.slice(-2_000);
  });
  child.once('close', () => {
    ended = true;
    tell();
  });
  return {
    pid: child.pid!,
    async until(holds) {
      for (;;) {
        for (let event = events.shift(); event !== undefined; event = events.shift())
          if (holds(event)) return event;
        if (ended) throw new Error(`${words.slice(0, 2).join(' ')} ended: ${errors}`);
        await new Promise<void>((settle) => {
          const woken = (): void => {
            wake.delete(woken);
            settle();
          };
          wake.add(woken);
        });
      }
    },
    async stop() {
      if (ended) return;
      child.kill('SIGINT');
      await once(child, 'close');
    },
  };
}
