import { exists, openFolder } from '../../os/files/folder.ts';
import { isFailure } from '../../protocol/failure.ts';
import type { Config } from '../config/config.ts';
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
export async function removeCredential({ identity, tpm }: Config): Promise<CredentialEnd> {
  if (identity.mode === 'software') return removeFiles(identity.credentialDir);
  const { wipeTpmKeys } = await import('./tpm-keys.ts');
  return (await wipeTpmKeys(tpm.tcti)) ? 'removed' : 'kept';
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
