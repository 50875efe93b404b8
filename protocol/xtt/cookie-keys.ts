import { readU32 } from '../bytes.ts';
import type { Primitives } from '../crypto/primitives.ts';
import { Failure } from '../failure.ts';

/**
 * Which key a server's cookies are made with, how many, and which are spent (cookie.ts describes them): whoever seals and opens them has its
 * secrets behind `Secrets`.
 *
 * Memory: two keys at most, the current and, until its last cookie has expired, the one before. Each has one bit per
 * cookie it can issue (`capacity`, by default 2^20: 128 KiB), so spent cookies never cost more than 256 KiB.
 */
export interface CookieKeys<Secrets> {
  /** What the next cookie is made of. @throws Failure `xtt.cookie-jar-full` */
  next(nowMs: number): Ticket<Secrets>;
  /** The key with the id that a cookie begins with. @throws Failure `xtt.bad-cookie` */
  find(nowMs: number, id: number): CookieKey<Secrets>;
  /** Wipes the keys whose last cookie has expired. The other two calls do so, too. */
  sweep(nowMs: number): void;
}

/** Numbers are below 2^32. */
export interface Ticket<Secrets> {
  readonly secrets: Secrets;
  readonly id: number;
  readonly serial: number;
  readonly salt: number;
  /** Milliseconds since the key was made. */
  readonly expiry: number;
}

export interface CookieKey<Secrets> {
  readonly id: number;
  readonly secrets: Secrets;
  readonly bornMs: number;
  /** A bit for each serial number, set once its cookie is spent. */
  readonly spent: Uint8Array;
}

interface Issuing<Secrets> extends CookieKey<Secrets> {
  issued: number;
}

export interface CookieOptions {
  /** How long a key issues cookies, milliseconds. Default 60 000. */
  readonly rotationMs?: number;
  /** How long a cookie may be redeemed, milliseconds; at most `rotationMs`. Default 30 000. */
  readonly lifetimeMs?: number;
  /** How many cookies one key issues; more within one rotation are refused. Default 2^20. */
  readonly capacity?: number;
}

const LIFETIME_MS = 30_000;
/** Salts drawn at once: a draw costs more than a salt. */
const SALTS = 256;

/**
 * `secrets` makes those of a new key, which are wiped by their `forget`. `nowMs` of all calls comes from one clock that never runs
 * backwards.
 */
export function cookieKeys<Secrets extends { forget(): void }>(
  p: Pick<Primitives, 'random'>,
  secrets: () => Secrets,
  options: CookieOptions = {},
): CookieKeys<Secrets> {
  const { rotationMs = 60_000, lifetimeMs = LIFETIME_MS, capacity = 2 ** 20 } = options;
  if (!(lifetimeMs > 0 && lifetimeMs <= rotationMs && rotationMs < 2 ** 31)) {
    throw new Error('a cookie lives longer than 0 and at most as long as its key makes cookies');
  }
  let current: Issuing<Secrets> | undefined;
  let previous: Issuing<Secrets> | undefined;
  let nextId = readU32(p.random(4), 0);
  const salt = salts(p);

  function unexpired(key: Issuing<Secrets> | undefined, nowMs: number): Issuing<Secrets> | undefined {
    if (key === undefined || nowMs < key.bornMs + rotationMs + lifetimeMs) return key;
    key.secrets.forget();
    return undefined;
  }

  function sweep(nowMs: number): void {
    previous = unexpired(previous, nowMs);
    current = unexpired(current, nowMs);
  }

  function rotate(nowMs: number): Issuing<Secrets> {
    sweep(nowMs);
    if (current === undefined || nowMs >= current.bornMs + rotationMs) {
      previous?.secrets.forget();
      previous = current;
      current = {
        id: nextId,
        secrets: secrets(),
        bornMs: nowMs,
        spent: new Uint8Array(Math.ceil(capacity / 8)),
        issued: 0,
      };
      nextId = (nextId + 1) >>> 0;
    }
    return current;
  }

  return {
    sweep,
    next(nowMs) {
      const key = rotate(nowMs);
      if (key.issued >= capacity) throw jarFull(capacity, rotationMs);
      const expiry = Math.floor(nowMs - key.bornMs + lifetimeMs);
      return { secrets: key.secrets, id: key.id, serial: key.issued++, salt: salt(), expiry };
    },
    find(nowMs, id) {
      sweep(nowMs);
      if (current?.id === id) return current;
      if (previous?.id === id) return previous;
      throw badCookie();
    },
  };
}

function salts(p: Pick<Primitives, 'random'>): () => number {
  let drawn: Uint8Array = new Uint8Array(0);
  let used = 0;
  return () => {
    if (used === drawn.length) {
      drawn = p.random(4 * SALTS);
      used = 0;
    }
    used += 4;
    return readU32(drawn, used - 4);
  };
}

/** The cookie is none of ours. */
export function badCookie(): Failure {
  return new Failure('xtt.bad-cookie', 'retry', 'the cookie is not one of ours, or its key is gone', {
    action: 'The client has to start a new handshake.',
  });
}

/** It was redeemed too late. */
export function expiredCookie({ lifetimeMs = LIFETIME_MS }: CookieOptions): Failure {
  return new Failure('xtt.expired-cookie', 'retry', `the cookie is older than ${lifetimeMs} ms`, {
    action: 'The client has to start a new handshake; if it happens often, its TPM or network is slow.',
  });
}

/** It was redeemed twice. */
export function spentCookie(): Failure {
  return new Failure('xtt.spent-cookie', 'retry', 'the cookie was redeemed before', {
    action: 'The client has to start a new handshake; if it did, somebody replays its messages.',
  });
}

function jarFull(capacity: number, rotationMs: number): Failure {
  return new Failure(
    'xtt.cookie-jar-full',
    'retry',
    `more than ${capacity} handshakes were started within ${rotationMs} ms`,
    { action: 'Limit how many connections a source may open, or raise the capacity of the cookie jar.' },
  );
}
