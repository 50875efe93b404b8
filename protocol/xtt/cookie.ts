import { concat, readU32, u32, wipe } from '../bytes.ts';
import type { Primitives, X25519Key } from '../crypto/primitives.ts';
import {
  badCookie,
  type CookieKey,
  type CookieOptions,
  cookieKeys,
  expiredCookie,
  spentCookie,
  type Ticket,
} from './cookie-keys.ts';
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

/** What seals and opens the cookies of a key, and the exchange of all handshakes under it. */
interface JarSecrets {
  readonly sealKey: Uint8Array;
  readonly dh: X25519Key;
  forget(): void;
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
  const keys = cookieKeys(p, () => freshSecrets(p), options);
  return {
    sweep: (nowMs) => keys.sweep(nowMs),

    issue(nowMs, clientInit) {
      if (clientInit.length !== MESSAGE_LENGTH.clientInit) throw new Error('not a ClientInit');
      return sealCookie(p, keys.next(nowMs), clientInit);
    },

    redeem(nowMs, cookie) {
      const bytes = new Uint8Array(cookie);
      if (bytes.length !== FIELD_LENGTH.cookie) throw badCookie();
      const key = keys.find(nowMs, readU32(bytes, 0));
      const { sealKey, dh } = key.secrets;
      const opening = bytes.subarray(0, OPENING_LENGTH);
      const state = p.open(AEAD, sealKey, opening, opening, bytes.subarray(OPENING_LENGTH));
      if (state === undefined) throw badCookie();
      try {
        if (nowMs >= key.bornMs + readU32(state, EXPIRY_OFFSET)) throw expiredCookie(options);
        markSpent(key, readU32(opening, 4));
        return {
          clientInit: concat(CLIENT_INIT_HEADER, state.subarray(0, SHARED_OFFSET)),
          share: dh.share,
          shared: state.slice(SHARED_OFFSET, EXPIRY_OFFSET),
        };
      } finally {
        wipe(state);
      }
    },
  };
}

function sealCookie(
  p: Pick<Primitives, 'seal'>,
  { secrets, id, serial, salt, expiry }: Ticket<JarSecrets>,
  clientInit: Uint8Array,
): KeyExchange & { readonly cookie: Uint8Array } {
  const { sealKey, dh } = secrets;
  const shared = dh.exchange(clientInit.subarray(-FIELD_LENGTH.share));
  const opening = concat(u32(id), u32(serial), u32(salt));
  const state = concat(clientInit.subarray(SUITE_OFFSET), shared, u32(expiry));
  const cookie = concat(opening, p.seal(AEAD, sealKey, opening, opening, state));
  wipe(state);
  return { cookie, share: dh.share, shared };
}

function freshSecrets(p: Pick<Primitives, 'x25519Key' | 'random'>): JarSecrets {
  const sealKey = p.random(32);
  const secret = p.random(32);
  const dh = p.x25519Key(secret);
  wipe(secret);
  return {
    sealKey,
    dh,
    forget() {
      wipe(sealKey);
      dh.forget();
    },
  };
}

/** @throws Failure `xtt.spent-cookie` */
function markSpent({ spent }: CookieKey<JarSecrets>, serial: number): void {
  const [index, bit] = [serial >>> 3, 1 << (serial & 7)];
  if ((spent[index]! & bit) !== 0) throw spentCookie();
  spent[index]! |= bit;
}
