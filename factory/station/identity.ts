import { ecdsaSigner, generateP256, primitives } from '../../crypto/primitives.ts';
import { createFolder } from '../../os/files/create.ts';
import { readBounded } from '../../os/files/read.ts';
import { certificateFingerprint } from '../../os/net/https.ts';
import { wipe } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { decodeBase64, encodeBase64 } from '../../protocol/identity/base64.ts';
import { identityCertificate } from '../../protocol/identity/certificate.ts';
import { encodeEcPrivateKey } from '../../protocol/identity/key-file.ts';
import { decodeUtf8 } from '../../protocol/utf8.ts';

/** By what boards know a station: a self-signed certificate, which never expires, and its key. PEM. */
export interface StationIdentity {
  readonly key: string;
  readonly certificate: string;
  /** SHA-256 of the certificate in DER, 64 hex digits. */
  readonly fingerprint: string;
}

const FILE = { key: 'station.key', certificate: 'station.pem' } as const;
const NAME_LENGTH = 16;
const SERIAL_ENTROPY = 19;

/** The identity in a folder, which is made if it is missing. @throws Failure `factory.bad-station-certificate`, those of files */
export async function openIdentity(folder: string): Promise<StationIdentity> {
  try {
    return await readIdentity(folder);
  } catch (error) {
    if (!isFailure(error, 'os.no-file')) throw error;
    await makeIdentity(folder);
    return readIdentity(folder);
  }
}

async function readIdentity(folder: string): Promise<StationIdentity> {
  const read = async (name: string): Promise<string> =>
    decodeUtf8(await readBounded(`${folder}/${name}`, "station's identity")) ?? '';
  const certificate = await read(FILE.certificate);
  return { key: await read(FILE.key), certificate, fingerprint: fingerprintOf(certificate, folder) };
}

async function makeIdentity(folder: string): Promise<void> {
  const { secret, publicKey } = generateP256();
  const certificate = await identityCertificate(
    primitives,
    primitives.random(NAME_LENGTH),
    publicKey,
    ecdsaSigner(secret),
    primitives.random(SERIAL_ENTROPY),
  );
  const key = encodeEcPrivateKey(secret, publicKey);
  try {
    await createFolder(folder, [
      { name: FILE.key, content: pem('EC PRIVATE KEY', key) },
      { name: FILE.certificate, content: pem('CERTIFICATE', certificate), mode: 0o644 },
    ]);
  } finally {
    wipe(secret, key);
  }
}

const pem = (label: string, der: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${encodeBase64(der)
    .match(/.{1,64}/g)!
    .join('\n')}\n-----END ${label}-----\n`;

/** SHA-256 of the one certificate in a PEM text. @throws Failure `factory.bad-station-certificate` naming `what` */
export function fingerprintOf(certificate: string, what: string): string {
  const blocks = [
    ...certificate.matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g),
  ];
  const der = blocks.length === 1 ? decodeBase64(blocks[0]![1]!.replace(/\s/g, '')) : undefined;
  if (der !== undefined) return certificateFingerprint(der);
  throw new Failure(
    'factory.bad-station-certificate',
    'operator',
    `${what} holds no certificate of a station`,
    {
      action: 'Give the file station.pem of the station, or its fingerprint (--station-fingerprint).',
    },
  );
}
