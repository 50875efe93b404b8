import { userInfo } from 'node:os';
import type { Invocation, Option } from '../../cli/program.ts';
import { askControl } from '../../os/net/control-socket.ts';
import { isFailure } from '../../protocol/failure.ts';
import { pathOf } from '../pki/authority.ts';
import type { Registry } from '../registry/registry.ts';
import { openRegistry } from '../registry/sqlite/registry.ts';

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
 * Tells a running fabric that the registry changed; it has acted when this returns. Says what came of it, for the
 * operator. Without an answer the change holds all the same: a fabric looks for changes by itself, or reads them when
 * it starts.
 */
export async function nudge(invocation: Invocation): Promise<string> {
  try {
    await askControl(control(invocation), { method: 'POST', path: '/changed' });
    return 'in force';
  } catch (error) {
    if (isFailure(error, 'control.nobody')) return 'no fabric is serving';
    if (isFailure(error)) return `the fabric did not confirm it: ${error.message}`;
    throw error;
  }
}

/** The addresses with a tunnel now; undefined if no fabric says. */
export async function connectedAddresses(invocation: Invocation): Promise<ReadonlySet<string> | undefined> {
  try {
    const sessions = await askControl(control(invocation), { method: 'GET', path: '/sessions' });
    return new Set((sessions as { address: string }[]).map((session) => session.address));
  } catch (error) {
    if (isFailure(error)) return undefined;
    throw error;
  }
}

const control = (invocation: Invocation): string => pathOf(invocation.required('data'), 'control');
