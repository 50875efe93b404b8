import { userInfo } from 'node:os';
import type { Invocation, Option } from '../../cli/program.ts';
import { callRemote } from '../api/client.ts';
import { openRegistry } from '../open-registry.ts';
import type { Context, Operation } from '../operations/operation.ts';
import { askRunning, fabricBehind } from '../operations/running.ts';
import { pathOf } from '../pki/authority.ts';
import { REMOTE, remoteOf } from './remote.ts';

/** What the commands of an owner have in common: the data folder, and where their operations run. */

export const DATA: Option = {
  name: 'data',
  value: 'FOLDER',
  help: 'where the fabric keeps its keys and registry',
  default: '/var/lib/enf-fabric',
};

/** Which fabric a command works on. */
export const FABRIC: readonly Option[] = [DATA, ...REMOTE];

/** The fabric in the data folder, or elsewhere. */
export interface Fabric {
  /** @throws Failure of the operation, `fabric.no-answer`, and those of `openRegistry` */
  run<Input extends object, View>(operation: Operation<Input, View>, input: Input): Promise<View>;
}

/**
 * Runs `work` on the fabric of `--api`, or of `--data`: its operations run in the process that serves it, or in this one on the opened
 * registry if none does.
 */
export async function withFabric<T>(
  invocation: Invocation,
  work: (fabric: Fabric) => Promise<T>,
): Promise<T> {
  const remote = await remoteOf(invocation);
  if (remote !== undefined) {
    return work({
      run: async (operation, input) => (await callRemote(remote, operation.name, input)) as never,
    });
  }
  return withLocalFabric(invocation, work);
}

/** Runs `work` on the fabric of `--data`. */
export async function withLocalFabric<T>(
  invocation: Invocation,
  work: (fabric: Fabric) => Promise<T>,
): Promise<T> {
  const data = invocation.required('data');
  const socket = pathOf(data, 'control');
  const actor = operator();
  let here: Context | undefined;
  try {
    return await work({
      async run<Input, View>(operation: Operation<Input, View>, input: Input) {
        if (here === undefined) {
          const reply = await askRunning(socket, operation.name, { actor, input });
          if (reply !== undefined) return reply.view as View;
          here = {
            registry: await openRegistry(pathOf(data, 'registry')),
            running: fabricBehind(socket),
            actor,
            now: Date.now,
          };
        }
        return operation.run(here, input);
      },
    });
  } finally {
    await here?.registry.close();
  }
}

/** The user at the command line, for the audit trail. */
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
