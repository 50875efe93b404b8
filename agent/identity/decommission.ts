import { exists, openFolder } from '../../os/files/folder.ts';
import { isFailure } from '../../protocol/failure.ts';
import { type Config, isEnrolled, mayUseTpm } from '../config/config.ts';
import type { CredentialEnd } from '../lifecycle/situation.ts';

/** What `enf-factory device personalise --software` wrote; the secret first: without it the rest is worthless. */
const CREDENTIAL_FILES = [
  'daa_secretkey.bin',
  'daa_cred.bin',
  'daa_cred_sig.bin',
  'daa_gpk.bin',
  'basename.bin',
  'root_cert.bin',
  'tls_root.pem',
] as const;

/**
 * Removes what the factory gave the device, from the TPM or from its folder; may be repeated. `kept`: this program may not: the TPM's hierarchy is
 * locked, or the folder cannot be written. @throws Failure of the TPM; `os.no-folder`
 */
export async function removeCredential({
  identity,
  tpm,
}: Pick<Config, 'identity' | 'tpm'>): Promise<CredentialEnd> {
  if (identity.mode === 'software') return removeFiles(identity.credentialDir);
  if (identity.mode === 'pki') return removeCertificate({ identity, tpm });
  const { wipeTpmKeys } = await import('./tpm-keys.ts');
  return (await wipeTpmKeys(tpm.tcti)) ? 'removed' : 'kept';
}

/** A certificate in files is whoever's put them there. What the device was enrolled with goes with the state, and leaves a storage key in the TPM. */
async function removeCertificate(config: Pick<Config, 'identity' | 'tpm'>): Promise<CredentialEnd> {
  if (!isEnrolled(config)) return 'kept';
  if (!mayUseTpm(config)) return 'removed';
  const { forgetTpmKeys } = await import('./tpm-keys.ts');
  try {
    await forgetTpmKeys(config.tpm.tcti);
  } catch (error) {
    if (!isFailure(error, 'tpm.absent')) throw error;
  }
  return 'removed';
}

/** What this user may not do, and cannot do by trying again. */
const NOT_ALLOWED: ReadonlySet<string | undefined> = new Set(['EACCES', 'EPERM', 'EROFS']);

async function removeFiles(path: string): Promise<CredentialEnd> {
  if (!(await exists(path))) return 'removed';
  const folder = await openFolder(path);
  try {
    for (const name of CREDENTIAL_FILES) await folder.remove(name);
    return 'removed';
  } catch (error) {
    if (isFailure(error) && NOT_ALLOWED.has((error.cause as NodeJS.ErrnoException | undefined)?.code))
      return 'kept';
    throw error;
  }
}
