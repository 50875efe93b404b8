import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const LIFETIME_MS = 5 * 60_000;
/** Used ones that are remembered. */
const MOST_USED = 1_000;
const TIME_LENGTH = 6;
const NONCE_LENGTH = 16;
const MAC_LENGTH = 16;

/**
 * Challenges for passkeys. Each tells itself when and for what it was issued (an authentication code proves it), so that nothing is kept of those
 * that are never answered: nobody can fill a table with them.
 */
export interface Challenges {
  /** A new one, base64url. */
  issue(purpose: string): string;
  /** Was it issued for this purpose, not long ago, and not used? */
  isOpen(challenge: string, purpose: string): boolean;
  /** Uses it up; false if it was not open. */
  use(challenge: string, purpose: string): boolean;
}

export function challenges(now: () => number): Challenges {
  const key = randomBytes(32);
  /** With the time of issue. */
  const used = new Map<string, number>();
  /** Those issued until then are void: they may have been used. */
  let voidUntil = 0;

  const mac = (body: Uint8Array, purpose: string): Buffer =>
    createHmac('sha256', key).update(body).update(purpose).digest().subarray(0, MAC_LENGTH);

  /** When it was issued; undefined if it was not, for this purpose. */
  function issuedAt(challenge: string, purpose: string): number | undefined {
    const bytes = Buffer.from(challenge, 'base64url');
    if (bytes.length !== TIME_LENGTH + NONCE_LENGTH + MAC_LENGTH || bytes.toString('base64url') !== challenge)
      return undefined;
    const body = bytes.subarray(0, -MAC_LENGTH);
    return timingSafeEqual(mac(body, purpose), bytes.subarray(-MAC_LENGTH))
      ? body.readUIntBE(0, TIME_LENGTH)
      : undefined;
  }

  function isOpen(challenge: string, purpose: string): boolean {
    const at = issuedAt(challenge, purpose);
    return at !== undefined && at > voidUntil && now() - at < LIFETIME_MS && !used.has(challenge);
  }

  function forgetSome(): void {
    for (const [challenge, at] of used) if (now() - at >= LIFETIME_MS) used.delete(challenge);
    if (used.size < MOST_USED) return;
    const [oldest, at] = used.entries().next().value!;
    used.delete(oldest);
    voidUntil = Math.max(voidUntil, at);
  }

  return {
    issue(purpose) {
      const body = Buffer.alloc(TIME_LENGTH + NONCE_LENGTH);
      body.writeUIntBE(now(), 0, TIME_LENGTH);
      randomBytes(NONCE_LENGTH).copy(body, TIME_LENGTH);
      return Buffer.concat([body, mac(body, purpose)]).toString('base64url');
    },
    isOpen,
    use(challenge, purpose) {
      if (!isOpen(challenge, purpose)) return false;
      forgetSome();
      used.set(challenge, issuedAt(challenge, purpose)!);
      return true;
    },
  };
}
