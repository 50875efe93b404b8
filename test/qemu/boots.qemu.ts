import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Guest } from './guest.ts';
import { step } from './settings.ts';
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

/** The same device boots again and again, each time with another fault. */
describe('boots that begin badly', () => {
  let testbed: Testbed;
  let guest: Guest;
  let address: string | undefined;

  beforeAll(async () => {
    testbed = await openTestbed('q-bad');
  });
  afterEach(() => guest?.powerOff());
  afterAll(() => testbed?.close());

  /** The tunnel is up, at the address that the device has had since its first boot. */
  const isOnline = async (): Promise<void> => {
    const now = await online(guest);
    address ??= now;
    expect(now).toBe(address);
    await reached(testbed, now);
  };

  /** The service is running though not online, and systemd has not restarted it. */
  const waits = async (): Promise<void> => {
    expect(await guest.must('systemctl is-active enf-agent')).toBe('active');
    await neverRestarted(guest);
    expect(await guest.run(ONLINE)).not.toMatchObject({ code: 0 });
    expect(await guest.must('systemctl is-active enf-offline.target')).toBe('active');
  };

  test('[C-4] in 1970: it provisions itself, names the clock, and is online when that is set', async () => {
    step('boots for the first time, in 1970');
    guest = await testbed.boot({ clock: '1970-01-01T00:00:00' });
    await until(guest, says('clock.implausible'));
    const granted = await testbed.accepted();
    expect(granted).toHaveLength(1);
    await waits();
    expect(await guest.must('enf-agent status')).toMatch(/clock of this device says/);
    await guest.must(`date -s @${Math.floor(Date.now() / 1000)}`);
    await isOnline();
    expect(address).toBe(granted[0]!.address);
    expect(await testbed.accepted()).toHaveLength(1);
  });

  test('[C-1] [C-3] without a network for two minutes: it waits, and is online when there is one', async () => {
    step('boots without a network, for two minutes');
    guest = await testbed.boot({ unplugged: true });
    await until(guest, 'systemctl is-active --quiet enf-agent');
    await guest.must('sleep 120');
    await waits();
    await guest.plug(true);
    await isOnline();
    await guest.plug(false);
    await until(guest, `! ${ONLINE} && systemctl is-active --quiet enf-offline.target`);
    await guest.plug(true);
    await isOnline();
    await neverRestarted(guest);
    expect(await testbed.accepted()).toHaveLength(1);
  });

  test('[C-19] from a read-only root file system', async () => {
    step('boots from a read-only root');
    guest = await testbed.boot({ readOnlyRoot: true });
    await isOnline();
    expect(await guest.must('findmnt -no OPTIONS / | cut -d, -f1; touch /etc/x 2>&1 || true')).toMatch(
      /^ro\n.*Read-only/,
    );
    await guest.must('enf-agent provision --force');
    await isOnline();
  });

  test('[C-15] where IPv6 is switched off for the machine: it is there on our interface', async () => {
    step('boots with IPv6 switched off');
    guest = await testbed.boot({
      append: 'sysctl.net.ipv6.conf.all.disable_ipv6=1 sysctl.net.ipv6.conf.default.disable_ipv6=1',
    });
    await isOnline();
    expect(await guest.must('cat /proc/sys/net/ipv6/conf/default/disable_ipv6')).toBe('1');
  });

  test('[C-15] without a TUN driver: it says how to get one, and is online when it is there', async () => {
    step('boots without a TUN driver');
    guest = await testbed.boot({ append: 'modprobe.blacklist=tun' });
    await until(guest, says('os.no-tun'));
    await waits();
    expect(await guest.must('enf-agent status')).toContain('modprobe tun');
    await guest.must('modprobe tun && systemctl restart enf-agent');
    await isOnline();
  });

  test('[C-15] without IPv6 in the kernel: it says so, and stays live', async () => {
    step('boots without IPv6');
    guest = await testbed.boot({ append: 'ipv6.disable=1' });
    await until(guest, says('os.ipv6-disabled'));
    await waits();
    expect(await guest.must('enf-agent status')).toContain('ipv6.disable=1');
  });
});
