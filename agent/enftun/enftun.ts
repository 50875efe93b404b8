import { readEcKey } from '../../crypto/ec-key-file.ts';
import { equal, toHex, wipe } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { decodeBase64 } from '../../protocol/identity/base64.ts';
import { parseIdentityCertificate } from '../../protocol/identity/certificate.ts';
import { parseEcPrivateKey } from '../../protocol/identity/key-pair.ts';
import { parseRoots } from '../../protocol/identity/roots.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import { isExemptPem, publicKeyOfPem } from '../../tpm/longterm.ts';
import { DEFAULT_PATH } from '../config/config.ts';
import type { SavedIdentity, SavedKey } from '../state/state.ts';
import { parseLibconfig } from './libconfig.ts';
import { type Places, placesOf } from './places.ts';
import { cannotImport, type Translation, translate } from './settings.ts';

/** What is imported from an enftun installation. */
export interface Legacy {
  /** Keys of our configuration as TOML sections, without `remote.tls-root`. */
  readonly settings: Translation['settings'];
  readonly identity: SavedIdentity;
  /** PEM. */
  readonly tlsRoot: string;
  /** What is different from now on, for a person. */
  readonly notes: readonly string[];
}

const TSS2 = '-----BEGIN TSS2 PRIVATE KEY-----';
const DER_SEQUENCE = 0x30;
const COUNTED =
  'the TPM counts a power cut after the use of this key as a failed password; "enf-agent provision --force" makes one that is exempt';

/**
 * Reads an enftun configuration with the certificate, key and CA file it names. `read` gets the names as they stand there; a name for the
 * interface comes from the places if there is none.
 * @throws Failure `enftun.…`, `identity.…`, and those of `read`
 */
export async function readEnftun(
  source: string,
  read: (name: string, what: string) => Promise<Uint8Array>,
  { credential, device }: Pick<Places, 'credential' | 'device'> = placesOf(DEFAULT_PATH, undefined),
): Promise<Legacy> {
  const { settings, files, notes } = translate(parseLibconfig(source));
  const certificate = certificateOf(await read(files.certificate, 'certificate'));
  const { address, publicKey } = parseIdentityCertificate(certificate);
  const { key, keyPublic } = keyOf(await read(files.key, 'key file'));
  if (!equal(publicKey, keyPublic)) {
    throw new Failure(
      'enftun.key-mismatch',
      'operator',
      `${files.key} is not the key of the certificate ${files.certificate}`,
      { action: 'Restore the files that belong together; enftun itself could not use these.' },
    );
  }
  const identity = { address: formatIpv6(address), certificate: toHex(certificate), key };
  const tlsRoot = rootText(await read(files.root, 'CA file'), files.root);
  const named = { ...settings, tunnel: { ...(device !== undefined && { device }), ...settings.tunnel } };
  const renamed =
    named.tunnel.device === settings.tunnel?.device ? [] : [`the interface is called ${device}`];
  return { ...placed(named, key, [...notes, ...renamed], credential), identity, tlsRoot };
}

/** Where the key is decides the mode. */
function placed(
  settings: Translation['settings'],
  key: SavedKey,
  notes: readonly string[],
  folder: string,
): Pick<Legacy, 'settings' | 'notes'> {
  if (key.kind === 'tpm') {
    return {
      settings: { ...settings, identity: { ...settings.identity, mode: 'tpm' } },
      notes: isExemptPem(key.pem) ? notes : [...notes, COUNTED],
    };
  }
  const { tpm: _, ...rest } = settings;
  return {
    settings: { ...rest, identity: { ...settings.identity, mode: 'software', 'credential-dir': folder } },
    notes: [
      ...notes,
      `without a credential in ${folder} (enf-factory device personalise --software) this device cannot get another identity`,
    ],
  };
}

/** enftun writes DER after a handshake; enftun-keygen and people write PEM. */
function certificateOf(bytes: Uint8Array): Uint8Array {
  const text = new TextDecoder('latin1').decode(bytes);
  const pem = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/.exec(text)?.[1];
  return (pem && decodeBase64(pem.replace(/\s+/g, ''))) || bytes;
}

/** PEM as it is; DER becomes PEM. @throws Failure `tls.bad-root` */
function rootText(bytes: Uint8Array, path: string): string {
  const { pem } = parseRoots(bytes, path);
  const text = new TextDecoder('latin1').decode(bytes);
  return text.includes('CERTIFICATE-----') ? text : pem;
}

/** C xtt writes DER (RFC 5915) or, of a key in the TPM, TSS2 PEM; enftun-keygen and people write PEM. */
function keyOf(file: Uint8Array): { key: SavedKey; keyPublic: Uint8Array } {
  const text = new TextDecoder().decode(file);
  if (text.includes(TSS2)) {
    const pem = `${text.trim().replace(/\r\n/g, '\n')}\n`;
    return { key: { kind: 'tpm', pem }, keyPublic: publicKeyOfPem(pem) };
  }
  if (!text.includes('PRIVATE KEY-----') && file[0] !== DER_SEQUENCE)
    throw cannotImport('the key file', 'is neither a PEM, a DER nor a TSS2 key');
  const der = readEcKey(file);
  const { secret, publicKey } = parseEcPrivateKey(der);
  const key = { kind: 'software', der: toHex(der) } as const;
  wipe(secret, der);
  return { key, keyPublic: publicKey };
}
