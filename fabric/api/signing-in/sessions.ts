import { toHex } from '../../../protocol/bytes.ts';
import { issueSecret, secretHash } from '../../access/secrets.ts';

const IDLE_MS = 30 * 60_000;
export const LONGEST_MS = 12 * 60 * 60_000;
const MOST_OF_ONE = 10;
const MOST = 1_000;

/** Somebody who has signed in at one browser. */
export interface Session {
  /** Of the person. */
  readonly id: number;
  /** Of the person when it signed in, see `Person`. */
  readonly generation: number;
  /** When the person has last shown that it is there; milliseconds since 1970. */
  readonly proved: number;
}

interface Open extends Session {
  readonly began: number;
  used: number;
  proved: number;
}

/** The sessions of a console, in memory: whoever takes its process over or reads its memory finds hashes. */
export interface Sessions {
  /** The text by which the browser is known; the longest unused session goes if a person, or all, have too many. `proved` is now unless it is another time. */
  begin(session: Omit<Session, 'proved'> & { readonly proved?: number | undefined }): string;
  /** By what a session is told from others where its text must not be: SHA-256 of it in hex; undefined if that is none of a session. */
  keyOf(text: string): string | undefined;
  /** The person of the session with this key has shown at the time `proved`, now unless given, that it is there; false if the session is over. */
  confirm(key: string, proved?: number): boolean;
  /** The session if it holds; that makes it used. */
  find(text: string): Session | undefined;
  /** Does the session hold? That does not make it used. */
  holds(text: string): boolean;
  /** The same of the session with this key. */
  isOpen(key: string): boolean;
  end(text: string): void;
  endAll(id: number): void;
}

export function sessions(now: () => number): Sessions {
  /** By hash; the longest unused one first. */
  const open = new Map<string, Open>();
  const keyOf = (text: string): string | undefined => {
    const hash = secretHash('session', text);
    return hash === undefined ? undefined : toHex(hash);
  };

  function makeRoom(id: number): void {
    const own = [...open].filter(([, each]) => each.id === id).map(([key]) => key);
    if (own.length >= MOST_OF_ONE) open.delete(own[0]!);
    else if (open.size >= MOST) open.delete(open.keys().next().value!);
  }

  function isOpen(key: string): boolean {
    const found = open.get(key);
    return found !== undefined && !isOver(found);
  }

  const isOver = ({ began, used }: Open): boolean => now() - used >= IDLE_MS || now() - began >= LONGEST_MS;

  return {
    isOpen,
    holds: (text) => isOpen(keyOf(text) ?? ''),
    begin({ id, generation, proved = now() }) {
      const { text, hash } = issueSecret('session');
      makeRoom(id);
      open.set(toHex(hash), { id, generation, began: now(), used: now(), proved });
      return text;
    },
    find(text) {
      const key = keyOf(text);
      const found = key === undefined ? undefined : open.get(key);
      if (key === undefined || found === undefined) return undefined;
      open.delete(key);
      if (isOver(found)) return undefined;
      found.used = now();
      open.set(key, found);
      return found;
    },
    keyOf,
    confirm(key, proved = now()) {
      const found = open.get(key);
      if (found === undefined || isOver(found)) return false;
      found.proved = Math.max(found.proved, Math.min(proved, now()));
      return true;
    },
    end(text) {
      const key = keyOf(text);
      if (key !== undefined) open.delete(key);
    },
    endAll(id) {
      for (const [key, each] of open) if (each.id === id) open.delete(key);
    },
  };
}
