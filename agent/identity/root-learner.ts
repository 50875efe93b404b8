import { primitives } from '../../crypto/primitives.ts';
import type { Log } from '../../os/service/log.ts';
import { isFailure } from '../../protocol/failure.ts';
import { verifyRootUpdate } from '../../protocol/identity/root-update.ts';
import { encodeRootsMessage, parseRootsMessage } from '../../protocol/tunnel/roots.ts';
import type { Store } from '../state/state.ts';
import { learnedRoots, withRoots } from './learned-roots.ts';

export interface LearnerOptions {
  readonly store: () => Promise<Store>;
  /** The XTT root of the credential, 81 bytes. @throws Failure of the keys */
  readonly credentialRoot: () => Promise<Uint8Array>;
  readonly wallMs: () => number;
  readonly log: Log;
  /** Receives each failure. */
  readonly note: (failure: unknown) => void;
  /** Others are trusted from now on. */
  readonly onLearned: () => void;
}

/** Learns of the fabric's next roots (docs/wire.md, "Roots"). */
export interface RootLearner {
  /** Takes a message of the router; resolves to what is to be answered, once what was learned is on the disk. Never rejects with a Failure. */
  hear(packet: Uint8Array): Promise<Uint8Array | undefined>;
}

export function rootLearner({
  store,
  credentialRoot,
  wallMs,
  log,
  note,
  onLearned,
}: LearnerOptions): RootLearner {
  /** The newest version that the router has told of. */
  let noticed = 0;
  let turn: Promise<unknown> = Promise.resolve();

  const known = async (): Promise<{ version: number; xttRoots: readonly Uint8Array[]; base: Uint8Array }> => {
    const base = await credentialRoot();
    const learned = learnedRoots((await store()).record, base);
    if (learned === undefined) return { version: 1, xttRoots: [base], base };
    return { version: learned.version, xttRoots: learned.roots.map(({ xttRoot }) => xttRoot), base };
  };

  const learn = async (update: Uint8Array): Promise<number> => {
    const { base, ...trusted } = await known();
    const set = verifyRootUpdate(primitives, update, trusted);
    const learned = new Date(wallMs()).toISOString();
    const opened = await store();
    // Both files: whichever a power cut leaves has it.
    for (let file = 0; file < 2; file++)
      await opened.update((record) => withRoots(record, set, base, learned));
    onLearned();
    const roots = set.roots.length === 1 ? 'one root' : `${set.roots.length} roots`;
    log(
      'notice',
      `the fabric's roots were changed: version ${set.version} with ${roots} is trusted from now on`,
    );
    return set.version;
  };

  const answer = async (packet: Uint8Array): Promise<Uint8Array | undefined> => {
    const message = parseRootsMessage(packet);
    if (message?.kind === 'notice') {
      noticed = message.version;
      return encodeRootsMessage({ kind: 'known', version: (await known()).version });
    }
    if (message?.kind !== 'update') return undefined;
    const version = await learn(message.update);
    // Several follow each other; one answer is enough.
    return version >= noticed ? encodeRootsMessage({ kind: 'known', version }) : undefined;
  };

  return {
    hear(packet) {
      const answered = turn.then(async () => {
        try {
          return await answer(packet);
        } catch (error) {
          if (!isFailure(error)) throw error;
          note(error);
          log('warning', `${error.code}: ${error.message}; the roots that were trusted stay`);
          return undefined;
        }
      });
      turn = answered.catch(() => {});
      return answered;
    },
  };
}
