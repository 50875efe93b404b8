import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openTpmKeys } from '../../../agent/identity/tpm-keys.ts';
import { accessProblem, explainNotPermitted } from '../../../os/linux/tpm-device.ts';
import { Failure } from '../../../protocol/failure.ts';
import { bundle } from '../../bundle.ts';

const AUDIO = 29;
const ADDON = process.env.ENF_ADDON ?? fileURLToPath(new URL('../../../dist/enf.node', import.meta.url));

let programs: string;
beforeAll(async () => {
  programs = mkdtempSync(join(tmpdir(), 'enf-tpmaccess-'));
  await bundle(new URL('./tpm-device-child.ts', import.meta.url), join(programs, 'child.mjs'));
});
afterAll(() => rmSync(programs, { recursive: true }));

/** Stands for a device's file: whether it may be opened is decided before what it is. */
function place(mode: number, gid: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'enf-tpm-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  const path = join(folder, 'tpmrm0');
  writeFileSync(path, '');
  chmodSync(path, mode);
  chownSync(path, 0, gid);
  return path;
}

/** What is said to the user nobody, whose only other group is daemon. */
function asNobody(who: 'agent' | 'factory', path: string): Failure {
  const output = execFileSync(process.execPath, [join(programs, 'child.mjs'), who, `device:${path}`], {
    env: { ...process.env, ENF_ADDON: ADDON },
    encoding: 'utf8',
  });
  return JSON.parse(output) as Failure;
}

for (const who of ['agent', 'factory'] as const) {
  test(`[C-24] the ${who} without access to the TPM reports its owner and mode, our user and groups, and the command`, () => {
    const path = place(0o600, 0);
    const failure = asNobody(who, path);
    expect(failure).toMatchObject({ code: 'tpm.not-permitted', remedy: 'operator' });
    expect(failure.message).toBe(
      `device:${path}: not permitted to open the TPM device: ${path} (root:root, mode 0600) may not be used by nobody (groups nogroup, daemon)`,
    );
    expect(failure.action).toContain(
      `Run "chgrp tss ${path} && chmod 0660 ${path}; usermod -aG tss nobody"; `,
    );
  });
}

test('[C-24] a device that its group may use: join the group', () => {
  const path = place(0o660, AUDIO);
  const failure = asNobody('agent', path);
  expect(failure.message).toContain(`${path} (root:audio, mode 0660) may not be used by nobody`);
  expect(failure.action).toBe('Run "usermod -aG audio nobody", and restart the service or log in again.');
});

test('[C-24] in the right group, but its mode gives the group no access: the mode has to be changed', () => {
  const identity = { user: 'enf', groups: ['enf', 'tss'] };
  const file = { character: true, mode: 0o600, owner: 'tss', group: 'tss', usable: false };
  const { action } = accessProblem('/dev/tpmrm0', file, identity);
  expect(action).toMatch(/^Run "chgrp tss \/dev\/tpmrm0 && chmod 0660 \/dev\/tpmrm0"; a udev rule/);
  // What mode and group allow and the kernel refuses all the same is the sandbox's doing.
  const boxed = accessProblem('/dev/tpmrm0', { ...file, mode: 0o660, usable: true }, identity);
  expect(boxed.action).toContain('DeviceAllow=/dev/tpmrm0 rw');
});

test('other failures of opening a TPM are passed on unchanged', async () => {
  const refused = new Failure('tpm.not-permitted', 'operator', 'no');
  const rejecting = (tcti: string, error: Error) => explainNotPermitted(tcti, () => Promise.reject(error));
  await expect(rejecting('swtpm:port=1', refused)).rejects.toBe(refused);
  await expect(rejecting('device:/nowhere/tpmrm0', refused)).rejects.toBe(refused);
  const busy = new Failure('tpm.busy', 'retry', 'busy');
  await expect(rejecting('device:/dev/null', busy)).rejects.toBe(busy);
  const absent = await openTpmKeys('device:/nowhere/tpmrm0').catch((error: Failure) => error);
  expect(absent).toMatchObject({ code: 'tpm.absent' });
});
