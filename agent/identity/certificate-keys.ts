import { isFailure } from '../../protocol/failure.ts';
import type { TpmOptions } from '../../tpm/context.ts';
import type { Config } from '../config/config.ts';
import type { SavedKey } from '../state/state.ts';
import type { KeyMaker, KeyStore } from './key-store.ts';

/** Keys of certificates: in the TPM, or in the state. */
export interface CertificateKeys extends KeyMaker {
  /** As `identity.key-in` says; `auto`: where `like` is, and without one in the TPM if there is any. @throws Failure `tpm.…` */
  create(like?: SavedKey): Promise<SavedKey>;
  /** Whether a key that was made earlier is where one would be made now. */
  isWanted(key: SavedKey): boolean;
}

type Kind = SavedKey['kind'];

/** The TPM is opened when the first key in it is asked for; not any more once `stopping` is aborted: its reason is thrown. */
export function certificateKeys(
  { identity, tpm }: Config,
  stopping: AbortSignal,
  options?: TpmOptions,
): CertificateKeys {
  const stores = new Map<Kind, KeyStore>();
  const storeOf = async (kind: Kind): Promise<KeyStore> => {
    const there = stores.get(kind);
    if (there !== undefined) return there;
    stopping.throwIfAborted();
    const opened = await open(kind, tpm.tcti, options);
    if (stopping.aborted) await opened.close().catch(() => {});
    stopping.throwIfAborted();
    stores.set(kind, opened);
    return opened;
  };
  const wanted = ({ tpm: 'tpm', file: 'software', auto: undefined } as const)[identity.keyIn];
  return {
    async create(like) {
      const kind = wanted ?? like?.kind;
      if (kind !== undefined) return (await storeOf(kind)).create();
      try {
        return await (await storeOf('tpm')).create();
      } catch (error) {
        if (!isFailure(error, 'tpm.absent')) throw error;
        return (await storeOf('software')).create();
      }
    },
    isWanted: ({ kind }) => wanted === undefined || wanted === kind,
    load: async (saved) => (await storeOf(saved.kind)).load(saved),
    async close() {
      for (const store of stores.values()) await store.close().catch(() => {});
      stores.clear();
    },
  };
}

async function open(kind: Kind, tcti: string, options: TpmOptions | undefined): Promise<KeyStore> {
  if (kind === 'tpm') return (await import('./tpm-keys.ts')).openTpmKeys(tcti, options);
  return (await import('./software-keys.ts')).openSoftwareKeys('');
}
