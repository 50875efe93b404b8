import { userInfo } from 'node:os';
import type { Invocation, Option } from '../os/cli.ts';
import { askControl } from '../os/control.ts';
import { Failure } from '../protocol/failure.ts';
import { pathOf } from './authority.ts';
import { openRegistry, type Registry } from './registry/registry.ts';

/** What all commands of the fabric have in common: the data folder, and the fabric that may be running on it. */

export const DATA: Option = {
  name: 'data',
  value: 'FOLDER',
  help: 'where the fabric keeps its keys and registry',
  default: '/var/lib/enf-fabric',
};

/** Runs `work` on the registry of `--data` and closes it. @throws Failure see `openRegistry` */
export async function withRegistry<T>(
  invocation: Invocation,
  work: (registry: Registry) => T | Promise<T>,
): Promise<T> {
  const registry = openRegistry(pathOf(invocation.required('data'), 'registry'), { actor: operator() });
  try {
    return await work(registry);
  } finally {
    registry.close();
  }
}

/** Who sits at the command line, for the audit trail. */
export function operator(): string {
  const sudo = process.env.SUDO_USER;
  let name: string;
  try {
    name = userInfo().username;
  } catch {
    // A user id without a name, as containers have it.
    name = `uid ${process.getuid?.() ?? '?'}`;
  }
  return sudo === undefined ? name : `${name} (${sudo})`;
}

/**
 * Tells a running fabric that the registry changed; it has acted when this returns. Without an answer the change is
 * in force all the same: the fabric looks for changes by itself, or reads them when it starts.
 */
export async function nudge(invocation: Invocation): Promise<'in force' | 'no fabric is serving'> {
  const answer = await ask(invocation, 'POST', '/changed');
  return answer === undefined ? 'no fabric is serving' : 'in force';
}

/** The addresses with a tunnel now; undefined if no fabric is serving. */
export async function connectedAddresses(invocation: Invocation): Promise<ReadonlySet<string> | undefined> {
  const answer = (await ask(invocation, 'GET', '/sessions')) as { address: string }[] | undefined;
  return answer === undefined ? undefined : new Set(answer.map((session) => session.address));
}

async function ask(invocation: Invocation, method: string, path: string): Promise<unknown> {
  try {
    return await askControl(pathOf(invocation.required('data'), 'control'), { method, path });
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}
