import { readRevocationList } from '../../crypto/certificates.ts';
import type { Log } from '../../os/service/log.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import { pause } from '../../protocol/backoff.ts';
import { EVERYTHING } from '../access/scope.ts';
import type { DueList, FetchOutcome } from '../registry/pki.ts';
import { FABRIC, type Registry } from '../registry/registry.ts';
import { type FetchOptions, fetchList } from './fetch.ts';

/** How often is looked for lists that are due. */
const TICK_MS = 1_000;
/** Lists that are fetched at once: one that comes slowly keeps the others not up. */
const AT_ONCE = 4;
/** Longer than a fetch may take. Who gives addresses again and again has others wait for the registry no longer than that. */
const LEAST_PAUSE_MS = 30_000;
const RETRY = { firstMs: 60_000, capMs: 3_600_000 };
const LONGEST_ERROR = 200;

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const LEAST_WAIT_MS = 5 * MINUTE_MS;

/**
 * When a list that was fetched is fetched again: half way to when the next one is due, each day at the latest, and each five minutes while it is
 * overdue. `random` in [0, 1) takes up to a quarter of that, so that not all ask at once.
 */
export function nextFetch(now: number, nextUpdate: number | undefined, random: number): number {
  const half = ((nextUpdate ?? now + 2 * DAY_MS) - now) / 2;
  const wait = Math.min(DAY_MS, Math.max(LEAST_WAIT_MS, half));
  return Math.floor(now + wait * (1 - random / 4));
}

type Fetching = Pick<Registry, 'dueLists' | 'recordFetch' | 'of' | 'leads'>;

/** Fetches a list, and takes it if it is newer; the last good one goes on counting otherwise. */
export async function fetchOne(
  registry: Fetching,
  { anchor, url, failures }: DueList,
  options: FetchOptions & { readonly now: () => number },
): Promise<FetchOutcome> {
  const { now, ...fetching } = options;
  const all = registry.of(EVERYTHING);
  try {
    const list = readRevocationList(await fetchList(url, fetching), await all.issuersOf(anchor));
    if (list === undefined) throw new Error('what is there is no list of revoked certificates');
    if (list.refused !== undefined) throw new Error(list.refused);
    if ((await all.takeList(FABRIC, anchor, list)) === 'older')
      throw new Error('it is older than the list that counts');
    const next = list.nextUpdate === undefined ? undefined : 1_000 * list.nextUpdate;
    return { kind: 'fetched', due: nextFetch(now(), next, Math.random()) };
  } catch (error) {
    const wait = RETRY.firstMs / 2 + pause(RETRY, failures, Math.random());
    return {
      kind: 'failed',
      due: Math.floor(now() + wait),
      error: (error as Error).message.slice(0, LONGEST_ERROR),
    };
  }
}

/** Keeps the lists of revoked certificates new that have an address. Returns a function that ends that. */
export function keepLists(
  registry: Fetching,
  options: Omit<FetchOptions, 'signal'>,
  log: Log,
  now: () => number = Date.now,
): () => Promise<void> {
  const failed = repeatedLine(log, 'warning');
  const stopping = new AbortController();
  const { signal } = stopping;
  /** When the last fetch of each CA began that has not long been over. */
  const begun = new Map<number, number>();
  const underWay = new Set<Promise<void>>();
  const tell = (error: unknown): void =>
    failed('', `lists of revoked certificates: ${(error as Error).message}`, error);
  const one = async (due: DueList): Promise<void> => {
    const outcome = await fetchOne(registry, due, { ...options, now, signal });
    // What a stop has cut short is done at the next start.
    if (signal.aborted) return;
    if (outcome.kind === 'failed')
      failed(`${due.anchor}`, `list of revoked certificates of CA ${due.anchor}: ${outcome.error}`);
    await registry.recordFetch(due, outcome);
  };
  const look = async (): Promise<void> => {
    if (!registry.leads()) return;
    for (const [anchor, at] of begun) if (performance.now() - at >= LEAST_PAUSE_MS) begun.delete(anchor);
    for (const due of await registry.dueLists(AT_ONCE + begun.size)) {
      if (signal.aborted || underWay.size >= AT_ONCE) return;
      if (begun.has(due.anchor)) continue;
      begun.set(due.anchor, performance.now());
      const work: Promise<void> = one(due)
        .catch(tell)
        .finally(() => underWay.delete(work));
      underWay.add(work);
    }
  };
  let looking: Promise<void> | undefined;
  const timer = setInterval(() => {
    looking ??= look()
      .catch(tell)
      .finally(() => {
        looking = undefined;
      });
  }, TICK_MS);
  return async () => {
    clearInterval(timer);
    stopping.abort();
    await looking;
    await Promise.all(underWay);
    failed.close();
  };
}
