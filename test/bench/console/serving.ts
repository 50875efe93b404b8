import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { PROGRAM } from '../scale/command.ts';
import type { Row } from '../scale/report.ts';

/** A console in a process of its own, and somebody who has a token for it. */
export interface ServedConsole {
  /** The JSON at a path below `/api/v1`, and how long it took, in milliseconds. @throws Error if it is refused */
  get<T>(path: string): Promise<{ readonly ms: number; readonly answer: T }>;
  /** How many rows of a list a second come as a file, of which there have to be so many. @throws Error if there are not */
  exported(path: string, rows: number): Promise<Row>;
  /** The largest resident set of the process so far. */
  memory(): Row;
  stop(): Promise<void>;
}

/** They ask in turns: each may make 600 requests within half a minute. */
export const TOKENS = 8;
const MOST_MB = 150;
const LEAST_ROWS = 10_000;
const NEWLINE = 10;

function makeToken(data: string, name: string): string {
  const words = ['token', 'create', '--json', '--name', name, '--role', 'owner', '--data', data];
  const made = execFileSync(process.execPath, [PROGRAM, ...words]);
  return (JSON.parse(String(made)) as { token: string }).token;
}

export async function serveConsole(data: string): Promise<ServedConsole> {
  const command = ['console', 'serve', '--json', '--data', data, '--listen', '127.0.0.1:0'];
  const child = spawn(process.execPath, [PROGRAM, ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = await once(child.stdout, 'data');
  const { hostname, port } = new URL(JSON.parse(String(said)).ready.api);
  const tokens = Array.from({ length: TOKENS }, (_, n) => makeToken(data, `bench ${n}`));
  let asked = 0;
  const agent = new Agent({ keepAlive: true });
  return {
    get(path) {
      const begun = performance.now();
      return new Promise((resolve, reject) => {
        const headers = { authorization: `Bearer ${tokens[asked++ % TOKENS]}` };
        const sent = request({ hostname, port, path: `/api/v1${path}`, agent, headers }, (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (part: string) => {
            text += part;
          });
          response.on('end', () => {
            if (response.statusCode === 200)
              resolve({ ms: performance.now() - begun, answer: JSON.parse(text) });
            else reject(new Error(`${path}: ${response.statusCode} ${text}`));
          });
        });
        sent.on('error', reject);
        sent.end();
      });
    },
    async exported(path, rows) {
      const begun = performance.now();
      const headers = { authorization: `Bearer ${tokens[0]}` };
      const response = await fetch(`http://${hostname}:${port}/api/v1${path}`, { headers });
      let lines = 0;
      for await (const chunk of response.body!) for (const byte of chunk) if (byte === NEWLINE) lines++;
      if (lines !== rows + 1) throw new Error(`${path}: ${response.status}, ${lines} lines`);
      const seconds = (performance.now() - begun) / 1_000;
      return { what: 'rows of an export', unit: '/s', value: rows / seconds, must: { atLeast: LEAST_ROWS } };
    },
    memory() {
      const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'latin1'))?.[1];
      return {
        what: 'memory of the console',
        unit: 'MB',
        value: (Number(kilobytes) * 1_024) / 1e6,
        must: { atMost: MOST_MB },
      };
    },
    async stop() {
      agent.destroy();
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}
