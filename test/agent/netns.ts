import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Policy } from '../../agent/network/policy.ts';
import { formatPrefix } from '../../protocol/ipv6.ts';
import { bundle } from '../bundle.ts';
import { ownName } from '../namespaces.ts';

/** What a command in a namespace ended with. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A host with two interfaces, `up0` and `lan0`, each with a neighbour in a namespace of its own (`world`, `inner`): IPv4 10.78.0.x and
 * 10.79.0.x, IPv6 fd78::x and fd79::x; 1 is the neighbour, 2 the host, whose default routes lead to `world`.
 */
export interface Host {
  readonly host: string;
  readonly world: string;
  readonly inner: string;
  run(namespace: string, ...command: readonly string[]): Outcome;
  /** The same, and it must succeed. */
  must(namespace: string, ...command: readonly string[]): string;
  /** Starts reconciler-child.ts in the host; `own` "-" without a TUN. */
  reconcile(policy: Policy, own: string, persist?: boolean): Promise<Program>;
  /** Starts a test program in the host; it says "ready", and "stopped" once its standard input has ended. */
  start(source: string, ...args: readonly string[]): Promise<Program>;
  /** Connects from the host as the agent does (dialchild.ts): the address, or the failure's code. */
  dial(mark: number, target: string, port: number): Promise<string>;
  /** Runs neighbour.mjs in a namespace until `close`. */
  serve(namespace: string): Promise<void>;
  /** The DNS server of the host: its /etc/resolv.conf, which only commands started afterwards see. */
  resolver(address: string): void;
  close(): void;
}

/** One that runs until it is stopped. */
export interface Program {
  readonly output: () => string;
  stop(): Promise<void>;
  kill(): void;
}

export function createHost(name: string): Host {
  const own = ownName(name);
  const [host, world, inner] = ['host', 'world', 'inner'].map((each) => `enf-${own}-${each}`) as [
    string,
    string,
    string,
  ];
  const folder = mkdtempSync(join(tmpdir(), `enf-${name}-`));
  /** What `ip netns exec` puts in the place of /etc's files. */
  const etc = join('/etc/netns', host);
  const children: ChildProcess[] = [];
  const bundles = new Map<string, string>();
  const run = (namespace: string, ...command: readonly string[]): Outcome => {
    const { status, stdout, stderr } = spawnSync('ip', ['netns', 'exec', namespace, ...command], {
      encoding: 'utf8',
    });
    return { code: status ?? -1, stdout, stderr };
  };
  const must = (namespace: string, ...command: readonly string[]): string => {
    const { code, stdout, stderr } = run(namespace, ...command);
    if (code !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
    return stdout;
  };
  const ip = (...args: string[]): void => {
    const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
  };
  const remove = (): void => {
    for (const each of [host, world, inner]) spawnSync('ip', ['netns', 'del', each]);
  };
  for (const each of [host, world, inner]) {
    ip('netns', 'add', each);
    ip('-n', each, 'link', 'set', 'lo', 'up');
  }
  for (const [link, neighbour, number] of [
    ['up0', world, 78],
    ['lan0', inner, 79],
  ] as const) {
    ip('-n', host, 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'peer0', 'netns', neighbour);
    for (const [namespace, device, last] of [
      [host, link, 2],
      [neighbour, 'peer0', 1],
    ] as const) {
      ip('-n', namespace, 'link', 'set', device, 'up');
      ip('-n', namespace, 'addr', 'add', `10.${number}.0.${last}/24`, 'dev', device);
      ip('-n', namespace, 'addr', 'add', `fd${number}::${last}/64`, 'dev', device, 'nodad');
    }
  }
  ip('-n', host, 'route', 'add', 'default', 'via', '10.78.0.1');
  ip('-n', host, '-6', 'route', 'add', 'default', 'via', 'fd78::1');
  // Somewhere beyond the neighbours: an address on the loopback interface of `world`.
  ip('-n', world, 'addr', 'add', '198.51.100.1/32', 'dev', 'lo');
  ip('-n', world, 'addr', 'add', '2001:db8:1::1/128', 'dev', 'lo');
  ip('-n', inner, 'route', 'add', 'default', 'via', '10.79.0.2');
  ip('-n', inner, '-6', 'route', 'add', 'default', 'via', 'fd79::2');

  const bundled = async (source: string): Promise<string> => {
    const known = bundles.get(source);
    if (known) return known;
    const outfile = join(folder, source.replace(/.*\/|\.ts$/g, '').concat('.mjs'));
    await bundle(new URL(source, import.meta.url), outfile);
    bundles.set(source, outfile);
    return outfile;
  };

  const start = async (source: string, ...args: readonly string[]): Promise<Program> => {
    const command = ['netns', 'exec', host, process.execPath, await bundled(source), ...args];
    const child = spawn('ip', command, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ENF_ADDON: ADDON },
    });
    children.push(child);
    let output = '';
    child.stdout!.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const said = (word: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (output.split('\n').includes(word)) resolve();
        };
        child.stdout!.on('data', look);
        child.on('exit', () => reject(new Error(`${source} ended before it said ${word}: ${output}`)));
        look();
      });
    await said('ready');
    return {
      output: () => output,
      async stop() {
        const over = said('stopped');
        child.stdin!.end();
        await over;
      },
      kill: () => void child.kill('SIGKILL'),
    };
  };

  return {
    host,
    world,
    inner,
    run,
    must,
    async dial(mark, target, port) {
      const program = await bundled('./network/dial-child.ts');
      const env = ['env', `ENF_ADDON=${ADDON}`];
      return must(host, ...env, process.execPath, program, String(mark), target, String(port)).trim();
    },
    async serve(namespace) {
      const program = fileURLToPath(new URL('./neighbour.mjs', import.meta.url));
      const child = spawn('ip', ['netns', 'exec', namespace, process.execPath, program], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      children.push(child);
      await new Promise((resolve, reject) => {
        child.stdout!.once('data', resolve);
        child.once('exit', () => reject(new Error('the neighbour ended')));
      });
    },
    resolver(address) {
      mkdirSync(etc, { recursive: true });
      writeFileSync(join(etc, 'resolv.conf'), `nameserver ${address}\n`);
    },
    start,
    reconcile(policy, own, persist = false) {
      const file = join(folder, `${policy.device}.json`);
      writeFileSync(file, JSON.stringify({ ...policy, prefixes: policy.prefixes.map(formatPrefix) }));
      return start('./network/reconciler-child.ts', file, own, persist ? 'persist' : '-');
    },
    close() {
      for (const child of children) child.kill('SIGKILL');
      remove();
      rmSync(folder, { recursive: true, force: true });
      rmSync(etc, { recursive: true, force: true });
    },
  };
}

const ADDON = process.env.ENF_ADDON ?? fileURLToPath(new URL('../../dist/enf.node', import.meta.url));
