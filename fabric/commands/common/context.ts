import { stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import type { Invocation, Option } from '../../../cli/program.ts';
import { isAnswered } from '../../../os/net/control-socket.ts';
import { Failure, isFailure } from '../../../protocol/failure.ts';
import { remoteClient } from '../../api/client.ts';
import { openJobs } from '../../jobs/jobs.ts';
import { lockKeys, openReader, openRegistry } from '../../open-registry.ts';
import { hostScope } from '../../operations/actors.ts';
import type { OperationName } from '../../operations/all.ts';
import { acceptLoss } from '../../operations/audit.ts';
import type { Context, Operation, ReadContext, ReadOperation } from '../../operations/contract/operation.ts';
import { askRunning, besideFabric, fabricBehind } from '../../operations/running.ts';
import { pathOf } from '../../pki/files.ts';
import { type AuthorityKeeper, openAuthority } from '../../pki/keeper.ts';
import type { Registry, RegistryReader } from '../../registry/registry.ts';
import { REMOTE, remoteOf, requireHere } from './remote.ts';

/** What the commands of an owner have in common: the data folder, and where their operations run. */

export const DATA: Option = {
  name: 'data',
  value: 'FOLDER',
  help: 'where the fabric keeps its keys and registry',
  default: '/var/lib/enf-fabric',
};

/** Which fabric a command works on. */
export const FABRIC: readonly Option[] = [DATA, ...REMOTE];

/** Which fabric, and for which of its owners: for commands on what belongs to one. */
export const OWNED: readonly Option[] = [
  {
    name: 'owner',
    value: 'NAME',
    help: 'only what is of this owner, who also gets what is added; else all, and the first owner',
  },
  ...FABRIC,
];

/** The fabric in the data folder, or elsewhere. */
export interface Fabric {
  /** @throws Failure of the operation, `fabric.no-answer`, and those of `openRegistry` */
  run<Input extends object, View>(operation: Operation<Input, View>, input: Input): Promise<View>;
  /**
   * Runs an operation that may read the whole registry: in this process, beside the fabric that serves it, which it neither keeps busy
   * nor waits for. If that is impossible, as `run` does. @throws as `run`
   */
  read<Input extends object, View>(operation: ReadOperation<Input, View>, input: Input): Promise<View>;
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
    const call = remoteClient(remote, invocation.option('owner'));
    const run = async (operation: { readonly name: string }, input: object) =>
      (await call(operation.name as OperationName, input as never)) as never;
    return work({ run, read: run });
  }
  return withLocalFabric(invocation, work);
}

/** Runs `work` on the fabric of `--data`. */
export async function withLocalFabric<T>(
  invocation: Invocation,
  work: (fabric: Fabric) => Promise<T>,
): Promise<T> {
  requireHere(invocation, DATA);
  const data = invocation.required('data');
  const socket = pathOf(data, 'control');
  const actor = operator();
  const owner = invocation.option('owner');
  let here: Here | undefined;
  let keys: ReturnType<typeof keysIn> | undefined;
  let beside: Promise<Beside | undefined> | undefined;
  const run: Fabric['run'] = async (operation, input) => {
    if (here === undefined) {
      const reply = await askRunning(socket, operation.name, { actor, owner, input });
      if (reply !== undefined) return reply.view as Awaited<ReturnType<typeof operation.run>>;
      const givesUp = operation.name === acceptLoss.name;
      const opened = await openRegistry(pathOf(data, 'registry'), { givesUp });
      here = {
        opened,
        context: {
          ...(await inScope(opened, owner)),
          running: fabricBehind(socket),
          async keys() {
            keys ??= keysIn(data);
            return (await keys).keeper;
          },
          jobs: openJobs(),
          actor,
          now: Date.now,
        },
      };
    }
    return operation.run(here.context, input);
  };
  try {
    return await work({
      run,
      async read(operation, input) {
        beside ??= openBeside(data, owner);
        const reader = await beside;
        return reader === undefined ? run(operation, input) : operation.run(reader.context, input);
      },
    });
  } finally {
    (await keys?.catch(() => undefined))?.release();
    await here?.opened.close();
    await (await beside?.catch(() => undefined))?.opened.close();
  }
}

interface Here {
  readonly opened: Registry;
  readonly context: Context;
}

interface Beside {
  readonly opened: RegistryReader;
  readonly context: ReadContext;
}

/** What the operator of the host works on. @throws Failure `fabric.unknown-owner` */
async function inScope(
  opened: Registry,
  owner: string | undefined,
): Promise<Pick<Context, 'registry' | 'whole'>> {
  try {
    const { scope } = await hostScope(opened, owner);
    return { registry: opened.of(scope), ...(scope.everything && { whole: opened }) };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** The registry of a fabric that is served, for reading; undefined if nobody serves it, or this user or version cannot read it. */
async function openBeside(data: string, owner: string | undefined): Promise<Beside | undefined> {
  const socket = pathOf(data, 'control');
  if (!(await isAnswered(socket))) return undefined;
  try {
    const opened = await openReader(pathOf(data, 'registry'));
    if (opened === undefined) return undefined;
    const { scope } = await hostScope(opened, owner);
    const whole = scope.everything ? { whole: opened } : {};
    return { opened, context: { registry: opened.of(scope), ...whole, running: besideFabric(socket) } };
  } catch (error) {
    if (isFailure(error)) return undefined;
    throw error;
  }
}

/**
 * The keys of a fabric that nobody serves, for its own user alone: files that root writes here it could not read. Until `release` no other command
 * has them, which would take half of a change for what a power cut has left. @throws Failure `fabric.not-served`, `fabric.keys-busy`
 */
async function keysIn(data: string): Promise<{ readonly keeper: AuthorityKeeper; release(): void }> {
  const { uid } = await stat(data);
  const isOwn = process.geteuid?.() === uid;
  const lock = isOwn ? lockKeys(pathOf(data, 'keyLock')) : undefined;
  const release = (): void => lock?.release();
  try {
    const keeper = await openAuthority(data);
    const own: AuthorityKeeper = {
      ...keeper,
      get authority() {
        return keeper.authority;
      },
      async change(work) {
        if (!isOwn) throw notServed(data);
        await keeper.change(work);
      },
    };
    return { keeper: own, release };
  } catch (error) {
    release();
    throw error;
  }
}

function notServed(data: string): Failure {
  return new Failure(
    'fabric.not-served',
    'operator',
    `${data} belongs to another user, and no fabric serves it`,
    {
      action:
        'Start the fabric ("systemctl start enf-fabric") and repeat the command: keys are made by the process that uses them.',
    },
  );
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
