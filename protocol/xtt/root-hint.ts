import { ascii, concat, equal } from '../bytes.ts';
import type { Primitives } from '../crypto/primitives.ts';
import { FIELD_LENGTH } from './message.ts';

/*
 * While a fabric replaces its root, some devices trust the old one and some the new one, and XTT gives a device no field to say which: the
 * server would have to guess with whose certificate to answer. So our agents say it in the nonce of ClientInit, whose 32 bytes are random
 * as far as the protocol goes (xtt-protocol.md §3.1):
 *
 *    0                      8                    32
 *   +----------------------+---------------------+
 *   | hint, 8 bytes        | random, 24 bytes    |      hint = first 8 bytes of SHA-256("enf root hint" ‖ root certificate)
 *   +----------------------+---------------------+
 *
 * A server that knows no hints, a C one for instance, sees a nonce. One that does not know this hint answers as to a C client: with a
 * certificate of its oldest root. 24 random bytes keep the nonce unique, and which root a client trusts is no secret: the answer shows it.
 */

export const HINT_LENGTH = 8;
const LABEL = ascii('enf root hint');
const NONCE_AT = 6;

/** The hint for an XTT root certificate, 81 bytes. */
export function rootHint(p: Pick<Primitives, 'sha256'>, root: Uint8Array): Uint8Array {
  return p.sha256(concat(LABEL, root)).slice(0, HINT_LENGTH);
}

/** A fresh nonce of 32 bytes for a client that trusts this root. */
export function hintedNonce(p: Pick<Primitives, 'sha256' | 'random'>, root: Uint8Array): Uint8Array {
  return concat(rootHint(p, root), p.random(FIELD_LENGTH.nonce - HINT_LENGTH));
}

/** True if the ClientInit, whose length was checked, begins its nonce with this hint. */
export function hasHint(clientInit: Uint8Array, hint: Uint8Array): boolean {
  return equal(clientInit.subarray(NONCE_AT, NONCE_AT + HINT_LENGTH), hint);
}
