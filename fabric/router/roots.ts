import { primitives } from '../../crypto/primitives.ts';
import { equal } from '../../protocol/bytes.ts';
import { rootSetDigest, setOf } from '../../protocol/identity/root-update.ts';
import { encodeRootsMessage, parseRootsMessage } from '../../protocol/tunnel/roots.ts';
import type { RouterThreads } from '../../tunnel/router.ts';
import type { Learned } from '../registry/records.ts';
import { ownTurn } from '../registry/turns.ts';
import type { Session } from './session.ts';

/** The roots that devices are told of: the version in force, and the signed updates to version 2, 3, … */
export interface RootNews {
  readonly version: number;
  readonly updates: readonly Uint8Array[];
}

/** Tells devices of the fabric's roots (docs/wire.md, "Roots"), and knows what they know. */
export interface RootTeller {
  /** A device was admitted. */
  greet(session: Session): void;
  /** A device said something; true if it was about roots. */
  hear(session: Session, message: Uint8Array): boolean;
  /** A connection has ended. */
  forget(session: Session): void;
  /** From now on there are these. Those who are connected are told, some in each turn. */
  replace(news: RootNews, sessions: Iterable<Session>): Promise<void>;
  /** Of so many sessions. */
  learned(sizes: { readonly agent: number; readonly c: number }): Learned;
}

/** Updates that one answer has: a device that is further behind asks again. */
const UPDATES_AT_ONCE = 8;
const TOLD_AT_ONCE = 100;

export function rootTeller(threads: Pick<RouterThreads, 'send'>, begin: RootNews): RootTeller {
  let news = begin;
  /** By the connection's id. */
  const known = new Map<number, number>();
  let newest = 0;
  const count = (): void => {
    newest = [...known.values()].filter((version) => version >= news.version).length;
  };
  const learn = (id: number, version: number | undefined): void => {
    if ((known.get(id) ?? 0) >= news.version) newest--;
    if (version === undefined) known.delete(id);
    else known.set(id, version);
    if ((version ?? 0) >= news.version) newest++;
  };
  const tell = ({ peer, understandsVerdicts }: Session): void => {
    if (understandsVerdicts && news.version > 1)
      threads.send(peer, encodeRootsMessage({ kind: 'notice', version: news.version }));
  };
  /** Two fabrics that were restored from one backup may have given one version to two sets. */
  const isOurs = (version: number, digest: Uint8Array): boolean => {
    const update = news.updates[version - 2];
    return update === undefined ? version <= 1 : equal(rootSetDigest(primitives, setOf(update)), digest);
  };
  return {
    greet: tell,
    hear({ id, peer }, packet) {
      const message = parseRootsMessage(packet);
      if (message === undefined) return false;
      if (message.kind !== 'known') return true;
      const { version, digest } = message;
      if (!isOurs(version, digest)) {
        learn(id, undefined);
        return true;
      }
      learn(id, version);
      const from = Math.max(0, version - 1);
      for (const update of news.updates.slice(from, from + UPDATES_AT_ONCE))
        threads.send(peer, encodeRootsMessage({ kind: 'update', update }));
      return true;
    },
    forget: ({ id }) => learn(id, undefined),
    async replace(next, sessions) {
      news = next;
      count();
      let told = 0;
      for (const session of sessions) {
        if (++told % TOLD_AT_ONCE === 0) await ownTurn();
        tell(session);
      }
    },
    learned: ({ agent, c }) =>
      news.version === 1 ? { newest: agent, older: 0, c } : { newest, older: agent - newest, c },
  };
}
