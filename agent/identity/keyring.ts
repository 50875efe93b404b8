import type { SavedKey } from '../state/state.ts';
import type { KeyMaker, LongtermKey } from './key-store.ts';

/** The key store that is open and the longterm key in use. Both are opened when they are first needed, and can be closed and opened again. */
export interface Keyring<Keys extends KeyMaker> {
  /** @throws Failure of the keys */
  keys(): Promise<Keys>;
  /** Loads the key of an identity in place of the one in use. @throws Failure of the keys */
  use(identity: { readonly key: SavedKey }): Promise<LongtermKey>;
  /** The one in use. */
  longterm(): LongtermKey | undefined;
  close(): Promise<void>;
}

/** Once `stopping` is aborted, nothing is opened any more: its reason is thrown. */
export function openKeyring<Keys extends KeyMaker>(
  openKeys: () => Promise<Keys>,
  stopping: AbortSignal,
): Keyring<Keys> {
  let keys: Keys | undefined;
  let longterm: LongtermKey | undefined;

  const open = async (): Promise<Keys> => {
    if (keys !== undefined) return keys;
    stopping.throwIfAborted();
    const opened = await openKeys();
    if (stopping.aborted) await opened.close().catch(() => {});
    stopping.throwIfAborted();
    keys = opened;
    return opened;
  };

  return {
    keys: open,
    async use(identity) {
      const former = longterm;
      const key = await (await open()).load(identity.key);
      longterm = key;
      await former?.close().catch(() => {});
      return key;
    },
    longterm: () => longterm,
    async close() {
      const [key, opened] = [longterm, keys];
      longterm = undefined;
      keys = undefined;
      await key?.close().catch(() => {});
      await opened?.close().catch(() => {});
    },
  };
}
