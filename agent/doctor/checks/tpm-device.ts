import { type Finding, failed, ok, skipped, warning } from '../../../cli/check.ts';
import { accessProblem, describeDevice, devicePath } from '../../../os/linux/tpm-device.ts';
import { mayUseTpm } from '../../config/config.ts';
import type { Check } from '../check.ts';
import type { Probes } from '../probes.ts';

export const tpmDevice: Check = {
  id: 'tpm-device',
  about: 'the TPM’s device file exists and may be used',
  async run(probes) {
    const { tpm } = probes.config;
    if (!(await usesTpm(probes))) return skipped('the keys are in files');
    const path = devicePath(tpm.tcti);
    if (path === undefined) return skipped(`${tpm.tcti} is not a device file`);
    const [file, others] = [await probes.deviceFile(path), await probes.tpmDevices()];
    if (file === undefined) return absent(path, others);
    if (!file.character) {
      return failed(`${path} is not a device`, `Remove it, or set tpm.tcti; found: ${listed(others)}.`);
    }
    if (!file.usable) {
      const { found, action } = accessProblem(path, file, await probes.identity());
      return failed(found, action);
    }
    const managed = path.replace(/\/tpm(\d+)$/, '/tpmrm$1');
    if (managed !== path && others.includes(managed)) {
      return warning(
        `${path} has no resource manager: only one program can use it at a time, and what it leaves in the TPM is not removed`,
        `Set tpm.tcti = "device:${managed}".`,
      );
    }
    return ok(describeDevice(path, file));
  },
};

/** Without the TPM there is no identity: keys of an enrolled device may be there, or are. */
async function usesTpm({ config, state }: Pick<Probes, 'config' | 'state'>): Promise<boolean> {
  const { mode, keyIn } = config.identity;
  if (mode === 'tpm') return true;
  if (!mayUseTpm(config)) return false;
  return keyIn === 'tpm' || (await state().catch(() => undefined))?.certificate?.key === 'tpm';
}

const listed = (paths: readonly string[]): string =>
  paths.length === 0 ? 'no TPM device' : paths.join(', ');

function absent(path: string, others: readonly string[]): Finding {
  const managed = others.filter((each) => each.includes('tpmrm'));
  if (managed.length > 1) {
    return failed(`${path} does not exist, but ${listed(managed)} do`, 'Name one of them in tpm.tcti.');
  }
  return failed(
    `${path} does not exist; found: ${listed(others)}`,
    managed.length === 1
      ? `Set tpm.tcti = "device:${managed[0]}".`
      : 'Switch the TPM on in the firmware and load its driver (modprobe tpm_tis); dmesg | grep -i tpm tells more.',
  );
}
