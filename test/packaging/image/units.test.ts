import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { folder, packaged, run } from '../place.ts';
import { complaints, unitsOf } from '../units.ts';
import { gatewayText, onGateway } from './gateway.ts';

const UNITS = readdirSync(onGateway('usr/lib/systemd/system'));

/** The gateway's units beside the agent's, with its drop-ins, all enabled. */
function install(change: (text: string) => string = (text) => text): { folder: string; units: string[] } {
  const place = unitsOf('agent').install().folder;
  const wants = join(place, 'multi-user.target.wants');
  mkdirSync(wants);
  symlinkSync('../enf-agent.service', join(wants, 'enf-agent.service'));
  for (const name of UNITS) {
    const text = change(gatewayText(`usr/lib/systemd/system/${name}`));
    writeFileSync(
      join(place, name),
      text.replace(/\/usr\/(lib\/enf-gateway\/\w+|bin\/ssh-keygen)/g, '/bin/true'),
    );
    symlinkSync(`../${name}`, join(wants, name));
  }
  for (const name of ['enf-agent.service.d', 'emergency.service.d'])
    cpSync(onGateway(`etc/systemd/system/${name}`), join(place, name), { recursive: true });
  return { folder: place, units: UNITS.map((name) => join(place, name)) };
}

const cycles = (place: string): string[] =>
  run('systemd-analyze', ['verify', '--man=no', 'multi-user.target'], {
    env: { SYSTEMD_UNIT_PATH: `${place}:` },
  })
    .output.split('\n')
    .filter((line) => /cycle/.test(line));

describe('the units of a gateway', () => {
  test('are accepted by systemd; a wrong key would be found', () => {
    expect(complaints(install().units)).toEqual([]);
    expect(complaints(install((text) => text.replace('What=', 'Whats=')).units).join()).toMatch(/Whats/);
  });

  test('wait for each other in no circle; one would be found', () => {
    expect(cycles(install().folder)).toEqual([]);
    const circle = install((text) =>
      text.replace('Before=etc-enf.mount', 'After=multi-user.target\nBefore=etc-enf.mount'),
    );
    expect(cycles(circle.folder)).not.toEqual([]);
  });

  test('[H-F2] the agent starts behind its configuration and its state', () => {
    const dropIn = gatewayText('etc/systemd/system/enf-agent.service.d/gateway.conf');
    expect(dropIn).toContain('RequiresMountsFor=/etc/enf\n');
    expect(dropIn).toContain('AssertPathIsMountPoint=/var/lib/enf-agent\n');
    expect(gatewayText('usr/lib/systemd/system/etc-enf.mount')).toMatch(
      /^After=enf-gateway-config.service$/m,
    );
  });
});

test('every script is one that a shell can read', () => {
  const scripts = [
    ...readdirSync(onGateway('usr/lib/enf-gateway')).map((name) => `usr/lib/enf-gateway/${name}`),
    'etc/initramfs-tools/hooks/enf-gateway',
    'etc/initramfs-tools/scripts/local-bottom/enf-gateway',
  ];
  expect(scripts.length).toBe(6);
  for (const path of scripts)
    expect(run('sh', ['-n', onGateway(path)])).toMatchObject({ code: 0, output: '' });
  const broken = join(folder(), 'broken');
  writeFileSync(broken, 'if true; then\n');
  expect(run('sh', ['-n', broken]).code).not.toBe(0);
});

test('[H-F3] a slot that GRUB cannot load costs an attempt: it restarts instead of waiting for a key', () => {
  const entries = packaged('image/boot/grub.cfg').match(/^menuentry[\s\S]*?^}/gm);
  expect(entries).toHaveLength(2);
  for (const entry of entries!)
    expect(entry).toMatch(/\n {2}linux .*\n {2}initrd .*\n {2}boot\n {2}reboot\n}$/);
});
