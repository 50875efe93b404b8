import { primitives } from '../../crypto/primitives.ts';
import { equal } from '../../protocol/bytes.ts';
import { rootSetDigest, setOf } from '../../protocol/identity/root-update.ts';
import { encodeRootsMessage, parseRootsMessage } from '../../protocol/tunnel/roots.ts';
import type { RouterThreads } from '../../tunnel/router.ts';
import type { Learned } from '../registry/records.ts';
import { ownTurn } from '../registry/turns.ts';
import type { Session } from './session.ts';

/** The roots that devices are to know: the version in force, and the signed updates to version 2, 3, … */
export interface RootUpdates {
  readonly version: number;
  readonly updates: readonly Uint8Array[];
}

/** Notifies devices of the fabric's roots (docs/wire.md, "Roots"), and knows what they know. */
export interface RootDistribution {
  /** A device was admitted. */
  admitted(session: Session): void;
  /** Takes a control message; true if it was about roots. */
  receive(session: Session, message: Uint8Array): boolean;
  /** A connection has ended. */
  ended(session: Session): void;
  /** From now on there are these. Those who are connected are notified, some in each turn. */
  replace(roots: RootUpdates, sessions: Iterable<Session>): Promise<void>;
  /** Of so many sessions. */
  learned(sizes: { readonly agent: number; readonly c: number }): Learned;
}

/** Updates that one answer has: a device that is further behind asks again. */
const UPDATES_AT_ONCE = 8;
const NOTICES_AT_ONCE = 100;

export function rootDistribution(threads: Pick<RouterThreads, 'send'>, first: RootUpdates): RootDistribution {
  let roots = first;
  /** By the connection's id. */
  const known = new Map<number, number>();
  let newest = 0;
  const count = (): void => {
    newest = [...known.values()].filter((version) => version >= roots.version).length;
  };
  const learn = (id: number, version: number | undefined): void => {
    if ((known.get(id) ?? 0) >= roots.version) newest--;
    if (version === undefined) known.delete(id);
    else known.set(id, version);
    if ((version ?? 0) >= roots.version) newest++;
  };
  const notify = ({ peer, understandsVerdicts }: Session): void => {
    if (understandsVerdicts && roots.version > 1)
      threads.send(peer, encodeRootsMessage({ kind: 'notice', version: roots.version }));
  };
  /** Two fabrics that were restored from one backup may have given one version to two sets. */
  const isOurs = (version: number, digest: Uint8Array): boolean => {
    const update = roots.updates[version - 2];
    return update === undefined ? version <= 1 : equal(rootSetDigest(primitives, setOf(update)), digest);
  };
  return {
    admitted: notify,
    receive({ id, peer }, packet) {
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
      for (const update of roots.updates.slice(from, from + UPDATES_AT_ONCE))
        threads.send(peer, encodeRootsMessage({ kind: 'update', update }));
      return true;
    },
    ended: ({ id }) => learn(id, undefined),
    async replace(next, sessions) {
      roots = next;
      count();
      let notified = 0;
      for (const session of sessions) {
        if (++notified % NOTICES_AT_ONCE === 0) await ownTurn();
        notify(session);
      }
    },
    learned: ({ agent, c }) =>
      roots.version === 1 ? { newest: agent, older: 0, c } : { newest, older: agent - newest, c },
  };
}
