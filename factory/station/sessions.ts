import { Failure } from '../../protocol/failure.ts';
import type { Token } from './token.ts';

/** What limits need to know of a board's session. */
export interface Held {
  readonly token: Token;
  /** The address that the board has. */
  readonly source: string;
  /** The key of a board that has its credential already, as the board says. */
  readonly returning: string | undefined;
  /** The key that the board has shown. */
  readonly member?: string;
  /** What it costs is charged to its token. */
  readonly charged: boolean;
  /** In ms since 1970. */
  until: number;
}

/** The sessions of boards that are at work: at most `boards`, and no address and no token keeps the others out. */
export interface Sessions<T extends Held> {
  readonly size: number;
  get(id: string): T | undefined;
  /** `left`: how many boards the session's token has left. @throws Failure `factory.station-busy` */
  add(id: string, session: T, left: number): void;
  remove(id: string): void;
  /** A device is at work once: its other sessions go. */
  removeOthers(id: string, member: string): void;
}

/** `ended` is called with each session that goes. */
export function openSessions<T extends Held>(
  boards: number,
  now: () => number,
  ended: (session: T) => void,
): Sessions<T> {
  const sessions = new Map<string, T>();

  function remove(id: string): void {
    const session = sessions.get(id);
    if (session !== undefined) ended(session);
    sessions.delete(id);
  }

  /** Removes the oldest of these, if there is one. */
  function removeFirst(of: (session: T) => boolean): boolean {
    for (const [id, session] of sessions) {
      if (session.charged || !of(session)) continue;
      remove(id);
      return true;
    }
    return false;
  }

  /** A token opens no more sessions than it can pay for; a board that starts again takes the place of what it was. */
  function fitToken({ token, source, returning }: T, left: number): void {
    if (returning !== undefined) {
      removeFirst((each) => each.returning === returning && each.source === source);
      return;
    }
    const mine = (each: T): boolean =>
      each.token.id === token.id && each.returning === undefined && !each.charged;
    if ([...sessions.values()].filter(mine).length < left) return;
    if (!removeFirst((each) => mine(each) && each.source === source))
      throw busy(`as many boards as are left on the token ${token.id} are at work`);
  }

  /** Where the station is full, the address with the most sessions gives one to an address that has fewer. */
  function fitStation({ source }: T): void {
    if (sessions.size < boards) return;
    const counts = new Map<string, number>();
    for (const each of sessions.values()) counts.set(each.source, (counts.get(each.source) ?? 0) + 1);
    let most = source;
    for (const each of sessions.values())
      if (!each.charged && counts.get(each.source)! > (counts.get(most) ?? 0)) most = each.source;
    const fairer = (counts.get(most) ?? 0) > (counts.get(source) ?? 0) + 1;
    if (!fairer || !removeFirst((each) => each.source === most))
      throw busy(`the station serves ${boards} boards, and no more at a time`);
  }

  return {
    get size() {
      return sessions.size;
    },
    get(id) {
      const session = sessions.get(id);
      return session !== undefined && session.until > now() ? session : undefined;
    },
    add(id, session, left) {
      for (const [each, { until }] of sessions) if (until <= now()) remove(each);
      fitToken(session, left);
      fitStation(session);
      sessions.set(id, session);
    },
    remove,
    removeOthers(id, member) {
      for (const [each, session] of sessions) if (each !== id && session.member === member) remove(each);
    },
  };
}

function busy(why: string): Failure {
  return new Failure('factory.station-busy', 'retry', why, {
    action: 'Wait: the board tries again by itself for some minutes.',
  });
}
