import { type ChildProcess, type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { bundle } from '../../bundle.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A command that serves, in a process of its own. */
export interface Running {
  readonly log: () => string;
  /** Stops the process where it is (SIGSTOP). */
  pause(): void;
  /** The exit code after the signal. */
  stop(signal?: NodeJS.Signals): Promise<number>;
  /** The exit code, when it ends by itself. */
  ended(): Promise<number>;
}

/** A port is 0 of what is not served. */
export interface Serving extends Running {
  readonly identityPort: number;
  readonly tunnelPort: number;
}

export interface ServingApi extends Running {
  readonly url: string;
}

export interface FabricProgram {
  run(...args: string[]): Promise<Outcome>;
  /** The JSON it prints; fails the test if it fails. */
  json<T>(...args: string[]): Promise<T>;
  /** The Failure it prints. */
  refusal(...args: string[]): Promise<{ code: string; remedy: string; message: string; action?: string }>;
  /** Starts a command whose output the test reads, or does not; killed after the test. */
  start(...args: string[]): ChildProcessWithoutNullStreams;
  serve(data: string, ...args: string[]): Promise<Serving>;
  /** `console serve`. */
  console(data: string, ...args: string[]): Promise<ServingApi>;
}

/**
 * The bundle, built once for the test file as build.mjs does it. It lies inside the project, so that it finds the
 * packages that are not bundled.
 */
export function fabricProgram(prefix: readonly string[] = []): FabricProgram {
  let folder = '';
  const words = (args: readonly string[]): [string, string[]] => {
    const all = [...prefix, process.execPath, join(folder, 'enf-fabric.mjs'), ...args];
    return [all[0]!, all.slice(1)];
  };
  const environment = { ...process.env, ENF_ADDON: join(root, 'dist/enf.node') };

  beforeAll(async () => {
    mkdirSync(join(root, '.cache'), { recursive: true });
    folder = mkdtempSync(join(root, '.cache/fabric-'));
    await bundle(new URL('../../../fabric/main.ts', import.meta.url), join(folder, 'enf-fabric.mjs'));
    await bundle(
      new URL('../../../fabric/registry/postgres/io.mjs', import.meta.url),
      join(folder, 'enf-fabric-postgres.mjs'),
    );
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const run = (...args: string[]): Promise<Outcome> =>
    new Promise((resolve) => {
      const [file, rest] = words(args);
      execFile(file, rest, { env: environment, maxBuffer: 1 << 26 }, (error, out, err) =>
        resolve({ code: error === null ? 0 : (error.code as number), out, err }),
      );
    });

  return {
    run,
    async json<T>(...args: string[]) {
      const { code, out, err } = await run(...args, '--json');
      if (code !== 0) throw new Error(`${args.join(' ')}: exit ${code}: ${err}`);
      return JSON.parse(out) as T;
    },
    async refusal(...args) {
      const { code, out, err } = await run(...args, '--json');
      if (code === 0) throw new Error(`${args.join(' ')} did not fail: ${out}`);
      return JSON.parse(err).error;
    },
    start(...args) {
      const [file, rest] = words(args);
      const child = spawn(file, rest, { env: environment });
      onTestFinished(() => void child.kill('SIGKILL'));
      return child;
    },
    async serve(data, ...args) {
      const listen = ['--identity-listen', '127.0.0.1:0', '--tunnel-listen', '127.0.0.1:0'];
      const tun = args.includes('--tun') ? [] : ['--tun', 'none'];
      const { ready, ...rest } = await start<{ identity: string | null; tunnel: string | null }>(
        ...['serve', '--data', data, ...listen, ...tun, ...args],
      );
      const port = (address: string | null): number => Number(address?.split(':').at(-1) ?? 0);
      return { identityPort: port(ready.identity), tunnelPort: port(ready.tunnel), ...rest };
    },
    async console(data, ...args) {
      const listen = args.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
      const { ready, ...rest } = await start<{ api: string }>(
        'console',
        'serve',
        '--data',
        data,
        ...listen,
        ...args,
      );
      return { url: ready.api, ...rest };
    },
  };

  /** Starts a command that serves; what it says when it is ready. */
  async function start<Ready>(...args: string[]): Promise<Running & { readonly ready: Ready }> {
    const [file, rest] = words([...args, '--json']);
    const child: ChildProcess = spawn(file, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
    const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
    onTestFinished(() => {
      child.kill('SIGKILL');
    });
    let [out, err] = ['', ''];
    child.stderr!.on('data', (chunk) => {
      err += chunk;
    });
    const line = await new Promise<string>((resolve, reject) => {
      child.stdout!.on('data', (chunk) => {
        out += chunk;
        if (out.includes('\n')) resolve(out);
      });
      ended.then(([code]) => reject(new Error(`${args[0]} ended with ${code}: ${err}`)), reject);
    });
    const { ready } = JSON.parse(line) as { ready: Ready };
    const exitCode = async (): Promise<number> => (await ended)[0] ?? -1;
    return {
      ready,
      log: () => err,
      pause: () => void child.kill('SIGSTOP'),
      async stop(signal = 'SIGTERM') {
        child.kill(signal);
        return exitCode();
      },
      ended: exitCode,
    };
  }
}
