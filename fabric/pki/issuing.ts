import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { removeDurable, syncFolder, writeDurable, writeFailure } from '../../os/files/durable.ts';
import { readBounded } from '../../os/files/read.ts';
import { concat, toHex, wipe } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { der, readChildren, TAG } from '../../protocol/identity/der.ts';
import { formatIpv6, type Prefix } from '../../protocol/ipv6.ts';
import {
  commonName,
  extension,
  identifier,
  makeCertificate,
  OID,
  sequence,
  signedBy,
  subjectKey,
  TRUE,
  USAGE,
} from './certificate.ts';
import { ISSUING } from './files.ts';

/*
 * CAs whose key the fabric has, one file each in the data folder. They issue certificates of devices, and nothing else: that is written in
 * their own certificates, so that it holds wherever they are trusted.
 */

export const CURVES = ['P-256', 'P-384'] as const;
export type Curve = (typeof CURVES)[number];

export const newIssuingKey = (curve: Curve): KeyObject =>
  generateKeyPairSync('ec', { namedCurve: curve }).privateKey;

export interface Lifetime {
  /** Milliseconds since 1970. */
  readonly fromMs: number;
  readonly untilMs: number;
}

/** The certificate of a CA by itself, DER: for addresses in these networks, which are /64, and for no other names. `subject`: a name in DER. */
export function issuingCertificate(
  key: KeyObject,
  {
    subject,
    networks,
    fromMs,
    untilMs,
  }: Lifetime & { readonly subject: Uint8Array; readonly networks: readonly Prefix[] },
): Uint8Array {
  const permitted = networks.map(({ address }) => sequence(der(0x87, address, MASK)));
  const constraints = sequence(der(0xa0, ...permitted), der(0xa1, sequence(der(0x82))));
  return makeCertificate({
    ...{ subject, issuer: subject, key, signer: key, fromMs, untilMs },
    extensions: [
      extension(OID.basicConstraints, true, sequence(TRUE, Uint8Array.of(TAG.integer, 1, 0))),
      extension(OID.keyUsage, true, USAGE.keyCertSignCrlSign),
      extension(OID.nameConstraints, true, constraints),
      extension(OID.extendedKeyUsage, false, sequence(identifier(OID.clientAuth))),
      subjectKey(key),
    ],
  });
}

/** Of a /64. */
const MASK = concat(new Uint8Array(8).fill(0xff), new Uint8Array(8));

/** The certificate of a device by such a CA, DER. */
export function deviceCertificate(
  { certificate, key: signer }: { readonly certificate: Uint8Array; readonly key: KeyObject },
  device: Lifetime & { readonly address: Uint8Array; readonly key: KeyObject; readonly serial: Uint8Array },
): Uint8Array {
  const { address, key, serial, fromMs, untilMs } = device;
  return makeCertificate({
    ...{ subject: commonName(formatIpv6(address)), issuer: subjectOf(certificate) },
    ...{ key, signer, serial, fromMs, untilMs },
    extensions: [
      extension(OID.basicConstraints, true, sequence()),
      extension(OID.keyUsage, true, USAGE.digitalSignature),
      extension(OID.extendedKeyUsage, false, sequence(identifier(OID.clientAuth))),
      extension(OID.subjectAltName, false, sequence(der(0x87, address))),
      subjectKey(key),
      signedBy(signer),
    ],
  });
}

/** The subject of a certificate, DER. */
export function subjectOf(certificate: Uint8Array): Uint8Array {
  const [tbs] = readChildren(certificate, TAG.sequence)!;
  return readChildren(tbs!.whole, TAG.sequence)![5]!.whole;
}

/** Where the key of a CA is: by its public key, so that a certificate that is renewed for it has it, too. */
function keyFile(data: string, certificate: Uint8Array): string {
  const spki = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });
  const name = toHex(new Uint8Array(createHash('sha256').update(spki).digest())).slice(0, 40);
  return join(data, ISSUING, `${name}.key`);
}

/** Keeps the key of a CA, 0600. @throws Failure `os.disk-full`, `os.write-failed` */
export async function keepIssuingKey(data: string, certificate: Uint8Array, key: KeyObject): Promise<void> {
  const path = keyFile(data, certificate);
  const folder = dirname(path);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await syncFolder(data);
  } catch (error) {
    throw writeFailure(folder, error);
  }
  await writeDurable(path, key.export({ type: 'pkcs8', format: 'pem' }));
}

/** @throws Failure `pki.no-issuing-key`, `os.…` */
export async function readIssuingKey(data: string, certificate: Uint8Array): Promise<KeyObject> {
  const path = keyFile(data, certificate);
  const file = await readBounded(path, 'key of an issuing CA');
  try {
    const key = createPrivateKey(Buffer.from(file));
    if (new X509Certificate(certificate).checkPrivateKey(key)) return key;
  } catch {
    // Falls through: OpenSSL's reason would say less.
  } finally {
    wipe(file);
  }
  throw new Failure('pki.no-issuing-key', 'operator', `${path} is not the key of the CA`, {
    action: 'Restore the file from a backup; do not mix files of two fabrics.',
  });
}

/** @throws Failure `os.write-failed` */
export const dropIssuingKey = (data: string, certificate: Uint8Array): Promise<void> =>
  removeDurable(keyFile(data, certificate));
