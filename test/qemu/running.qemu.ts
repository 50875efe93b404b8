import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../e2e/process.ts';
import type { Guest } from './guest.ts';
import { step } from './settings.ts';
import { retryAfterStall } from './stalls.ts';
import {
  neverRestarted,
  ONLINE,
  online,
  openTestbed,
  reached,
  says,
  type Testbed,
  until,
} from './testbed.ts';

const CONFIG = '/etc/enf/agent.toml';
const PID = '$(systemctl show -P MainPID enf-agent)';

/** One boot with little memory, and what a device in the field goes through while it runs. */
describe('a device with 256 MB of memory', () => {
  let testbed: Testbed;
  let guest: Guest;
  let address: string;
  let resolver: string;

  beforeAll(async () => {
    testbed = await openTestbed('q-run');
    step('boots with 256 MB');
    guest = await testbed.boot({ memoryMb: 256 });
    resolver = await guest.must('sha256sum </etc/resolv.conf');
  });
  afterAll(() => testbed?.close());

  const isOnline = async (): Promise<void> => {
    expect(await online(guest)).toBe(address);
    await reached(testbed, address);
  };
  const restarts = async (): Promise<number> =>
    Number(await guest.must('systemctl show -P NRestarts enf-agent'));

  test('[C-32] it provisions itself and is online', async () => {
    address = await online(guest);
    await isOnline();
    expect(await guest.must('journalctl -b -k | grep -ci "out of memory" || true')).toBe('0');
    const resident = Number(await guest.must(`awk '/^VmRSS/ { print $2 }' /proc/${PID}/status`));
    step(
      `the agent has ${Math.round(resident / 1024)} MiB of ${await guest.must("free -m | awk '/^Mem/ { print $2 }'")}`,
    );
    expect(resident).toBeLessThan(128 * 1024);
  });

  test('[C-21] online it writes nothing to its disk', async () => {
    step('runs for two minutes and writes nothing');
    const look = `cat /proc/${PID}/io | awk '/^write_bytes/ { print $2 }'; awk '{ print $7 }' /sys/class/block/vda/stat`;
    const [before, after] = await retryAfterStall(async () => {
      await isOnline();
      await guest.must('sync; sleep 10');
      const first = [await guest.must(look), testbed.disk.writes];
      await guest.must('sleep 120');
      return [first, [await guest.must(look), testbed.disk.writes]];
    });
    expect(after).toEqual(before);
  });

  test('[C-6] paused, and the clock stepped: the tunnel is up again', async () => {
    step('is paused while the fabric restarts; then its clock jumps');
    await guest.qemu.ask('stop');
    await testbed.world.fabric.stop();
    await testbed.world.fabric.serve();
    await new Promise((resolve) => setTimeout(resolve, 30_000));
    await guest.qemu.ask('cont');
    await guest.must('date -s "+5 minutes"');
    await reached(testbed, address);
    await isOnline();
    await neverRestarted(guest);
    await guest.must('date -s "-5 minutes"');
  });

  test('[C-20] on a full disk the tunnel stays up, one warning says so, and the next try succeeds', () =>
    retryAfterStall(async () => {
      step('its disk fills up');
      await guest.must('rm -f /var/lib/enf-agent/full*; systemctl restart enf-agent');
      await isOnline();
      await guest.run(
        'dd if=/dev/zero of=/var/lib/enf-agent/full bs=1M; dd if=/dev/zero of=/var/lib/enf-agent/full2 bs=512; sync',
      );
      const { code, stdout } = await guest.run('enf-agent provision --force');
      expect(code).toBe(1);
      expect(stdout).toContain('os.disk-full');
      await isOnline();
      const since = '_SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID enf-agent)';
      const warnings = `journalctl -b ${since} -o cat | grep -c "no space left" || true`;
      expect(await guest.must(warnings)).toBe('1');
      await guest.must('rm /var/lib/enf-agent/full*');
      await guest.must('enf-agent provision --force');
      await isOnline();
    }));

  test('[C-24] without the right to use the TPM it says whose it is, and goes on when it may', async () => {
    step('may not use its TPM');
    await guest.must('chown root:root /dev/tpmrm0 && chmod 600 /dev/tpmrm0 && systemctl restart enf-agent');
    await until(guest, says('tpm.not-permitted'));
    const said = await guest.must('journalctl -b -u enf-agent -o cat | grep tpm.not-permitted | tail -1');
    expect(said).toMatch(/\/dev\/tpmrm0: not permitted .*group that owns the device/);
    await guest.must('chown root:tss /dev/tpmrm0 && chmod 660 /dev/tpmrm0 && systemctl restart enf-agent');
    await isOnline();
  });

  test('[C-33] killed, and killed for want of memory, it comes back with its state', async () => {
    step('is killed, then runs out of memory');
    const handshakes = (await testbed.accepted()).length;
    await guest.must(`kill -KILL ${PID}`);
    await until(guest, `! ${ONLINE}`);
    await isOnline();
    await guest.must('systemctl set-property --runtime enf-agent.service MemoryHigh=infinity MemoryMax=16M');
    await until(guest, 'journalctl -b -u enf-agent -o cat | grep -q "result .oom-kill"');
    await guest.must('systemctl set-property --runtime enf-agent.service MemoryHigh=128M MemoryMax=192M');
    await isOnline();
    expect(await testbed.accepted()).toHaveLength(handshakes);
  });

  test('[C-35] fifty crashes, and it still runs', async () => {
    step('crashes fifty times');
    // The pauses between restarts are what takes long; that they grow is shown elsewhere.
    await guest.must(`mkdir -p /run/systemd/system/enf-agent.service.d
printf '[Service]\\nRestartSec=100ms\\nRestartSteps=0\\n' >/run/systemd/system/enf-agent.service.d/quick.conf
systemctl daemon-reload; systemctl restart enf-agent`);
    const crash = `before=${PID}; systemctl kill --signal=KILL enf-agent; for _ in $(seq 600); do now=${PID}; [ $now != 0 ] && [ $now != $before ] && break; sleep 0.1; done`;
    const counting = async (): Promise<number> =>
      Number(await guest.must('systemctl show -P ActiveEnterTimestampMonotonic enf-agent-settled.timer'));
    for (let round = 0; round < 5; round++) {
      const since = await counting();
      await guest.must(`for _ in $(seq 10); do ${crash}; done`, 600);
      // None of these counts as having run well.
      expect(await counting()).toBeGreaterThan(since);
    }
    expect(await restarts()).toBeGreaterThanOrEqual(50);
    await isOnline();
    await guest.must('rm -r /run/systemd/system/enf-agent.service.d; systemctl daemon-reload');
  });

  test('[C-33] [C-35] the pauses have grown by then; when it has run well for a while they are short again', async () => {
    step('runs well after its crashes');
    const pause = 'systemctl show -P RestartUSecNext enf-agent';
    expect(await guest.must(pause)).toBe('1min');
    await guest.must(`mkdir -p /run/systemd/system/enf-agent-settled.timer.d
printf '[Timer]\\nOnActiveSec=\\nOnActiveSec=5s\\n' >/run/systemd/system/enf-agent-settled.timer.d/soon.conf
systemctl daemon-reload; systemctl restart enf-agent-settled.timer`);
    await until(guest, '[ "$(systemctl show -P NRestarts enf-agent)" = 0 ]');
    expect(await guest.must(pause)).toBe('2s');
    await isOnline();
    await guest.must(`rm -r /run/systemd/system/enf-agent-settled.timer.d; systemctl daemon-reload`);
  });

  test('[C-11] in lockdown networkd restarts and somebody flushes the rules: all is as it was', async () => {
    step('locks down; networkd restarts, rules are flushed');
    await guest.must(`printf '\\n[route]\\nmode = "lockdown"\\n' >>${CONFIG} && systemctl restart enf-agent`);
    await isOnline();
    const rules = 'ip -6 rule; ip -6 route show table 2097';
    const before = await guest.must(rules);
    expect(before).toContain('2097');
    await guest.must('systemctl restart systemd-networkd');
    expect(await guest.must(rules)).toBe(before);
    await isOnline();
    await guest.must('ip -6 rule flush; ip -6 rule add pref 32766 table main');
    const asBefore = async () => (await guest.must(rules)) === before || undefined;
    await eventually('rules and routes to be as they were', asBefore, 120_000);
    await isOnline();
    await neverRestarted(guest);
  });

  test('[C-8] after all that the resolver of the host is as it was', async () => {
    expect(await guest.must('sha256sum </etc/resolv.conf')).toBe(resolver);
  });
});
