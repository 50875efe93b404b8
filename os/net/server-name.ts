import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

/**
 * Why a server with this certificate is none of those that are meant: it has to have one of the names (names or addresses) and serverAuth among
 * its usages. Undefined: it is; no names: whoever the root has signed is.
 */
export function misnamed(
  certificate: X509Certificate | undefined,
  names: readonly string[],
): string | undefined {
  if (names.length === 0) return undefined;
  const named = names.some((name) =>
    isIP(name) === 0
      ? certificate?.checkHost(name, { subject: 'never', wildcards: false })
      : certificate?.checkIP(name),
  );
  if (!named) return `hostname mismatch: not ${names.join(' or ')}`;
  return certificate!.keyUsage?.includes(SERVER_AUTH) ? undefined : 'no serverAuth among its usages';
}

/** What OpenSSL says of a certificate that is right, but not at this time. */
export const isAboutDates = (reason: string): boolean =>
  reason === 'CERT_NOT_YET_VALID' || reason === 'CERT_HAS_EXPIRED';
