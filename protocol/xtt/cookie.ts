import { concat, equal, readU32, u32, wipe } from '../bytes.ts';
import type { Primitives, X25519Key } from '../crypto/primitives.ts';
import { Failure } from '../failure.ts';
import { encodeClientInit, FIELD_LENGTH, MESSAGE_LENGTH } from './message.ts';

/**
 * Server cookies that hold the state of a half-open handshake (xtt-protocol.md §9), so that the server keeps nothing
 * per client until Identity_ClientAttest returns one. 130 bytes:
 *
 *   0        4        8      12                                              114   130
 *   +--------+--------+------+-----------------------------------------------+-----+
 *   | key id | serial | salt | sealed: ClientInit from its suite on 66 ‖     | tag |
 *   |        |        |      |         shared secret 32 ‖ expiry u32         |     |
 *   +--------+--------+------+-----------------------------------------------+-----+
 *   |<-- AAD and nonce, 12 ->|
 *
 *   key id    which of the jar's keys issued it; random start, +1 per rotation
 *   serial    how many cookies this key issued before: no nonce is used twice with a key. Its bit in the key's bitmap says
 *             that the cookie is spent
 *   salt      4 random bytes
 *   shared    the X25519 shared secret of this handshake
 *   expiry    milliseconds since the key was made
 *
 * A jar's key is an AEAD key and an X25519 secret, and all handshakes under it have the same server share: for a minute
 * by default. Each handshake still has session keys of its own, the serial is part of the transcript, and forward secrecy is as good
 * as with a share for each: that share, too, would have to be derived from a key that lives as long as the cookies do
 * (docs/adr/0004), provided that the jar is swept. There is no room for the server's signature; it is deterministic and
 * computed again (protocol/crypto/ecdsa.ts).
 *
 * Memory: two keys at most, the current and, until its last cookie has expired, the one before. Each has one bit per
 * cookie it can issue (`capacity`, by default 2^20: 128 KiB), so spent cookies never cost more than 256 KiB.
 */
export interface CookieJar {
  /**
   * A cookie for this 70-byte ClientInit and the key exchange that belongs to it; the caller wipes `shared`.
   * @throws Failure `xtt.cookie-jar-full`
   */
  issue(nowMs: number, clientInit: Uint8Array): KeyExchange & { readonly cookie: Uint8Array };
  /**
   * The ClientInit for which {@link CookieJar.issue} made this cookie, and its key exchange; spends the cookie. The caller wipes `shared`.
   * @throws Failure `xtt.bad-cookie`, `xtt.expired-cookie`, `xtt.spent-cookie`
   */
  redeem(nowMs: number, cookie: Uint8Array): KeyExchange & { readonly clientInit: Uint8Array };
  /**
   * Wipes the keys whose last cookie has expired. The other two calls do so, too; a server also calls this from time to
   * time, so that an idle one does not keep keys with which its memory would reveal past handshakes.
   */
  sweep(nowMs: number): void;
}

/** A key exchange: the server's share, and the shared secret, which is all zero if the client's share is of small order. */
export interface KeyExchange {
  readonly share: Uint8Array;
  readonly shared: Uint8Array;
}

export interface CookieOptions {
  /** How long a key issues cookies, milliseconds. Default 60 000. */
  readonly rotationMs?: number;
  /** How long a cookie may be redeemed, milliseconds; at most `rotationMs`. Default 30 000. */
  readonly lifetimeMs?: number;
  /** How many cookies one key issues; more within one rotation are refused. Default 2^20. */
  readonly capacity?: number;
}

interface JarKey {
  readonly id: number;
  readonly sealKey: Uint8Array;
  readonly dh: X25519Key;
  readonly bornMs: number;
  readonly spent: Uint8Array;
  issued: number;
}

const OPENING_LENGTH = 12;
const SUITE_OFFSET = 4;
const SHARED_OFFSET = MESSAGE_LENGTH.clientInit - SUITE_OFFSET;
const EXPIRY_OFFSET = SHARED_OFFSET + FIELD_LENGTH.share;
const AEAD = 'chacha20-poly1305';
/** What every ClientInit begins with; it need not be kept. */
const CLIENT_INIT_HEADER = encodeClientInit({
  suite: 1,
  nonce: new Uint8Array(FIELD_LENGTH.nonce),
  share: new Uint8Array(FIELD_LENGTH.share),
}).subarray(0, SUITE_OFFSET);

