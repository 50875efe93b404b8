import { describe, expect, test } from 'vitest';
import { packaged, run } from './place.ts';
import { complaints, unitsOf, values } from './units.ts';

const { names, unit, install, exposure } = unitsOf('fabric');

describe('the units of the fabric', () => {
  test('are accepted by systemd, and a wrong key would be found', () => {
    expect(names).toEqual(['enf-console.service', 'enf-fabric.service']);
    expect(complaints(install().units)).toEqual([]);
    const { units } = install((text) => text.replace('WatchdogSec=', 'WatchdogSecs='));
    expect(complaints(units).join()).toMatch(/Unknown key.* 'WatchdogSecs'/);
  });

  test.each([
    ['enf-fabric.service', 2.0],
    ['enf-console.service', 1.5],
  ])('the exposure of %s is at most %d of 10', (name, most) => {
    expect(exposure(name)).toBeLessThanOrEqual(most);
    expect(exposure(name, (text) => text.replace('ProtectSystem=strict\n', ''))).toBeGreaterThan(
      exposure(name),
    );
  });

  test('the fabric may use the network, the console nothing, and each is a user of its own', () => {
    const [console, fabric] = [unit('enf-console.service'), unit('enf-fabric.service')];
    expect(values(fabric, 'CapabilityBoundingSet')).toEqual(['CAP_NET_ADMIN CAP_NET_BIND_SERVICE']);
    expect(values(fabric, 'DeviceAllow')).toEqual(['/dev/net/tun rw']);
    expect(values(console, 'CapabilityBoundingSet')).toEqual(['']);
    expect(values(console, 'PrivateDevices')).toEqual(['yes']);
    expect([values(fabric, 'User'), values(console, 'User')]).toEqual([['enf-fabric'], ['enf-console']]);
    expect(values(console, 'SupplementaryGroups')).toEqual(['enf-fabric']);
    for (const text of [console, fabric]) {
      expect(values(text, 'RestartPreventExitStatus')).toEqual(['78']);
      expect(values(text, 'ConditionPathExists')).toEqual(['/var/lib/enf-fabric/trust.json']);
      expect(values(text, 'NoNewPrivileges')).toEqual(['yes']);
    }
  });
});

describe('the scripts of the package', () => {
  test.each(['preinst', 'postinst', 'prerm', 'postrm'])('%s is plain shell', (name) => {
    expect(run('sh', ['-n'], { input: packaged(`fabric/debian/${name}`) })).toEqual({ code: 0, output: '' });
  });
});
