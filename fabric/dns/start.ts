import { type ChildProcess, fork } from 'node:child_process';
import type { Log } from '../../os/service/log.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import { EVERYTHING } from '../access/scope.ts';
import { eachRow } from '../registry/pages.ts';
import type { Registry } from '../registry/registry.ts';
import { messageOf, NAME_PROCESS } from './messages.ts';
import type { Zone } from './zone.ts';

/** Zones that are served at most: each has two sockets. */
const MOST_ZONES = 256;
/** A process that ends by itself is replaced after this time, so that one that always fails is not started in a loop. */
const RESTART_MS = 1_000;

/**
 * Serves the zones of the networks that have one, in a process of their own, and follows what changes. `path`: of the registry; `script`: the
 * program, by default the running one. Returns what ends it.
 */
export async function startNames(
  registry: Registry,
  path: string,
  log: Log,
  script = process.argv[1]!,
): Promise<{ close(): void }> {
  const logEnd = repeatedLine(log, 'error', { each: 10, subjects: 1 });
  let zones: readonly Zone[] = [];
  let child: ChildProcess | undefined;
  let closed = false;

  const tell = (): void => {
    if (child?.connected) child.send(messageOf(path, zones), () => {});
  };
  const start = (): void => {
    const started = fork(script, [NAME_PROCESS], {
      execArgv: ['--max-old-space-size=64'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    child = started;
    started.once('exit', (code, signal) => {
      child = undefined;
      if (closed) return;
      logEnd('', `the process that answers DNS questions ended (${signal ?? code}), starting another one`);
      setTimeout(follow, RESTART_MS);
    });
    started.once('error', (error) => logEnd('', `the process that answers DNS questions: ${error.message}`));
  };
  const follow = (): void => {
    if (closed) return;
    if (child === undefined && zones.length > 0) start();
    tell();
  };
  let turn = Promise.resolve();
  const readAgain = (): Promise<void> => {
    turn = turn.then(async () => {
      zones = await zonesOf(registry, log);
      follow();
    });
    return turn;
  };
  const unsubscribe = registry.subscribe((change) => {
    if (change.kind === 'network')
      void readAgain().catch((error: Error) => logEnd('', `zones: ${error.message}`));
  });
  await readAgain();
  return {
    close() {
      closed = true;
      unsubscribe();
      child?.kill('SIGKILL');
      logEnd.close();
    },
  };
}

async function zonesOf(registry: Registry, log: Log): Promise<readonly Zone[]> {
  const zones: Zone[] = [];
  for await (const { prefix, zone } of eachRow((page) => registry.of(EVERYTHING).networks(page))) {
    if (zone === undefined) continue;
    if (zones.length === MOST_ZONES) {
      log('warning', `DNS is served for the first ${MOST_ZONES} networks that have a zone`);
      break;
    }
    zones.push({ suffix: zone, prefix: prefix.address.subarray(0, 8) });
  }
  return zones;
}
