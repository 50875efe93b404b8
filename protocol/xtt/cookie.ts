import { ascii, concat, equal, readU32, u32, wipe } from '../bytes.ts';
import type { Primitives } from '../crypto/primitives.ts';
import { Failure } from '../failure.ts';
import { FIELD_LENGTH, MESSAGE_LENGTH } from './message.ts';

/**
 * Server cookies that hold the state of a half-open handshake (xtt-protocol.md §9), so that the server keeps nothing
 * per client until Identity_ClientAttest returns one. 130 bytes:
 *
 *   0        4      36                                               114   130
 *   +--------+------+--------------------------------------------------+-----+
 *   | key id | seed | sealed: ClientInit 70 | serial u32 | expiry u32  | tag |
 *   +--------+------+--------------------------------------------------+-----+
 *   |<--- AAD ----->|
 *
 *   key id    which of the jar's keys made it; random start, +1 per rotation
 *   seed      32 fresh random bytes. HMAC-SHA-512(jar key, label ‖ seed) gives the X25519 secret of this handshake and
 *             the one-time ChaCha20-Poly1305 key of this cookie (hence the all-zero AEAD nonce), 32 bytes each
 *   serial    how many cookies this key made before; its bit in the key's bitmap says that the cookie is spent
 *   expiry    milliseconds since the key was made
 *
 * The server's signature has no room; it is deterministic and made again (crypto/ecdsa.ts).
 *
 * Memory: two keys at most, the current and, until its last cookie has expired, the one before. Each has one bit per
 * cookie it can make (`capacity`, by default 2^20: 128 KiB), so spent cookies never cost more than 256 KiB.
 */
export interface CookieJar {
  /**
   * A cookie for this 70-byte ClientInit and the X25519 secret that belongs to it; the caller wipes the secret.
   * @throws Failure `xtt.cookie-jar-full`
   */
  bake(nowMs: number, clientInit: Uint8Array): { readonly cookie: Uint8Array; readonly dhSecret: Uint8Array };
  /**
   * What {@link CookieJar.bake} was given and gave; spends the cookie. The caller wipes the secret.
   * @throws Failure `xtt.bad-cookie`, `xtt.expired-cookie`, `xtt.spent-cookie`
   */
  redeem(
    nowMs: number,
    cookie: Uint8Array,
  ): { readonly clientInit: Uint8Array; readonly dhSecret: Uint8Array };
}

export interface CookieOptions {
  /** How long a key makes cookies, milliseconds. Default 60 000. */
  readonly rotationMs?: number;
  /** How long a cookie may be redeemed, milliseconds; at most `rotationMs`. Default 30 000. */
  readonly lifetimeMs?: number;
  /** How many cookies one key makes; more within one rotation are refused. Default 2^20. */
  readonly capacity?: number;
}

interface JarKey {
  readonly id: number;
  readonly secret: Uint8Array;
  readonly bornMs: number;
  readonly spent: Uint8Array;
  baked: number;
}

const SEED_END = 36;
const SERIAL_OFFSET = MESSAGE_LENGTH.clientInit;
const EXPIRY_OFFSET = SERIAL_OFFSET + 4;
const LABEL = ascii('enf xtt cookie');
const AEAD = 'chacha20-poly1305';
const ZERO_NONCE = new Uint8Array(12);

/** A jar with fresh keys. `nowMs` of all its calls comes from one clock that never runs backwards. */
export function cookieJar(
  p: Pick<Primitives, 'hmacSha512' | 'seal' | 'open' | 'random'>,
  options: CookieOptions = {},
): CookieJar {
  const { rotationMs = 60_000, lifetimeMs = 30_000, capacity = 2 ** 20 } = options;
  if (!(lifetimeMs > 0 && lifetimeMs <= rotationMs && rotationMs < 2 ** 31)) {
    throw new Error('a cookie lives longer than 0 and at most as long as its key makes cookies');
  }
  let current: JarKey | undefined;
  let previous: JarKey | undefined;

  const rotate = (nowMs: number): JarKey => {
    if (current === undefined || nowMs >= current.bornMs + rotationMs) {
      if (previous !== undefined) wipe(previous.secret);
      previous = current;
      current = {
        id: current === undefined ? readU32(p.random(4), 0) : (current.id + 1) >>> 0,
        secret: p.random(64),
        bornMs: nowMs,
        spent: new Uint8Array(Math.ceil(capacity / 8)),
        baked: 0,
      };
    }
    if (previous !== undefined && nowMs >= previous.bornMs + rotationMs + lifetimeMs) {
      wipe(previous.secret);
      previous = undefined;
    }
    return current;
  };

  const expand = (key: JarKey, seed: Uint8Array): { dhSecret: Uint8Array; sealKey: Uint8Array } => {
    const both = p.hmacSha512(key.secret, LABEL, seed);
    const [dhSecret, sealKey] = [both.slice(0, 32), both.slice(32, 64)];
    wipe(both);
    return { dhSecret, sealKey };
  };

  return {
    bake(nowMs, clientInit) {
      if (clientInit.length !== MESSAGE_LENGTH.clientInit) throw new Error('not a ClientInit');
      const key = rotate(nowMs);
      if (key.baked >= capacity) {
        throw new Failure(
          'xtt.cookie-jar-full',
          'retry',
          `more than ${capacity} handshakes were started within ${rotationMs} ms`,
          {
            action: 'Limit how many connections a source may open, or raise the capacity of the cookie jar.',
          },
        );
      }
      const opening = concat(u32(key.id), p.random(32));
      const { dhSecret, sealKey } = expand(key, opening.subarray(4));
      const expiry = Math.floor(nowMs - key.bornMs + lifetimeMs);
      const state = concat(clientInit, u32(key.baked++), u32(expiry));
      const cookie = concat(opening, p.seal(AEAD, sealKey, ZERO_NONCE, opening, state));
      wipe(sealKey);
      return { cookie, dhSecret };
    },

    redeem(nowMs, cookie) {
      rotate(nowMs);
      const bytes = new Uint8Array(cookie);
      const key = [current, previous].find(
        (key) => key !== undefined && equal(u32(key.id), bytes.subarray(0, 4)),
      );
      if (bytes.length !== FIELD_LENGTH.cookie || key === undefined) throw badCookie();
      const opening = bytes.subarray(0, SEED_END);
      const { dhSecret, sealKey } = expand(key, opening.subarray(4));
      const state = p.open(AEAD, sealKey, ZERO_NONCE, opening, bytes.subarray(SEED_END));
      wipe(sealKey);
      try {
        if (state === undefined) throw badCookie();
        if (nowMs >= key.bornMs + readU32(state, EXPIRY_OFFSET)) {
          throw new Failure('xtt.expired-cookie', 'retry', `the cookie is older than ${lifetimeMs} ms`, {
            action:
              'The client has to start a new handshake; if it happens often, its TPM or network is slow.',
          });
        }
        spend(key, readU32(state, SERIAL_OFFSET));
        return { clientInit: state.slice(0, MESSAGE_LENGTH.clientInit), dhSecret };
      } catch (error) {
        wipe(dhSecret);
        throw error;
      }
    },
  };
}

function spend(key: JarKey, serial: number): void {
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
