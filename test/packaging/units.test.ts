import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packaged, run } from './place.ts';
import { complaints, unitsOf, values } from './units.ts';

const { names: UNITS, unit, install, exposure } = unitsOf('agent');
const service = unit('enf-agent.service');

const value = (key: string): string => values(service, key).join(' ');

/** What systemd says about a boot whose units wait for each other in a circle; it then leaves one of them out. */
function cycles(change?: (text: string) => string): string[] {
  const place = install(change);
  mkdirSync(join(place.folder, 'multi-user.target.wants'));
  symlinkSync('../enf-agent.service', join(place.folder, 'multi-user.target.wants/enf-agent.service'));
  return run('systemd-analyze', ['verify', '--man=no', 'multi-user.target'], {
    env: { SYSTEMD_UNIT_PATH: `${place.folder}:` },
  })
    .output.split('\n')
    .filter((line) => /cycle/.test(line));
}

describe('the units', () => {
  test('are accepted by systemd', () => {
    expect(UNITS).toHaveLength(14);
    expect(complaints(install().units)).toEqual([]);
  });

  test('a wrong key would be found', () => {
    const { units } = install((text) => text.replace('WatchdogSec=', 'WatchdogSecs='));
    expect(complaints(units).join()).toMatch(/Unknown key.* 'WatchdogSecs'/);
  });

  test('an instance differs from the plain service only in its paths', () => {
    for (const name of UNITS.filter((each) => !each.includes('@'))) {
      const [stem, kind] = name.split('.');
      const instance = unit(name)
        .replaceAll('/etc/enf/agent.toml', '/etc/enf/%i.toml')
        .replaceAll('/run/enf-agent/', '/run/enf-agent-%i/')
        .replaceAll('/var/lib/enf-agent', '/var/lib/enf-agent-%i')
        .replace(/^(\w+Directory)=enf-agent$/gm, '$1=enf-agent-%i')
        .replaceAll('enf-agent.service', 'enf-agent@%i.service')
        .replace(/enf-(online|offline|agent-settled)\.(path|target|timer)/g, 'enf-$1@%i.$2')
        .replace(/^Description=.*$/m, '$& (%i)');
      expect(unit(`${stem}@.${kind}`)).toBe(instance);
    }
  });
});

describe('C-S hardening', () => {
  test('exposure is at most 1.8 of 10', () => {
    expect(exposure('enf-agent.service')).toBeLessThanOrEqual(1.8);
    expect(
      exposure('enf-agent.service', (text) => text.replace('ProtectSystem=strict\n', '')),
    ).toBeGreaterThan(1.8);
  });

  test.each([
    ['User', 'enf'],
    ['Group', 'enf'],
    ['SupplementaryGroups', 'tss'],
    ['AmbientCapabilities', 'CAP_NET_ADMIN'],
    ['CapabilityBoundingSet', 'CAP_NET_ADMIN'],
    ['NoNewPrivileges', 'yes'],
    ['ProtectSystem', 'strict'],
    ['ProtectHome', 'yes'],
    ['PrivateTmp', 'yes'],
    ['ProtectKernelTunables', 'yes'],
    ['ProtectKernelModules', 'yes'],
    ['ProtectKernelLogs', 'yes'],
    ['ProtectControlGroups', 'yes'],
    ['ProtectClock', 'yes'],
    ['RestrictAddressFamilies', 'AF_UNIX AF_INET AF_INET6 AF_NETLINK'],
    ['RestrictNamespaces', 'yes'],
    ['LockPersonality', 'yes'],
    ['SystemCallFilter', '@system-service ~@privileged @resources'],
    ['SystemCallArchitectures', 'native'],
    ['DevicePolicy', 'closed'],
    ['DeviceAllow', '/dev/net/tun rw char-tpm rw'],
    ['UMask', '0077'],
    ['MemoryDenyWriteExecute', 'yes'],
  ])('%s=%s', (key, expected) => expect(value(key)).toBe(expected));
});

