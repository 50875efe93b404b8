import { Failure, isFailure } from '../../protocol/failure.ts';
import { type DeviceFile, deviceFile, type Identity, ownIdentity } from './machine.ts';

/** The path of a TPM's device file in a TCTI; undefined if it names none. */
export function devicePath(tcti: string): string | undefined {
  return /^device:(\/.+)$/.exec(tcti)?.[1];
}

/** A device file with its owner, group and mode. */
export const describeDevice = (path: string, { owner, group, mode }: DeviceFile): string =>
  `${path} (${owner}:${group}, mode ${mode.toString(8).padStart(4, '0')})`;

/** Why the user cannot access a TPM's device file, and the commands that correct it. */
export function accessProblem(
  path: string,
  file: DeviceFile,
  { user, groups }: Identity,
): { readonly found: string; readonly action: string } {
  const found = `${describeDevice(path, file)} may not be used by ${user} (groups ${groups.join(', ')})`;
  const { group, mode, usable } = file;
  if (usable) {
    return {
      found: `${found}, although its owner and mode allow it`,
      action: `The sandbox of the service denies it: add "DeviceAllow=${path} rw" to the unit (systemctl edit).`,
    };
  }
  if (group !== 'root' && (mode & 0o060) === 0o060 && !groups.includes(group)) {
    return { found, action: `Run "usermod -aG ${group} ${user}", and restart the service or log in again.` };
  }
  const join = groups.includes('tss') ? '' : `; usermod -aG tss ${user}`;
  return {
    found,
    action: `Run "chgrp tss ${path} && chmod 0660 ${path}${join}"; a udev rule with GROUP="tss", MODE="0660" makes it permanent.`,
  };
}

/** Runs `open`; adds to its Failure `tpm.not-permitted` the owner and mode of the device, our own user and groups, and the remedy. */
export async function explainNotPermitted<T>(tcti: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (!isFailure(error) || error.code !== 'tpm.not-permitted') throw error;
    const path = devicePath(tcti);
    const file = path === undefined ? undefined : await deviceFile(path);
    if (path === undefined || file === undefined) throw error;
    const { found, action } = accessProblem(path, file, await ownIdentity());
    const message = `${error.message}: ${found}`;
    throw new Failure('tpm.not-permitted', 'operator', message, { action, cause: error });
  }
}
