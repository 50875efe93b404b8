import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { askRunning } from '../../fabric/operations/running.ts';
import { FILES } from '../../fabric/pki/files.ts';
import { program } from '../e2e/world.ts';

/** `enf-fabric serve` in a process of its own. */
export interface Serving {
  readonly identityPort: number;
  /** Its data folder, as this process sees it. */
  readonly data: string;
  /** Runs an operation. @throws Failure */
  run<View>(operation: string, input?: object): Promise<View>;
  kill(): Promise<void>;
}

const LISTEN = ['--identity-listen', '127.0.0.1:0', '--tunnel-listen', '127.0.0.1:0', '--tun', 'none'];

/** In a mount namespace of its own, which ends with the program: mounts the file $1 at $2 and runs the rest. */
const SCRIPT = `loop=$(losetup --find --show --sector-size 4096 "$1")
mount -t ext4 -o noatime,commit=300 "$loop" "$2"
losetup --detach "$loop" # when it is not used any more
shift 2
exec "$@"`;

/** What a command line begins with that runs with the ext4 in `file` mounted at the folder `mount`, for it alone. */
export const onDisk = (file: string, mount: string): readonly string[] => [
  ...['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', SCRIPT, 'sh', file, mount],
];

/** Serves the fabric in the folder `fabric` of the ext4 in `file`, mounted at the folder `mount`. @throws Error with what it said */
export async function serveOnDisk(file: string, mount: string, environment = {}): Promise<Serving> {
  return start(onDisk(file, mount), join(mount, 'fabric'), environment, (pid) => `/proc/${pid}/root`);
}

/** Serves the fabric in a folder; `options`: more of its command line. @throws Error with what it said */
export const serveFolder = (
  data: string,
  environment = {},
  options: readonly string[] = [],
): Promise<Serving> => start([], data, environment, () => '', options);

async function start(
  before: readonly string[],
  data: string,
  environment: NodeJS.ProcessEnv,
  rootOf: (pid: number) => string,
  options: readonly string[] = [],
): Promise<Serving> {
  const words = [...before, ...program('fabric'), 'serve', '--json', '--data', data, ...LISTEN, ...options];
  const child: ChildProcess = spawn(words[0]!, words.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  let said = '';
  child.stderr!.on('data', (chunk) => {
    said += chunk;
  });
  const ended = once(child, 'close');
  const ready = new Promise<string>((resolve) => {
    let out = '';
    child.stdout!.on('data', (chunk) => {
      out += chunk;
      if (out.includes('\n')) resolve(out);
    });
  });
  const line = await Promise.race([ready, ended.then(() => undefined)]);
  if (line === undefined) throw new Error(`the fabric does not start: ${said}`);
  const { identity } = (JSON.parse(line) as { ready: { identity: string } }).ready;
  const seen = `${rootOf(child.pid!)}${data}`;
  return {
    identityPort: Number(identity.split(':').at(-1)),
    data: seen,
    async run<View>(operation: string, input: object = {}) {
      const socket = join(seen, FILES.control);
      const answer = await askRunning(socket, operation, { actor: 'host', input });
      if (answer === undefined) throw new Error(`nobody answers ${operation}: ${said}`);
      return answer.view as View;
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
