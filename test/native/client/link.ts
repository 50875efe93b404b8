import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { run } from '../child.ts';

let count = 0;

/** A TUN device's name and a /64 of its own for one test: `host` is the kernel's address, `peer` lies behind the device. */
export interface Link {
  readonly name: string;
  readonly host: string;
  readonly peer: string;
}

export function newLink(): Link {
  const prefix = `fd${randomBytes(1).toString('hex')}:${randomBytes(2).toString('hex')}:${randomBytes(2).toString('hex')}:1`;
  return { name: `enft${process.pid % 100_000}-${count++}`, host: `${prefix}::1`, peer: `${prefix}::2` };
}

/** Brings the device up with its address and silences the kernel's own chatter (router solicitations; MLD stays). */
export async function raise({ name, host }: Link, mtu = 1280): Promise<void> {
  await ip('link', 'set', 'dev', name, 'addrgenmode', 'none');
  await ip('link', 'set', 'dev', name, 'mtu', String(mtu), 'up');
  await assign(name, host);
}

/** Adds a /64 address. Even without duplicate detection the kernel takes it into use a little later, with its local route. */
export async function assign(name: string, address: string): Promise<void> {
  await ip('-6', 'addr', 'add', `${address}/64`, 'dev', name, 'nodad');
  while ((await ip('-6', 'route', 'show', 'table', 'local', address, 'dev', name)) === '') await pause(5);
}

/** Runs `ip`, which is not ours to sanitize: AddressSanitizer, if preloaded, would find its own things in there. */
export async function ip(...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run('env', '-u', 'LD_PRELOAD', 'ip', ...argv);
  if (code !== 0) throw new Error(`ip ${argv.join(' ')}: ${stderr}`);
  return stdout;
}

export async function exists(name: string): Promise<boolean> {
  return (await run('ip', 'link', 'show', 'dev', name)).code === 0;
}
