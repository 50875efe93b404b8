import { statfs } from 'node:fs/promises';
import type { Log } from '../../os/service/log.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import { EVERYTHING } from '../access/scope.ts';
import { lastBackup } from '../backup/last.ts';
import type { Registry } from '../registry/registry.ts';
import { ownTurn } from '../registry/turns.ts';
import { type AlarmCheck, alarmChecks, type CheckSources } from './checks.ts';
import { type SendOptions, sendDue } from './sender.ts';

/** How often what is due is looked for. */
const TICK_MS = 1_000;
/** What is not found any more for so long is over: so nothing opens and ends again and again. */
const HOLD_MS = 10 * 60_000;

export interface WatchOptions {
  readonly registry: Registry;
  /** The data folder. */
  readonly data: string;
  /** PEM by name of the file. */
  readonly certificates: () => Promise<Readonly<Record<string, string>>>;
  readonly places: CheckSources['places'];
  readonly placesOldDays: number;
  readonly sending: Omit<SendOptions, 'signal'>;
  readonly log: Log;
}

/** Looks for what an owner should know, and tells hooks of it. Returns a function that ends that. */
export function watchAlarms({
  registry,
  data,
  certificates,
  places,
  placesOldDays,
  sending,
  log,
}: WatchOptions): () => Promise<void> {
  const failed = repeatedLine(log, 'warning');
  const disk = async () => {
    const { bavail, bsize, blocks } = await statfs(data);
    return { path: data, free: bavail * bsize, all: blocks * bsize };
  };
  const checks = alarmChecks({
    registry: { ...registry, ...registry.of(EVERYTHING) },
    certificates,
    disk,
    places,
    placesOldDays,
    backupAt: () => lastBackup(data),
    now: Date.now,
  }).map((check) => ({
    check,
    dueMs: 0,
  }));
  const stopping = new AbortController();
  const { signal } = stopping;
  const look = async ({ kinds, find, holdMs = HOLD_MS }: AlarmCheck): Promise<void> =>
    registry.recordFindings(kinds, await find(), holdMs);
  const follow = async (): Promise<void> => {
    while (!signal.aborted && (await registry.followTrail())) await ownTurn();
  };
  const attempt = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    if (signal.aborted) return;
    try {
      await work();
    } catch (error) {
      failed(what, `alarms: ${what}: ${(error as Error).message}`, error);
    }
  };
  const watching = repeated(async () => {
    await attempt('the audit trail', follow);
    for (const each of checks) {
      if (performance.now() < each.dueMs) continue;
      each.dueMs = performance.now() + each.check.everyMs;
      await attempt(each.check.kinds.join(', '), () => look(each.check));
    }
  });
  // A receiver that does not answer holds nothing else up.
  const telling = repeated(() =>
    attempt('hooks', async () => {
      // One of all nodes: a receiver is told once.
      if (registry.leads()) await sendDue(registry, { ...sending, signal });
    }),
  );
  return async () => {
    stopping.abort();
    await Promise.all([watching(), telling()]);
    failed.close();
  };
}

/** Does work each second, unless it is still under way. Returns a function that ends that, and waits for it. */
function repeated(work: () => Promise<void>): () => Promise<void> {
  let busy: Promise<void> | undefined;
  const timer = setInterval(() => {
    busy ??= work().finally(() => {
      busy = undefined;
    });
  }, TICK_MS);
  return async () => {
    clearInterval(timer);
    await busy;
  };
}