/** A jar with fresh keys. `nowMs` of all its calls comes from one clock that never runs backwards. */
export function cookieJar(
  p: Pick<Primitives, 'x25519Key' | 'seal' | 'open' | 'random'>,
  options: CookieOptions = {},
): CookieJar {
  const { rotationMs = 60_000, lifetimeMs = 30_000, capacity = 2 ** 20 } = options;
  if (!(lifetimeMs > 0 && lifetimeMs <= rotationMs && rotationMs < 2 ** 31)) {
    throw new Error('a cookie lives longer than 0 and at most as long as its key makes cookies');
  }
  let current: JarKey | undefined;
  let previous: JarKey | undefined;
  let nextId = readU32(p.random(4), 0);

  const unexpired = (key: JarKey | undefined, nowMs: number): JarKey | undefined => {
    if (key === undefined || nowMs < key.bornMs + rotationMs + lifetimeMs) return key;
    discard(key);
    return undefined;
  };

  const sweep = (nowMs: number): void => {
    previous = unexpired(previous, nowMs);
    current = unexpired(current, nowMs);
  };

  const rotate = (nowMs: number): JarKey => {
    sweep(nowMs);
    if (current === undefined || nowMs >= current.bornMs + rotationMs) {
      if (previous !== undefined) discard(previous);
      previous = current;
      current = {
        id: nextId,
        sealKey: p.random(32),
        dh: freshExchange(p),
        bornMs: nowMs,
        spent: new Uint8Array(Math.ceil(capacity / 8)),
        issued: 0,
      };
      nextId = (nextId + 1) >>> 0;
    }
    return current;
  };

  return {
    sweep,

    issue(nowMs, clientInit) {
      if (clientInit.length !== MESSAGE_LENGTH.clientInit) throw new Error('not a ClientInit');
      const key = rotate(nowMs);
      if (key.issued >= capacity) throw jarFull(capacity, rotationMs);
      const expiry = Math.floor(nowMs - key.bornMs + lifetimeMs);
      return sealCookie(p, key, clientInit, expiry);
    },

    redeem(nowMs, cookie) {
      sweep(nowMs);
      const bytes = new Uint8Array(cookie);
      const key = [current, previous].find(
        (each) => each !== undefined && equal(u32(each.id), bytes.subarray(0, 4)),
      );
      if (bytes.length !== FIELD_LENGTH.cookie || key === undefined) throw badCookie();
      const opening = bytes.subarray(0, OPENING_LENGTH);
      const state = p.open(AEAD, key.sealKey, opening, opening, bytes.subarray(OPENING_LENGTH));
      if (state === undefined) throw badCookie();
      try {
        if (nowMs >= key.bornMs + readU32(state, EXPIRY_OFFSET)) throw expired(lifetimeMs);
        markSpent(key, readU32(opening, 4));
        return {
          clientInit: concat(CLIENT_INIT_HEADER, state.subarray(0, SHARED_OFFSET)),
          share: key.dh.share,
          shared: state.slice(SHARED_OFFSET, EXPIRY_OFFSET),
        };
      } finally {
        wipe(state);
      }
    },
  };
}

/** The next cookie of a key. `expiry` is in milliseconds since the key was made. */
function sealCookie(
  p: Pick<Primitives, 'seal' | 'random'>,
  key: JarKey,
  clientInit: Uint8Array,
  expiry: number,
): KeyExchange & { readonly cookie: Uint8Array } {
  const shared = key.dh.exchange(clientInit.subarray(-FIELD_LENGTH.share));
  const opening = concat(u32(key.id), u32(key.issued++), p.random(4));
  const state = concat(clientInit.subarray(SUITE_OFFSET), shared, u32(expiry));
  const cookie = concat(opening, p.seal(AEAD, key.sealKey, opening, opening, state));
  wipe(state);
  return { cookie, share: key.dh.share, shared };
}

function freshExchange(p: Pick<Primitives, 'x25519Key' | 'random'>): X25519Key {
  const secret = p.random(32);
  const key = p.x25519Key(secret);
  wipe(secret);
  return key;
}

function discard(key: JarKey): void {
  wipe(key.sealKey);
  key.dh.forget();
}

/** @throws Failure `xtt.spent-cookie` */
function markSpent(key: JarKey, serial: number): void {
  const [index, bit] = [serial >>> 3, 1 << (serial & 7)];
  if ((key.spent[index]! & bit) !== 0) {
    throw new Failure('xtt.spent-cookie', 'retry', 'the cookie was redeemed before', {
      action: 'The client has to start a new handshake; if it did, somebody replays its messages.',
    });
  }
  key.spent[index]! |= bit;
}

function badCookie(): Failure {
  return new Failure('xtt.bad-cookie', 'retry', 'the cookie is not one of ours, or its key is gone', {
    action: 'The client has to start a new handshake.',
  });
}

function expired(lifetimeMs: number): Failure {
  return new Failure('xtt.expired-cookie', 'retry', `the cookie is older than ${lifetimeMs} ms`, {
    action: 'The client has to start a new handshake; if it happens often, its TPM or network is slow.',
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
