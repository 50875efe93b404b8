import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { layoutOf } from '../../packaging/image/layout.ts';
import type { Guest } from './guest.ts';
import { randomFor, settings, step } from './settings.ts';
import { online, openTestbed, reached, type Testbed, until } from './testbed.ts';

const MIB = 1 << 20;
/** As gateway.sh makes it. */
const LAYOUT = layoutOf(settings.arch, { slot: 320, data: 96 });
/** What the disk is larger than the image, in MiB. */
const MORE = 64;
/** Seconds that an update has to come online. A busy machine emulates slowly: no trial ends by itself. */
const TRIAL = 3_600;
/** Seconds of a trial whose end is awaited. */
const SHORT_TRIAL = 30;
const GRUBENV = '# GRUB Environment Block';

const region = (label: string): { from: number; to: number } => {
  const { start, size } = LAYOUT.partitions.find((each) => each.label === label)!;
  return { from: start * MIB, to: (start + size) * MIB };
};
/** Its service is started first: D-Bus would wait 25 seconds for it, and no longer. */
const install = (name: string): string =>
  `systemctl start rauc && rauc install /run/updates/${name}.raucb 2>&1`;

describe('a gateway from its image', () => {
  const random = randomFor('image');
  let testbed: Testbed;
  let guest: Guest;
  let address: string;
  let machine: string;

  beforeAll(async () => {
    const disk = Buffer.alloc((LAYOUT.size + MORE) * MIB);
    readFileSync(join(settings.image, 'disk.img')).copy(disk);
    const options = { memoryMb: 1024, gateway: { updates: join(settings.image, 'updates.squashfs') } };
    testbed = await openTestbed('q-img', { disk, options });
  });
  afterAll(() => testbed?.close());

  const start = async (unplugged = false): Promise<void> => {
    guest = await testbed.boot({ unplugged });
    await guest.must('mkdir -p /run/updates && mount -o ro /dev/vda /run/updates');
    await until(guest, 'mountpoint -q /boot/efi', 600);
  };
  const slot = (): Promise<string> => guest.must('/usr/lib/enf-gateway/boot-slots get-current');
  const version = (): Promise<string> => guest.must('. /etc/os-release; echo $IMAGE_VERSION');
  const variables = async (): Promise<Record<string, string>> => {
    const text = await guest.must('/usr/lib/enf-gateway/boot-slots show');
    return Object.fromEntries(text.split('\n').map((line) => line.split('=') as [string, string]));
  };
  const decided = (): Promise<void> =>
    until(
      guest,
      '! systemctl is-active --quiet enf-gateway-trial && grep -qx TRIAL= <(/usr/lib/enf-gateway/boot-slots show)',
    );

  /** The tunnel is up, at the address and with the machine's id that it has had since its first boot, without a further handshake. */
  const isTheSame = async (): Promise<void> => {
    expect(await online(guest)).toBe(address);
    await reached(testbed, address);
    expect(await guest.must('cat /etc/machine-id')).toBe(machine);
    expect(await testbed.accepted()).toHaveLength(1);
    expect(await testbed.rows()).toHaveLength(1);
  };
  /** The running system's trial takes no longer than this; that of the next one is as before. */
  const SHORTEN = `echo ${SHORT_TRIAL} >/run/seconds && mount --bind /run/seconds /data/gateway/trial-seconds && systemctl restart enf-gateway-trial`;
  /** Boots once the boot loader has found a slot that it can load. */
  const startAfterAttempts = async (attempts: number): Promise<void> => {
    for (let left = attempts; left > 0; left--)
      await expect(testbed.boot()).rejects.toThrow('the guest has ended');
    await start();
  };
  const overwrite = (at: number, length: number): void => {
    testbed.disk.write(at, Buffer.alloc(length, 0xff), true);
  };
  /** Where they begin on the disk. */
  const environmentBlocks = (): number[] => {
    const { from, to } = region('enf-boot');
    const bytes = testbed.disk.read(from, to - from);
    const found: number[] = [];
    for (let at = bytes.indexOf(GRUBENV); at >= 0; at = bytes.indexOf(GRUBENV, at + 1)) found.push(from + at);
    return found.filter((at) => at % 512 === 0);
  };
  const onConfig = (script: string): string =>
    `mkdir -p /run/fat && mount /dev/disk/by-partlabel/enf-config /run/fat && cd /run/fat && { ${script}; }; cd / && umount /run/fat`;
  const restarts = async (): Promise<void> => {
    void guest.run('systemctl reboot').catch(() => {});
    await guest.ended(600);
  };
  /** The power goes off after so many writes to a part of the disk while an update is installed. */
  const cutDuringInstall = async (writes: number, label: string): Promise<void> => {
    const cut = testbed.disk.powerCut(writes, 0.5, random, region(label));
    const installation = guest.run(install('good'), 600).catch(() => undefined);
    const first = await Promise.race([cut, installation.then(() => undefined)]);
    expect(first, 'the power was cut before the end').toBeDefined();
    await testbed.afterCut(guest);
  };

  test('[H-F1] boots for the first time, takes its configuration, and provisions itself', async () => {
    step('boots for the first time');
    await start();
    address = await online(guest);
    machine = await guest.must('cat /etc/machine-id');
    expect(machine).toMatch(/^[0-9a-f]{32}$/);
    await isTheSame();
    await guest.must(`echo ${TRIAL} >/data/gateway/trial-seconds`);
    expect(await guest.must('findmnt -no FSTYPE,OPTIONS /')).toMatch(/^squashfs +ro\b/);
    expect(await guest.run('touch /etc/x /usr/x')).not.toMatchObject({ code: 0 });
    expect(await guest.must('systemctl --failed --no-legend --plain')).toBe('');
    expect(await guest.must('journalctl -b --no-pager | grep -c "ordering cycle" || true')).toBe('0');
  });

  test('[H-F1] data grows to the end of the disk, and keeps the journal', async () => {
    const size = Number(await guest.must('lsblk -bno SIZE /dev/disk/by-partlabel/enf-data'));
    expect(size).toBeGreaterThan((96 + MORE - 2) * MIB);
    expect(Number(await guest.must('df -B1 --output=size /data | tail -1'))).toBeGreaterThan(130 * MIB);
    expect(await guest.must('ls /data/journal')).toBe(machine);
  });

  test('[H-F2] secrets are taken off the configuration partition, also their bytes', async () => {
    expect(await guest.must('stat -c "%U %a" /etc/enf/proxy-login; cat /etc/enf/proxy-login')).toBe(
      'enf 600\noperator:Uhura-1966',
    );
    const { from, to } = region('enf-config');
    const left = testbed.disk.read(from, to - from);
    expect(left.includes('Uhura-1966')).toBe(false);
    expect(left.includes('10.77.0.1')).toBe(true);
  });

  test('[H-F2] a wrong configuration is refused with the reason, and the one before stays', async () => {
    const put = (text: string): string => onConfig(`printf '${text}' >agent.toml`);
    await guest.must(put('[remote]\\nhots = ["10.77.0.1"]\\n'));
    expect(await guest.run('systemctl restart enf-gateway-config')).not.toMatchObject({ code: 0 });
    const status = (await guest.run('systemctl status --no-pager -l enf-gateway-config')).stdout;
    expect(status).toMatch(/configuration partition is refused: .*hots/);
    expect(await guest.must('cat /data/enf/agent.toml')).toContain('hosts = ["10.77.0.1"]');
    await guest.must(put('# changed\\n[remote]\\nhosts = ["10.77.0.1"]\\n'));
    await guest.must('systemctl restart enf-gateway-config');
    // What is mounted there is restarted with it, by a job of its own.
    await until(guest, 'grep -q changed /etc/enf/agent.toml');
    await isTheSame();
  });

  test('[H-F2] a power cut while secrets are taken: the new ones are in force, and off the partition', async () => {
    const { from, to } = region('enf-config');
    const put = (secret: string): string =>
      onConfig(`mkdir -p credential && for n in 1 2 3; do echo ${secret}-$n >credential/$n; done; sync -f .`);
    await guest.must(put('Sulu-1966'));
    testbed.disk.record();
    await guest.must('systemctl restart enf-gateway-config');
    const once = testbed.disk
      .recorded()
      .events.filter((each) => each.kind === 'write' && each.offset >= from && each.offset < to).length;
    expect(once).toBeGreaterThan(3);
    await guest.must(put('Chekov-1967'));
    const writes = 1 + Math.floor(random() * (once - 1));
    step(`cuts the power at write ${writes} to the configuration partition, of about ${once}`);
    const cut = testbed.disk.powerCut(writes, 0.5, random, { from, to });
    const configured = guest.run('systemctl restart enf-gateway-config').catch(() => undefined);
    const first = await Promise.race([cut, configured.then(() => undefined)]);
    expect(first, 'the power was cut before the end').toBeDefined();
    await testbed.afterCut(guest);
    await start();
    await isTheSame();
    expect(await guest.must('cat /etc/enf/credential/*')).toBe('Chekov-1967-1\nChekov-1967-2\nChekov-1967-3');
    expect(testbed.disk.read(from, to - from).includes('Chekov-1967')).toBe(false);
    await guest.must(`${onConfig('[ -z "$(ls credential)" ] && ! ls taken.*')}; rm -r /data/enf/credential`);
  });

  test('[H-F3] an update by a stranger, and one for another machine, change nothing', async () => {
    const before = await variables();
    expect(before).toMatchObject({ ORDER: 'A B', A_OK: '1', B_OK: '0', TRIAL: '' });
    const stranger = await guest.run(install('stranger'));
    expect(stranger.code).not.toBe(0);
    expect(stranger.stdout).toMatch(/signature verification failed/i);
    const other = await guest.run(install('other'));
    expect(other.code).not.toBe(0);
    expect(other.stdout).toMatch(/compatible/i);
    expect(await variables()).toEqual(before);
  });

  test('[H-F3] the environment block of the boot loader and its copy lie in one block of the disk each', () => {
    const blocks = environmentBlocks();
    expect(blocks).toHaveLength(2);
    for (const at of blocks) expect(at % 4096).toBe(0);
    expect(new Set(blocks).size).toBe(2);
  });

  test('[H-F3] a power cut while an update is written: the system before it boots', async () => {
    const writes = 1 + Math.floor(random() * 150);
    step(`cuts the power at write ${writes} to the slot`);
    await cutDuringInstall(writes, 'enf-root-b');
    await start();
    await isTheSame();
    expect(await slot()).toBe('A');
    expect(await variables()).toMatchObject({ B_OK: '0', TRIAL: '' });
    expect(await guest.must('cat /data/enf/agent.toml')).toContain('# changed');
  });

  test('[H-F3] a power cut while the slots are switched: one of the two boots', async () => {
    testbed.disk.record();
    await guest.must('/usr/lib/enf-gateway/boot-slots up A && sync');
    const { from, to } = region('enf-boot');
    const once = testbed.disk
      .recorded()
      .events.filter((each) => each.kind === 'write' && each.offset >= from && each.offset < to).length;
    expect(once).toBeGreaterThan(0);
    const writes = once + 1 + Math.floor(random() * Math.max(1, once - 1));
    step(`cuts the power at write ${writes} to the boot partition, of about ${2 * once}`);
    await cutDuringInstall(writes, 'enf-boot');
    await start();
    await isTheSame();
    step(`slot ${await slot()} has booted`);
  });

  test('[H-F3] an update that comes online stays', async () => {
    if ((await slot()) === 'A') {
      await guest.must(install('good'), 600);
      expect(await variables()).toMatchObject({ ORDER: 'B A', TRIAL: 'B', B_LEFT: '3' });
      step('boots the update');
      await restarts();
      await start();
    }
    await isTheSame();
    await decided();
    expect([await slot(), await version()]).toEqual(['B', '2']);
    expect(await variables()).toMatchObject({ ORDER: 'B A', A_OK: '1', B_OK: '1', B_LEFT: '3', TRIAL: '' });
    expect(await guest.must('cat /data/gateway/update')).toMatch(/slot B has been online: it stays/);
  });

  test('[H-F3] a slot that is damaged is left after three attempts, also with a damaged environment block; an update heals it', async () => {
    await guest.powerOff();
    const [block] = environmentBlocks();
    overwrite(block!, 1024);
    overwrite(region('enf-root-b').from, 4096);
    step('three boots of a damaged slot');
    await startAfterAttempts(3);
    expect(await slot()).toBe('A');
    await isTheSame();
    await decided();
    expect(await variables()).toMatchObject({ ORDER: 'B A', A_OK: '1', A_LEFT: '3', B_OK: '1', B_LEFT: '0' });
    expect(environmentBlocks()).toContain(block);
    await guest.must(install('good'), 600);
    step('boots the update that heals it');
    await restarts();
    await start();
    await isTheSame();
    await decided();
    expect([await slot(), await version()]).toEqual(['B', '2']);
  });

  test('[H-F3] an update whose agent does not start is rolled back', async () => {
    await guest.must(install('broken'), 600);
    step('boots a broken update');
    await restarts();
    await start();
    expect([await slot(), await version()]).toEqual(['A', '3']);
    void guest.run(SHORTEN).catch(() => {});
    await guest.ended(1_800);
    step('boots what was there before');
    await start();
    expect([await slot(), await version()]).toEqual(['B', '2']);
    await isTheSame();
    await decided();
    expect(await variables()).toMatchObject({ ORDER: 'B A', A_OK: '0', B_OK: '1', TRIAL: '' });
    expect(await guest.must('cat /data/gateway/update')).toMatch(/slot A .* rolled back/);
  });

  test('[H-F3] without an uplink an update is tried again, not rolled back', async () => {
    await guest.must(install('good'), 600);
    await restarts();
    step('boots an update without an uplink');
    await start(true);
    expect(await slot()).toBe('A');
    void guest.run(SHORTEN).catch(() => {});
    await guest.ended(1_800);
    step('boots what was there before, without an uplink');
    await start(true);
    expect(await slot()).toBe('B');
    expect(await variables()).toMatchObject({ TRIAL: 'A', TRIALS: '1', A_LEFT: '0' });
    await guest.must(SHORTEN);
    await until(guest, `[ "$(cut -d. -f1 /proc/uptime)" -ge ${SHORT_TRIAL} ]`);
    await guest.plug(true);
    await guest.ended(1_800);
    step('boots the update again');
    await start();
    await isTheSame();
    await decided();
    expect(await slot()).toBe('A');
    expect(await variables()).toMatchObject({ ORDER: 'A B', A_OK: '1', B_OK: '1', TRIAL: '' });
    await guest.powerOff();
  });
});
