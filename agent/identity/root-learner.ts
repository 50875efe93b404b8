import { primitives } from '../../crypto/primitives.ts';
import type { Log } from '../../os/service/log.ts';
import { readU32 } from '../../protocol/bytes.ts';
import { isFailure } from '../../protocol/failure.ts';
import { encodeRootSet, rootSetDigest, verifyRootUpdate } from '../../protocol/identity/root-update.ts';
import { encodeRootsMessage, NO_DIGEST, parseRootsMessage } from '../../protocol/tunnel/roots.ts';
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
  receive(packet: Uint8Array): Promise<Uint8Array | undefined>;
}

interface Known {
  readonly version: number;
  readonly digest: Uint8Array;
  readonly xttRoots: readonly Uint8Array[];
  /** The credential's. */
  readonly base: Uint8Array;
}

/** A router sends so many for one answer. */
const UPDATES_AT_ONCE = 8;

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
  /** Updates since the last answer. */
  let taken = 0;
  let turn: Promise<unknown> = Promise.resolve();

  const known = async (): Promise<Known> => {
    const base = await credentialRoot();
    const learned = learnedRoots((await store()).record, base);
    if (learned === undefined) return { version: 1, digest: NO_DIGEST, xttRoots: [base], base };
    const digest = rootSetDigest(primitives, encodeRootSet(learned));
    return { version: learned.version, digest, xttRoots: learned.roots.map(({ xttRoot }) => xttRoot), base };
  };

  const learn = async (update: Uint8Array, { base, ...trusted }: Known): Promise<void> => {
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
  };

  const say = async (): Promise<Uint8Array> => {
    taken = 0;
    const { version, digest } = await known();
    return encodeRootsMessage({ kind: 'known', version, digest });
  };

  const answer = async (packet: Uint8Array): Promise<Uint8Array | undefined> => {
    const message = parseRootsMessage(packet);
    if (message?.kind === 'notice') {
      noticed = message.version;
      return say();
    }
    if (message?.kind !== 'update') return undefined;
    const trusted = await known();
    const version = message.update.length < 4 ? 0 : readU32(message.update, 0);
    // One that came twice.
    if (version <= trusted.version && version > 0) return undefined;
    try {
      await learn(message.update, trusted);
    } catch (error) {
      // A device that was made after the first roots have ended cannot verify the updates that led to its own.
      if (!isFailure(error, 'roots.bad-update') || version >= noticed) throw error;
    }
    // Several follow each other; one answer is enough, and what is still behind is asked for with it.
    return version >= noticed || ++taken >= UPDATES_AT_ONCE ? say() : undefined;
  };

  return {
    receive(packet) {
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
