import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { folder, packaged, run } from './place.ts';
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

  test('preinst refuses what cannot read the registry, in a file or in a database, and says what it cannot know', () => {
    const data = folder();
    const script = packaged('fabric/debian/preinst')
      .replaceAll('/var/lib/enf-fabric/', `${data}/`)
      .replaceAll('@SCHEMA@', '44')
      .replaceAll('@VERSION@', '1.2.0');
    const preinst = (...words: string[]) => run('sh', ['-s', ...words], { input: script });
    const passes = { code: 0, output: '' };
    const refuses = (why: string) => ({ code: 1, output: expect.stringContaining(why) });
    const file = (schema: number): void => {
      const header = Buffer.alloc(100);
      header.writeUInt32BE(schema, 60);
      writeFileSync(join(data, 'registry.db'), header);
    };
    const notes = (text: string): void => writeFileSync(join(data, 'registry.url-schema'), text);

    expect(preinst('install')).toEqual(passes);
    file(44);
    expect(preinst('upgrade', '1.3.0')).toEqual(passes);
    file(45);
    expect(preinst('upgrade', '1.3.0')).toEqual(refuses('it has schema 45, and this version knows 44.'));
    rmSync(join(data, 'registry.db'));

    // Nobody uses what is noted once the registry is in a file again.
    notes('45\n');
    expect(preinst('upgrade', '1.3.0')).toEqual(passes);
    writeFileSync(join(data, 'registry.url'), 'postgres://');
    expect(preinst('upgrade', '1.3.0')).toEqual(
      refuses('this host has used it with schema 45, and this version knows 44.'),
    );
    expect(preinst('upgrade', '1.2.0')).toEqual(refuses('with schema 45'));
    for (const known of ['44\n', '9\n', '', 'nonsense\n']) {
      notes(known);
      expect(preinst('upgrade', '1.1.0')).toEqual(passes);
      expect(preinst('upgrade', '1.2.0')).toEqual(passes);
      expect(preinst('upgrade', '1.3.0')).toEqual({
        code: 0,
        output: expect.stringContaining('which is not asked here'),
      });
    }
    rmSync(join(data, 'registry.url-schema'));
    expect(preinst('upgrade', '1.3.0').code).toBe(0);
    expect(preinst('install')).toEqual(passes);
  });
});
