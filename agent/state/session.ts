import type { HeldFolder } from '../../os/files/folder.ts';
import { isLiteral, type Lookup } from '../../os/net/lookup.ts';
import type { Log } from '../../os/service/log.ts';
import type { Config } from '../config/config.ts';
import type { Clocks } from '../lifecycle/wall-clock.ts';
import { type AddressCache, addressCache } from './address-cache.ts';
import { holdState } from './held.ts';
import { keepLastGood, type LastGood, type LastGoodKeeper, lastGoodOf } from './last-good.ts';
import { openStore, type Store } from './state.ts';

/** What the device remembers, opened when it is first needed, and in the hands of this program alone from then on. A failed opening is tried again at the next call. */
export interface StateSession {
  store(): Promise<Store>;
  /** What was true when the tunnel was last up. */
  lastGood(): Promise<LastGood | undefined>;
  /** Addresses from the resolver, else those of the last good tunnel. */
  readonly lookup: Lookup;
  /** The tunnel is up: its time and addresses are kept. */
  tunnelUp(): void;
  /** The tunnel is down; resolves when nothing is being written. */
  tunnelDown(): Promise<void>;
  /** Every address that a name is known to have. */
  addresses(): readonly string[];
  /** Undefined until it is open. */
  opened(): Store | undefined;
  /** Other programs may have it from then on. */
  close(): Promise<void>;
}

export interface StateOptions {
  readonly config: Config;
  readonly clocks: Clocks;
  readonly resolver: Lookup;
  readonly log: Log;
  /** Receives each failure to write the last good tunnel. */
  readonly note: (failure: unknown) => void;
}

interface Opened {
  readonly store: Store;
  readonly addresses: AddressCache;
  readonly keeper: LastGoodKeeper;
}

export function stateSession({ config, clocks, resolver, log, note }: StateOptions): StateSession {
  let state: Opened | undefined;
  /** There is one record of what the files hold, whoever asks first. */
  let opening: Promise<Opened> | undefined;
  let held: HeldFolder | undefined;

  const open = (): Promise<Opened> => {
    opening ??= openNow().catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  };
  const openNow = async (): Promise<Opened> => {
    const { directory } = config.state;
    held ??= await holdState(directory);
    const store = await openStore(held.folder);
    for (const name of store.quarantined)
      log('warning', `state.unreadable: ${directory}: set aside as ${name}`);
    // A resolver gets a quarter of the time if an older answer is at hand.
    const patienceMs = config.remote.connectTimeout / 4;
    const addresses = addressCache(resolver, patienceMs, lastGoodOf(store.record)?.addresses ?? {});
    state = { store, addresses, keeper: keepLastGood(store, addresses, clocks, log, note) };
    return state;
  };

  return {
    store: async () => (await open()).store,
    lastGood: async () => lastGoodOf((await open()).store.record),
    lookup: async (host) => (await open()).addresses.lookup(host),
    tunnelUp: () => state?.keeper.begin(),
    tunnelDown: async () => state?.keeper.end(),
    // Of services the records are known.
    addresses: () =>
      Object.values(state?.addresses.known() ?? {})
        .flat()
        .filter(isLiteral),
    opened: () => state?.store,
    async close() {
      await opening?.catch(() => {});
      await state?.keeper.end();
      await held?.release();
      held = undefined;
    },
  };
}
