import { accessProblem, describeDevice, devicePath } from '../../../os/linux/tpm-device.ts';
import { type Check, type Finding, failed, ok, skipped, warning } from '../check.ts';

export const tpmDevice: Check = {
  id: 'tpm-device',
  about: 'the TPM’s device file is there and may be used',
  async run(probes) {
    const { identity, tpm } = probes.config;
    if (identity.mode !== 'tpm') return skipped('the keys are in files');
    const path = devicePath(tpm.tcti);
    if (path === undefined) return skipped(`${tpm.tcti} is no device file`);
    const [file, others] = [await probes.deviceFile(path), await probes.tpmDevices()];
    if (file === undefined) return absent(path, others);
    if (!file.character) {
      return failed(`${path} is no device`, `Remove it, or set tpm.tcti; here is: ${listed(others)}.`);
    }
    if (!file.usable) {
      const { found, action } = accessProblem(path, file, await probes.identity());
      return failed(found, action);
    }
    const managed = path.replace(/\/tpm(\d+)$/, '/tpmrm$1');
    if (managed !== path && others.includes(managed)) {
      return warning(
        `${path} has no resource manager: one program at a time, and nothing is cleaned up after it`,
        `Set tpm.tcti = "device:${managed}".`,
      );
    }
    return ok(describeDevice(path, file));
  },
};

const listed = (paths: readonly string[]): string => (paths.length === 0 ? 'no TPM' : paths.join(', '));

function absent(path: string, others: readonly string[]): Finding {
  const managed = others.filter((each) => each.includes('tpmrm'));
  if (managed.length > 1) {
    return failed(`${path} is not there, but ${listed(managed)} are`, 'Say which one in tpm.tcti.');
  }
  return failed(
    `${path} is not there; here is: ${listed(others)}`,
    managed.length === 1
      ? `Set tpm.tcti = "device:${managed[0]}".`
      : 'Switch the TPM on in the firmware and load its driver (modprobe tpm_tis); dmesg | grep -i tpm tells more.',
  );
}
