import type { Log } from '../../os/service/log.ts';
import { isFailure } from '../../protocol/failure.ts';
import type { Clocks } from '../lifecycle/wall-clock.ts';
import type { AddressCache, Addresses } from './address-cache.ts';
import type { DeviceRecord, Store } from './state.ts';

/**
 * What was true when the tunnel was last up, kept in the state: the time, so that a clock that fell back to 1970 is
 * noticed, and the addresses of the fabric, for when the resolver does not answer.
 */
export interface LastGood {
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly addresses: Addresses;
}

/** The state is written for this at most so often. */
export const KEEP_EVERY_MS = 86_400_000;
const POLL_MS = 3_600_000;

/** Keeps it while the tunnel is up. */
export interface LastGoodKeeper {
  /** The tunnel is up. */
  begin(): void;
  /** The tunnel is down; resolves when nothing is being written any more. */
  end(): Promise<void>;
}

/**
 * Keeps it in `store`. A disk that cannot be written is logged once and tried again; the tunnel does not depend on it. `note` receives
 * the failure each time.
 */
export function keepLastGood(
  store: Store,
  addresses: AddressCache,
  { wallMs, builtMs }: Clocks,
  log: Log,
  note: (failure: unknown) => void = () => {},
): LastGoodKeeper {
  let timer: ReturnType<typeof setInterval> | undefined;
  let writing: Promise<void> | undefined;
  let said = false;
  const keep = (): void => {
    const timeMs = wallMs();
    if (writing || timeMs < builtMs || !isStale(lastGoodOf(store.record), timeMs)) return;
    writing = write(timeMs).finally(() => {
      writing = undefined;
    });
  };
  const write = async (timeMs: number): Promise<void> => {
    try {
      await store.update((record) => withLastGood(record, { timeMs, addresses: addresses.known() }));
      said = false;
    } catch (error) {
      if (!isFailure(error)) throw error;
      note(error);
      if (!said)
        log('warning', `${error.code}: ${error.message}; the time and addresses of this tunnel are not kept`);
      said = true;
    }
  };
  const end = async (): Promise<void> => {
    clearInterval(timer);
    await writing;
  };
  return {
    begin() {
      clearInterval(timer);
      keep();
      timer = setInterval(keep, POLL_MS);
    },
    end,
  };
}

/** What the record has; undefined if it has nothing valid. */
export function lastGoodOf(record: DeviceRecord): LastGood | undefined {
  const { lastGood: saved } = record;
  if (typeof saved !== 'object' || saved === null) return undefined;
  const { time, addresses } = saved as { readonly time?: unknown; readonly addresses?: unknown };
  const timeMs = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  if (Number.isNaN(timeMs)) return undefined;
  return { timeMs, addresses: addressesOf(addresses) };
}

/** The record with this in it. */
export function withLastGood(record: DeviceRecord, { timeMs, addresses }: LastGood): DeviceRecord {
  return { ...record, lastGood: { time: new Date(timeMs).toISOString(), addresses } };
}

/** True if what is kept is a day old, or in the future. */
export function isStale(last: LastGood | undefined, nowMs: number): boolean {
  return last === undefined || nowMs - last.timeMs >= KEEP_EVERY_MS || nowMs < last.timeMs;
}

function addressesOf(value: unknown): Addresses {
  if (typeof value !== 'object' || value === null) return {};
  const entries = Object.entries(value).filter(
    (entry): entry is [string, string[]] =>
      Array.isArray(entry[1]) && entry[1].length > 0 && entry[1].every((each) => typeof each === 'string'),
  );
  return Object.fromEntries(entries);
}
