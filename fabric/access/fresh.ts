import { Failure } from '../../protocol/failure.ts';

/** How long a proof that a person is there holds. */
export const FRESH_MS = 5 * 60_000;

/**
 * A session does what is dangerous only if its person has shown lately that it is there: by signing in, or by its password or a passkey since.
 * `proved` is when; both are milliseconds since 1970.
 * @throws Failure `access.fresh-sign-in`
 */
export function requireFresh(proved: number | undefined, now: number): void {
  if (proved !== undefined && proved <= now && now - proved < FRESH_MS) return;
  throw new Failure(
    'access.fresh-sign-in',
    'operator',
    `this needs a sign-in of the last ${FRESH_MS / 60_000} minutes`,
    { action: 'Show by your password or a passkey that you are still there, and do it again.' },
  );
}
