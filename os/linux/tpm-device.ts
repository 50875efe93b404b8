import { Failure, isFailure } from '../../protocol/failure.ts';
import { type DeviceFile, deviceFile, type Identity, ownIdentity } from './machine.ts';

/** The path of a TPM's device file in a TCTI; undefined if it names none. */
export function devicePath(tcti: string): string | undefined {
  return /^device:(\/.+)$/.exec(tcti)?.[1];
}

/** A device file, whose it is and who may use it. */
export const described = (path: string, { owner, group, mode }: DeviceFile): string =>
  `${path} (${owner}:${group}, mode ${mode.toString(8).padStart(4, '0')})`;

/** What keeps the user from a TPM's device file, and the commands that mend it. */
export function forbidden(
  path: string,
  file: DeviceFile,
  { user, groups }: Identity,
): { readonly found: string; readonly action: string } {
  const found = `${described(path, file)} may not be used by ${user} (groups ${groups.join(', ')})`;
  const { group, mode, usable } = file;
  if (usable) {
    return {
      found: `${found}, though owner and mode allow it`,
      action: `Let the sandbox of the service have it: DeviceAllow=${path} rw in the unit.`,
    };
  }
  if (group !== 'root' && (mode & 0o060) === 0o060 && !groups.includes(group)) {
    return { found, action: `usermod -aG ${group} ${user}, and start the service or session anew.` };
  }
  const join = groups.includes('tss') ? '' : `; usermod -aG tss ${user}`;
  return {
    found,
    action: `chgrp tss ${path} && chmod 0660 ${path}${join}; a udev rule keeps it so: the group that owns the device has to be tss, with mode 0660.`,
  };
}

/** Runs `open`; its Failure `tpm.not-permitted` then says whose the device is, as whom we came, and what mends it. */
export async function withReasons<T>(tcti: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (!isFailure(error) || error.code !== 'tpm.not-permitted') throw error;
    const path = devicePath(tcti);
    const file = path === undefined ? undefined : await deviceFile(path);
    if (path === undefined || file === undefined) throw error;
    const { found, action } = forbidden(path, file, await ownIdentity());
    const message = `${error.message}: ${found}`;
    throw new Failure('tpm.not-permitted', 'operator', message, { action, cause: error });
  }
}
