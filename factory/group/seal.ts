import { sealSecret } from '../../crypto/sealed.ts';
import { createFile } from '../../os/files/create.ts';
import { removeDurable, writeDurable } from '../../os/files/durable.ts';
import { readBounded } from '../../os/files/read.ts';
import { wipe } from '../../protocol/bytes.ts';
import { checkIssuerSecret } from '../../protocol/crypto/issuer.ts';
import { Failure } from '../../protocol/failure.ts';
import { GROUP_FILE, type Group, issuerSecretStorage, unlockIssuer } from './group.ts';
import { sealIssuer } from './issuer-tpm.ts';

/** How the issuer's secret key goes into a TPM. */
export interface SealRequest {
  readonly group: Group;
  /** The station's TPM; this machine's if it is left out. */
  readonly stationTpm?: string | undefined;
  /** The new file with the key under its passphrase, to be kept elsewhere. */
  readonly recovery: string;
  /** Of the key in the folder; for one that is not encrypted, the new one of the recovery copy. */
  readonly passphrase: () => Promise<Uint8Array>;
  /** What the TPM is to ask for; undefined: nothing. */
  readonly tpmPassphrase?: Uint8Array | undefined;
  /** Registers of the SHA-256 bank. */
  readonly pcrs: readonly number[];
}

/**
 * Moves the issuer's secret key of a group into the station's TPM: first the recovery copy is on its disk, then the TPM has opened again what it has
 * sealed, then the key leaves the folder. Ends early without harm at any point.
 * @throws Failure `factory.already-sealed`, `os.exists`, those of `unlockIssuer` and `sealIssuer`
 */
export async function sealGroup(request: SealRequest): Promise<void> {
  const { group, stationTpm, recovery, passphrase, tpmPassphrase, pcrs } = request;
  const file = (name: string): string => `${group.folder}/${name}`;
  const storage = await issuerSecretStorage(group);
  if (storage === 'tpm') throw alreadySealed(group);
  const typed = await passphrase();
  let secret: Uint8Array | undefined;
  try {
    secret = await unlockIssuer(group, async () => typed.slice());
    checkIssuerSecret(secret, group.gpk);
    const copy =
      storage === 'encrypted'
        ? await readBounded(file(GROUP_FILE.sealedIssuerSecret), 'encrypted issuer secret key')
        : await sealSecret(secret, typed);
    const sealed = await sealIssuer(stationTpm, secret, tpmPassphrase, pcrs);
    await createFile(recovery, copy);
    await writeDurable(file(GROUP_FILE.issuerInTpm), sealed);
    await removeDurable(file(GROUP_FILE.sealedIssuerSecret));
    await removeDurable(file(GROUP_FILE.issuerSecret));
  } finally {
    wipe(typed, secret ?? new Uint8Array());
  }
}

function alreadySealed(group: Group): Failure {
  return new Failure(
    'factory.already-sealed',
    'operator',
    `the issuer's secret key of ${group.name} is sealed in a TPM already`,
    {
      action:
        'To seal it in another TPM, put the recovery copy into the folder as isk.enc and remove isk.tpm first. If an isk.enc or isk.bin is left beside isk.tpm, remove it.',
    },
  );
}
