import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Guest } from './guest.ts';
import { chooseCuts, replayAll } from './powercut.ts';
import { settings, step } from './settings.ts';
import { online, openTestbed, reached, type Testbed } from './testbed.ts';

/** Half of all, replayed from what the first boot wrote, unless this runs alone; the others are in powercut.qemu.ts. */
const CUTS = settings.alone ? settings.cuts : Math.ceil(settings.cuts / 2);

describe('a device boots for the first time, and again', () => {
  let testbed: Testbed;
  let guest: Guest;
  let address: string;

  beforeAll(async () => {
    testbed = await openTestbed('q-boot');
    testbed.disk.record();
    step('boots for the first time');
    guest = await testbed.boot();
  });
  afterAll(() => testbed?.close());

  test('it provisions itself with its TPM, and the tunnel is up', async () => {
    address = await online(guest);
    testbed.disk.mark('online');
    expect(address).toMatch(/^fd00:e4f:1:0:/);
    expect(await testbed.accepted()).toMatchObject([{ suite: 1, address }]);
    expect(await testbed.rows()).toMatchObject([{ address }]);
    expect(await reached(testbed, address)).toBeGreaterThan(0);
  });

  test('[C-24] it uses the resource manager of the TPM, as a member of the group tss', async () => {
    expect(await guest.must('stat -c "%G %a" /dev/tpmrm0')).toBe('tss 660');
    expect(
      await guest.must(
        'ls -l /proc/$(systemctl show -P MainPID enf-agent)/fd | grep -o "/dev/tpm.*" || echo closed',
      ),
    ).toMatch(/^(\/dev\/tpmrm0|closed)$/);
  });

  test('[C-2] no target of the boot waits for it, and no unit for another in a circle', async () => {
    expect(await guest.must('systemd-analyze critical-chain multi-user.target')).not.toContain('enf-');
    expect(await guest.must('journalctl -b --no-pager | grep -c "ordering cycle" || true')).toBe('0');
  });

  test('[C-S] the sandbox is what it was measured to be', async () => {
    expect(await guest.must('systemd-analyze security --threshold=18 enf-agent.service | tail -1')).toContain(
      'OK',
    );
    const status =
      'grep -E "^(CapEff|NoNewPrivs|Seccomp):" /proc/$(systemctl show -P MainPID enf-agent)/status';
    expect((await guest.must(status)).split(/\s+/).filter((_, index) => index % 2)).toEqual([
      '0000000000001000',
      '1',
      '2',
    ]);
  });

  test('a reboot brings the tunnel up again without a handshake', async () => {
    step('switches itself off, and boots again');
    await guest.powerOff();
    guest = await testbed.boot();
    expect(await online(guest)).toBe(address);
    expect(await testbed.accepted()).toHaveLength(1);
    expect(await reached(testbed, address)).toBeGreaterThan(0);
    await guest.powerOff();
  });

  test(`[C-16] [C-18] ${CUTS} power cuts while it boots and provisions, replayed: the same device each time`, async () => {
    const recording = testbed.disk.recorded();
    const cuts = chooseCuts(recording, CUTS, 'first boot');
    expect(await replayAll(testbed, recording, cuts, address)).toEqual([]);
  });
});