describe('the life of the service', () => {
  test('C-1 C-2 waits for no network, and requires no unit that could block', () => {
    expect(value('After')).toBe(
      'network-pre.target systemd-tmpfiles-setup.service sysinit.target basic.target',
    );
    expect(value('Wants')).toBe('enf-online.path enf-offline.path enf-agent-settled.timer');
    expect([value('Requires'), value('BindsTo'), value('Before')]).toEqual([
      'sysinit.target',
      '',
      'shutdown.target',
    ]);
  });

  test('C-1 C-2 a boot starts it: nothing that comes before it has to wait for it', () => {
    expect(cycles()).toEqual([]);
    const careless = cycles((text) => text.replace('DefaultDependencies=no\n', ''));
    expect(careless.join()).toMatch(/ordering cycle/);
  });

  test('C-3 ready when it runs', () => {
    expect([value('Type'), value('NotifyAccess')]).toEqual(['notify', 'main']);
  });

  test('C-3 however it ends, the flag "offline" is set', () => {
    expect(values(service, 'ExecStopPost')).toEqual([
      '/bin/rm -f /run/enf-agent/online',
      '/bin/touch /run/enf-agent/offline',
    ]);
    expect(value('RuntimeDirectoryPreserve')).toBe('yes');
  });

  test('C-3 the two targets exclude each other', () => {
    expect(values(unit('enf-online.target'), 'Conflicts')).toEqual(['enf-offline.target']);
    for (const word of ['online', 'offline']) {
      expect(values(unit(`enf-${word}.path`), 'PathExists')).toEqual([`/run/enf-agent/${word}`]);
      expect(values(unit(`enf-${word}.path`), 'Unit')).toEqual([`enf-${word}.target`]);
    }
  });

  test('C-15 C-24 both device classes are registered with the kernel before it starts', () => {
    const modules = packaged('agent/modules-load.d/enf-agent.conf')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(modules).toEqual(['tun', 'tpm']);
  });

  test('C-8 C-19 C-21 writes to its state and runtime directories only, and keeps no log file', () => {
    expect(value('ProtectSystem')).toBe('strict'); // the rest of the file system, /etc too, is read-only to it
    expect([value('StateDirectory'), value('RuntimeDirectory')]).toEqual(['enf-agent', 'enf-agent']);
    expect(value('RequiresMountsFor')).toBe('/var/lib/enf-agent');
    for (const key of [
      'ReadWritePaths',
      'LogsDirectory',
      'CacheDirectory',
      'StandardOutput',
      'StandardError',
    ])
      expect(value(key), key).toBe('');
  });

  test('C-32 C-33 its memory is bounded, and it is not the first to be killed', () => {
    const heap = Number(/--max-old-space-size=(\d+)/.exec(value('ExecStart'))?.[1]);
    const [high, max] = ['MemoryHigh', 'MemoryMax'].map((key) => Number(/^(\d+)M$/.exec(value(key))?.[1]));
    expect(heap).toBeLessThan(high!);
    // Without it the service would neither fit its memory nor live with MemoryDenyWriteExecute.
    expect(value('ExecStart')).toContain(' --jitless ');
    // Nor would it stay flat for hours.
    expect(value('ExecStart')).toContain(' --expose-gc ');
    expect(high).toBeLessThan(max!);
    expect(max).toBeLessThanOrEqual(192);
    expect(value('OOMScoreAdjust')).toBe('-500');
  });

  test('C-34 C-35 systemd always restarts it, except with an unusable configuration', () => {
    expect(value('WatchdogSec')).toBe('60');
    expect([value('StartLimitIntervalSec'), value('Restart')]).toEqual(['0', 'always']);
    expect(value('RestartPreventExitStatus')).toBe('78');
    expect([value('RestartSec'), value('RestartSteps'), value('RestartMaxDelaySec')]).toEqual([
      '2',
      '6',
      '60',
    ]);
  });

  test('C-33 the pauses between restarts grow with a series of crashes, not over months', () => {
    const timer = unit('enf-agent-settled.timer');
    expect(values(timer, 'PartOf')).toEqual(['enf-agent.service']); // counted from its last start
    expect(values(timer, 'OnActiveSec')).toEqual(['10min']);
    expect(values(unit('enf-agent-settled.service'), 'ExecStart')).toEqual([
      '/bin/systemctl reset-failed enf-agent.service',
    ]);
  });
});
