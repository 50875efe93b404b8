import { primitives } from '../../crypto/primitives.ts';
import { explainNotPermitted } from '../../os/linux/tpm-device.ts';
import { readU16, wipe } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { decodeBase64, encodeBase64 } from '../../protocol/identity/base64.ts';
import { decodeUtf8, encodeUtf8 } from '../../protocol/utf8.ts';
import { DEFAULT_TCTI, openTpm, type Tpm } from '../../tpm/context.ts';
import { probe } from '../../tpm/probe.ts';
import { openBlob, type SealedBlob, sealBlob } from '../../tpm/sealed-blob.ts';

/** The issuer's secret key as `isk.tpm` keeps it: JSON, and nothing in it is of use without the TPM. */
export interface IssuerInTpm extends SealedBlob {
  /** Registers of the SHA-256 bank that have to be as they were. */
  readonly pcrs: readonly number[];
  /** The TPM wants a passphrase. */
  readonly passphrase: boolean;
}

const FORMAT = 'enf-issuer-tpm-1';
const REGISTERS = 24;
const MOST_BLOB = 1_024;
/** What a passphrase becomes is of no use elsewhere. */
const PURPOSE = encodeUtf8('enf issuer key in a TPM');

/** Opens the station's TPM for `use`. @throws Failure `tpm.…` */
async function withStationTpm<T>(tcti = DEFAULT_TCTI, use: (tpm: Tpm) => Promise<T>): Promise<T> {
  const tpm = await explainNotPermitted(tcti, () => openTpm(tcti));
  try {
    return await use(tpm);
  } finally {
    await tpm.close();
  }
}

/** The object's password, 32 bytes: a TPM takes no more, and strips zeros at the end. */
function passwordOf(passphrase: Uint8Array): Uint8Array {
  const password = primitives.hmacSha256(PURPOSE, passphrase);
  password[password.length - 1]! |= 1;
  return password;
}

/**
 * Seals the issuer's secret key in the station's TPM, opens it again and compares. Returns the bytes of `isk.tpm`.
 * @throws Failure `tpm.…`
 */
export function sealIssuer(
  tcti: string | undefined,
  secret: Uint8Array,
  passphrase: Uint8Array | undefined,
  pcrs: readonly number[],
): Promise<Uint8Array> {
  const password = passphrase === undefined ? new Uint8Array() : passwordOf(passphrase);
  return withStationTpm(tcti, async (tpm) => {
    try {
      const blob = await sealBlob(tpm, secret, { password, pcrs });
      wipe(await openBlob(tpm, blob, { password, pcrs }));
      const { parent, publicBlob, privateBlob } = blob;
      const fields = {
        format: FORMAT,
        parent: `0x${parent.toString(16)}`,
        pcrs,
        passphrase: passphrase !== undefined,
        public: encodeBase64(publicBlob),
        private: encodeBase64(privateBlob),
      };
      return encodeUtf8(`${JSON.stringify(fields, null, 2)}\n`);
    } finally {
      wipe(password);
    }
  });
}

/** Reads `isk.tpm`. @throws Failure `factory.bad-sealed-issuer` */
export function parseIssuerInTpm(bytes: Uint8Array): IssuerInTpm {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(decodeUtf8(bytes) ?? '') as Record<string, unknown>;
  } catch {
    throw badSealed('it is not JSON');
  }
  if (fields?.format !== FORMAT) throw badSealed(`its "format" is not "${FORMAT}"`);
  const { parent, pcrs, passphrase } = fields;
  if (typeof parent !== 'string' || !/^0x8[0-9a-f]{7}$/.test(parent))
    throw badSealed('its "parent" is malformed');
  if (!Array.isArray(pcrs) || pcrs.length > REGISTERS || !pcrs.every(isPcr))
    throw badSealed('its "pcrs" are malformed');
  if (typeof passphrase !== 'boolean') throw badSealed('its "passphrase" is malformed');
  const blob = (name: string): Uint8Array => {
    const text = fields[name];
    const value = typeof text === 'string' && text.length <= 2 * MOST_BLOB ? decodeBase64(text) : undefined;
    if (value === undefined || !isTpm2b(value)) throw badSealed(`its "${name}" is malformed`);
    return value;
  };
  return {
    parent: Number(parent),
    pcrs: pcrs as number[],
    passphrase,
    publicBlob: blob('public'),
    privateBlob: blob('private'),
  };
}

/** A structure with its size before it. */
const isTpm2b = (bytes: Uint8Array): boolean =>
  bytes.length > 2 && bytes.length <= MOST_BLOB && readU16(bytes, 0) === bytes.length - 2;

/** A register of the SHA-256 bank. */
export const isPcr = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < REGISTERS;

/**
 * The issuer's secret key out of the station's TPM, 64 bytes; the caller wipes it. `passphrase` is only called if the TPM wants one.
 * @throws Failure `factory.issuer-elsewhere`, `factory.issuer-pcrs`, `os.wrong-passphrase`, `tpm.lockout`, `tpm.…`
 */
export function openIssuer(
  tcti: string | undefined,
  sealed: IssuerInTpm,
  passphrase: () => Promise<Uint8Array>,
): Promise<Uint8Array> {
  return withStationTpm(tcti, async (tpm) => {
    const typed = sealed.passphrase ? await passphrase() : undefined;
    const password = typed === undefined ? new Uint8Array() : passwordOf(typed);
    try {
      return await openBlob(tpm, sealed, { password, pcrs: sealed.pcrs });
    } catch (error) {
      throw await explained(tpm, sealed, error);
    } finally {
      wipe(password, typed ?? new Uint8Array());
    }
  });
}

async function explained(tpm: Tpm, { pcrs }: IssuerInTpm, error: unknown): Promise<unknown> {
  if (isFailure(error, 'tpm.foreign-blob')) {
    return new Failure(
      'factory.issuer-elsewhere',
      'operator',
      `the issuer's secret key was sealed in another TPM than the one at ${tpm.tcti}, or that was cleared`,
      {
        action: `Name the station's TPM (--station-tpm), or put the recovery copy back as isk.enc, remove isk.tpm and seal it again ("enf-factory group seal").`,
        cause: error,
      },
    );
  }
  if (isFailure(error, 'tpm.policy-failed')) {
    return new Failure(
      'factory.issuer-pcrs',
      'operator',
      `the station was not booted as it was when the issuer's secret key was sealed: one of the PCRs ${pcrs.join(', ')} has changed`,
      {
        action:
          'Find out what has changed. If it was you, put the recovery copy back as isk.enc, remove isk.tpm and seal it again ("enf-factory group seal").',
        cause: error,
      },
    );
  }
  if (isFailure(error, 'tpm.not-authorised')) {
    const { counter, limit } = (await probe(tpm)).lockout;
    return new Failure(
      'os.wrong-passphrase',
      'operator',
      `the TPM refuses the passphrase of the issuer's secret key: it counts ${counter} of ${limit} failed attempts, and locks itself then`,
      { action: 'Give the right passphrase.', cause: error },
    );
  }
  return error;
}

function badSealed(why: string): Failure {
  return new Failure(
    'factory.bad-sealed-issuer',
    'operator',
    `isk.tpm is not what "enf-factory group seal" wrote: ${why}`,
    { action: 'Restore the file, or put the recovery copy back as isk.enc and remove isk.tpm.' },
  );
}
