import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseConfig, renderConfig, SCHEMA } from '../../../agent/config/config.ts';
import type { Key } from '../../../cli/config/key-types.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';

const LEAST = '[remote]\nhosts = ["203.0.113.7"]\n';
const parse = (text: string) => parseConfig(text, '/etc/enf/agent.toml');

function refusal(text: string): { code: string; message: string; action: string } {
  try {
    parse(text);
  } catch (error) {
    if (isFailure(error)) return { code: error.code, message: error.message, action: error.action ?? '' };
    throw error;
  }
  throw new Error(`accepted: ${text}`);
}

test('only the hosts are required; everything else has its default', () => {
  expect(parse(LEAST)).toEqual({
    remote: {
      hosts: ['203.0.113.7'],
      order: 'spread',
      tunnelPort: 443,
      identityPort: 444,
      connectTimeout: 10_000,
      tlsRoot: '',
      tlsName: '',
      proxy: undefined,
      proxyLoginFile: '',
    },
    identity: {
      mode: 'tpm',
      credentialDir: '',
      certificate: '',
      key: '',
      estServer: undefined,
      keyIn: 'auto',
      basename: '',
      suite: 1,
      address: '',
      rotateAfter: 0,
    },
    tpm: { tcti: 'device:/dev/tpmrm0' },
    tunnel: {
      device: 'enf0',
      mtu: 1280,
      wire: 'auto',
      heartbeatPeriod: 'auto',
      heartbeatTimeout: 'auto',
      fwmark: 0,
      assignAddress: true,
    },
    route: {
      mode: 'split',
      prefixes: [],
      allowIpv4: false,
      trustedInterfaces: [],
      table: 2097,
      persistLockdown: false,
    },
    lan: { enabled: false, defaultRoute: false, advertisePeriod: 600_000 },
    dns: { zone: '' },
    delegation: { interface: '', open: [], dhcp: 'off', dns: [], table: 2_096 },
    state: { directory: '/var/lib/enf-agent' },
    metrics: { listen: undefined },
    control: { socket: '/run/enf-agent/control.sock' },
  });
});

test('every key can be set', () => {
  const config = parse(`
    [remote]
    hosts = ["enf.example", "2001:db8::1"]
    tunnel-port = 4443
    identity-port = 4444
    connect-timeout = "1500ms"
    tls-root = "/etc/enf/root.pem"
    proxy = "http://[2001:db8::5]:3128/"
    proxy-login-file = "/run/credentials/login"
    [identity]
    mode = "software"
    credential-dir = "/etc/enf/credential"
    basename = "xaprcnet"
    suite = 4
    address = "fd00::1"
    rotate-after = "2160h"
    est-server = "https://[2001:db8::9]:8443/.well-known/est/plant/"
    key-in = "tpm"
    [tpm]
    tcti = "swtpm:host=127.0.0.1,port=2321"
    [tunnel]
    device = "enf1"
    mtu = 1400
    heartbeat-period = "5m"
    heartbeat-timeout = "2 s"
    fwmark = 363
    assign-address = false
    [route]
    prefixes = ["fd00:1::/64", "2001:db8::/32"]
    allow-ipv4 = true
    mode = "lockdown"
    trusted-interfaces = ["lan0", "02:00:5e:00:00:0A"]
    table = 300
    persist-lockdown = true
    [delegation]
    interface = "eth1.7"
    open = ["tcp/22", "udp/5000-5010", "icmp"]
    dhcp = "stateful"
    dns = ["fd00:1::53", "2001:db8::53"]
    table = 700
    [lan]
    enabled = true
    default-route = true
    advertise-period = "30s"
    [dns]
    zone = "plant-1.internal."
    [state]
    directory = "/data/enf"
    [metrics]
    listen = "[::1]:9464"
    [control]
    socket = "/tmp/control.sock"
  `);
  expect(config.remote).toMatchObject({ hosts: ['enf.example', '2001:db8::1'], connectTimeout: 1_500 });
  expect(config.identity).toMatchObject({
    mode: 'software',
    suite: 4,
    basename: 'xaprcnet',
    rotateAfter: 7_776_000_000,
    estServer: { host: '2001:db8::9', port: 8_443, path: '/.well-known/est/plant' },
    keyIn: 'tpm',
  });
  expect(config.tunnel).toMatchObject({ heartbeatPeriod: 300_000, heartbeatTimeout: 2_000, fwmark: 363 });
  expect(config.route.prefixes.map((prefix) => prefix.length)).toEqual([64, 32]);
  expect(config.route).toMatchObject({
    mode: 'lockdown',
    trustedInterfaces: ['lan0', '02:00:5e:00:00:0A'],
    table: 300,
    persistLockdown: true,
  });
  expect(config.delegation).toEqual({
    interface: 'eth1.7',
    open: [
      { protocol: 'tcp', first: 22, last: 22 },
      { protocol: 'udp', first: 5_000, last: 5_010 },
      { protocol: 'icmp' },
    ],
    dhcp: 'stateful',
    dns: ['fd00:1::53', '2001:db8::53'].map(parseIpv6),
    table: 700,
  });
  expect(config.lan).toEqual({ enabled: true, defaultRoute: true, advertisePeriod: 30_000 });
});

test('keys are replaced after an hour at the earliest, or never', () => {
  const after = (text: string) => parse(`${LEAST}[identity]\nrotate-after = ${text}\n`).identity.rotateAfter;
  expect(['"off"', '"1h"', '"60m"', '"87600h"'].map(after)).toEqual([
    0, 3_600_000, 3_600_000, 315_360_000_000,
  ]);
  expect(renderConfig(parse(LEAST))).toContain('rotate-after = "off"');
  expect(renderConfig(parse(`${LEAST}[identity]\nrotate-after = "48h"`))).toContain('rotate-after = "48h"');
});

test('a certificate comes from files, both of them, or from an EST server', () => {
  const pki = `${LEAST}[identity]\nmode = "pki"\n`;
  const estServer = (text: string) => parse(`${pki}est-server = "${text}"`).identity.estServer;
  expect(estServer('https://fabric.example')).toEqual({
    host: 'fabric.example',
    port: 443,
    path: '/.well-known/est',
  });
  expect(parse(pki).identity.estServer).toBeUndefined();
  for (const text of [
    'http://fabric.example',
    'fabric.example:9443',
    'https://fabric.example:0',
    'https://fabric.example:70000',
    'https://user:secret@fabric.example',
    'https://fabric.example/a b',
    'https://fabric.example/?x',
    `https://fabric.example${'/a'.repeat(9)}`,
    'https://10.1',
  ])
    expect(refusal(`${pki}est-server = "${text}"`).code).toBe('config.bad-value');
  const files = { certificate: 'certificate = "/c"\n', key: 'key = "/k"\n' };
  for (const [given, absent] of [
    ['certificate', 'key'],
    ['key', 'certificate'],
  ] as const)
    expect(refusal(pki + files[given])).toMatchObject({
      code: 'config.missing-key',
      message: expect.stringContaining(`identity.${absent}`),
    });
  const both = `${pki}${files.certificate}${files.key}`;
  expect(parse(both).identity).toMatchObject({ certificate: '/c', key: '/k' });
  expect(refusal(`${both}est-server = "https://f.example"`).code).toBe('config.bad-value');
});

describe('[C-9] the proxy', () => {
  const secret = `${LEAST}proxy = "http://device:p%40ss%3a:word@proxy.example:3128"\n`;

  test('is a URL; what could not stand in one is percent-encoded', () => {
    const { proxy } = parse(secret).remote;
    expect(proxy).toMatchObject({ host: 'proxy.example', port: 3128 });
    expect(proxy?.login).toBe('device:p@ss::word');
    expect(parse(`${LEAST}proxy = "http://[2001:db8::5]:3128"\n`).remote.proxy).toMatchObject({
      host: '2001:db8::5',
      login: undefined,
    });
  });

  test('its password is nowhere in what is printed, nor where it was mistyped', () => {
    const config = parse(secret);
    for (const text of [renderConfig(config), JSON.stringify(config), String(config.remote.proxy)]) {
      expect(text).toContain('proxy.example:3128');
      expect(text).not.toMatch(/p%40ss|p@ss|word/);
    }
    const { message } = refusal(`${LEAST}proxy = "http://device:p%40ssword@proxy.example"\n`);
    expect(message).toContain('something that is not shown');
    expect(message).not.toMatch(/p%40ss|p@ss/);
  });
});

test('what check-config prints means the same again', () => {
  for (const text of [
    LEAST,
    `${LEAST}[route]\nprefixes = ["fd00:1::/48"]\n[tunnel]\nheartbeat-period = "90s"\n[metrics]\nlisten = "[::1]:9464"\n`,
    `${LEAST}proxy = "http://[2001:db8::5]:3128"\n`,
    `${LEAST}[identity]\nmode = "pki"\nest-server = "https://[2001:db8::5]"\n`,
  ]) {
    expect(parse(renderConfig(parse(text)))).toEqual(parse(text));
  }
});

describe('unknown names come with the nearest one', () => {
  for (const [text, message, action] of [
    [`${LEAST}[tunel]\n`, 'unknown section [tunel]', 'Did you mean section [tunnel]?'],
    [
      `${LEAST}[tunnel]\nheartbeat-perod = "1s"\n`,
      'unknown key tunnel.heartbeat-perod',
      'tunnel.heartbeat-period?',
    ],
    [
      `${LEAST}port = 443\n`,
      'unknown key remote.port',
      'Known here: hosts, order, tunnel-port, identity-port',
    ],
    [`hosts = ["a"]\n`, 'unknown section [hosts]', 'Known here: remote, identity, tpm'],
  ] as const) {
    test(message, () => {
      const refused = refusal(text);
      expect(refused.code).toBe('config.unknown-key');
      expect(refused.message).toContain(message);
      expect(refused.action).toContain(action);
    });
  }
});

describe('required keys', () => {
  test('hosts', () => {
    expect(refusal('')).toMatchObject({
      code: 'config.missing-key',
      message: expect.stringContaining('remote.hosts'),
    });
  });
  test('the credential folder in software mode', () => {
    const text = `${LEAST}[identity]\nmode = "software"\n`;
    expect(refusal(text)).toMatchObject({
      code: 'config.missing-key',
      message: expect.stringContaining('credential-dir'),
    });
    expect(parse(`${text}credential-dir = "/x"\n`).identity.mode).toBe('software');
  });
});

describe('bad values name the key, what was expected and what came', () => {
  const bad: Record<string, readonly string[]> = {
    'remote.hosts': ['"a"', '[]', '[1]', '["a b"]', '[""]', '{}'],
    'remote.order': ['"random"', '""', '[]'],
    'remote.tunnel-port': ['0', '65536', '"443"', '1.5'],
    'remote.identity-port': ['-1', 'true'],
    'remote.connect-timeout': ['10', '"10"', '"10 parsecs"', '"0s"', '"6m"', '"1.5s"', '"-1s"'],
    'remote.tls-root': ['"root.pem"', '1'],
    'remote.tls-name': ['"a b"', '"**"', '1'],
    'remote.proxy': [
      '"proxy.example:3128"',
      '"https://proxy.example:3128"',
      '"http://proxy.example"',
      '"http://proxy.example:0"',
      '"http://proxy.example:65536"',
      '"http://user@proxy.example:3128"',
      '"http://user:pass@word@proxy.example:3128"',
      '"http://user:50%@proxy.example:3128"',
      '"http://proxy.example:3128/path"',
      '3128',
    ],
    'remote.proxy-login-file': ['"login"', '1'],
    'identity.mode': ['"TPM"', '""', '1'],
    'identity.credential-dir': ['"credential"'],
    'identity.certificate': ['"machine.pem"'],
    'identity.key': ['"machine.key"', '"pkcs11:token=a"', '"pkcs11:token=a;object=b?pin-value=1"'],
    'identity.est-server': ['"fabric.example"', '"http://fabric.example"', '"https://"', '1'],
    'identity.key-in': ['"TPM"', '""', '"software"'],
    'identity.basename': [`"${'x'.repeat(65)}"`, `"${'ä'.repeat(33)}"`, '7'],
    'identity.suite': ['0', '5', '"1"'],
    'identity.address': ['"fd00"', '"::"', '"10.0.0.1"'],
    'identity.rotate-after': ['"59m"', '"0s"', '0', 'false', '"never"', '"90d"', '"87601h"'],
    'tpm.tcti': ['"/dev/tpmrm0"', '""'],
    'tunnel.device': ['""', '"a-very-long-interface-name"', '"en f"', '"../x"'],
    'tunnel.mtu': ['1279', '1497'],
    'tunnel.wire': ['"super"', '2'],
    'tunnel.heartbeat-period': ['"999ms"', '25', '"off"', '""'],
    'tunnel.heartbeat-timeout': ['"0ms"', '"1h"', '"Auto"'],
    'tunnel.fwmark': ['-1', '4294967296'],
    'route.prefixes': ['["::/0"]', '["fd00::1/64"]', '["10.0.0.0/8"]', '"fd00::/64"', '["default"]'],
    'tunnel.assign-address': ['"no"'],
    'route.mode': ['"Lockdown"', '""', '1'],
    'route.allow-ipv4': ['"yes"', '1'],
    'route.trusted-interfaces': ['"lan0"', '["an-overlong-name-"]', '["02:00:5e"]', '["a b"]', '[1]'],
    'route.table': ['254', '255', '8001', '"main"'],
    'route.persist-lockdown': ['1'],
    'delegation.interface': ['"an-overlong-name-"', '"a b"', '"02:00:5e:00:00:0a"', '7'],
    'delegation.dhcp': ['"on"', 'true', '""'],
    'delegation.dns': [
      ...['"fd00::53"', '["::"]', '["::1"]', '["ff02::1"]', '["10.9.1.2"]', '["dns.example"]', '[1]'],
      `[${'"fd00::53", '.repeat(9)}]`,
    ],
    'delegation.open': [
      '"tcp/22"',
      '["tcp"]',
      '["tcp/0"]',
      '["tcp/65536"]',
      '["udp/9-8"]',
      '["sctp/1"]',
      '["icmp/8"]',
    ],
    'delegation.table': ['255', '8001', '"main"'],
    'lan.enabled': ['"yes"'],
    'lan.default-route': ['0'],
    'lan.advertise-period': ['"3s"', '"31m"', '600'],
    'dns.zone': [
      ...['"Plant Internal"', '".internal"', '"a..b"', '"-a.internal"', '"~plant.internal"', '1'],
      `"${'x'.repeat(102)}"`,
    ],
    'state.directory': ['"state"', '""'],
    'metrics.listen': [
      '"9464"',
      '"0.0.0.0:9464"',
      '"192.0.2.1:9464"',
      '"127.0.0.1:0"',
      '"127.0.0.1:65536"',
      '"[::]:1"',
    ],
    'control.socket': ['"x.sock"', `"/${'x'.repeat(100)}"`],
  };
  test('the table has every key', () => {
    expect(Object.keys(bad).sort()).toEqual(
      allKeys()
        .map(([name]) => name)
        .sort(),
    );
  });
  for (const [name, values] of Object.entries(bad)) {
    for (const value of values) {
      test(`${name} = ${value.slice(0, 30)}`, () => {
        const [section, key] = name.split('.') as [string, string];
        const refused = refusal(
          `${section === 'remote' && key !== 'hosts' ? LEAST : `${section === 'remote' ? '' : LEAST}[${section}]\n`}${key} = ${value}\n`,
        );
        expect(refused.code).toBe('config.bad-value');
        expect(refused.message).toMatch(new RegExp(`^/etc/enf/agent.toml: ${name}: expected .+, got `));
      });
    }
  }
  test('a key where a section belongs', () => {
    expect(refusal(`tpm = 1\n${LEAST}`)).toMatchObject({ code: 'config.bad-value' });
  });
});

test('text that is not TOML names the line', () => {
  expect(refusal('[remote]\nhosts = [\n')).toMatchObject({ code: 'config.bad-toml' });
  expect(refusal('[remote]\nhosts = enf.example\n').message).toContain('/etc/enf/agent.toml, line 2');
});

test('docs/config.md says about every key what the table says, and nothing else', () => {
  const text = readFileSync(new URL('../../../docs/config.md', import.meta.url), 'utf8');
  const documented = [...text.matchAll(/^\| `([a-z0-9.-]+)` \| (.+?) \| (.+?) \| (.+?) \|$/gm)].map((row) =>
    row.slice(1),
  );
  const known = allKeys().map(([name, key]) => [
    name,
    key.type,
    key.default === undefined ? 'required' : `\`${key.default}\``,
    key.doc,
  ]);
  expect(documented).toEqual(known);
});

function allKeys(): [string, Key<unknown>][] {
  return Object.entries(SCHEMA).flatMap(([section, keys]) =>
    Object.entries(keys).map(([name, key]): [string, Key<unknown>] => [
      `${section}.${name}`,
      key as Key<unknown>,
    ]),
  );
}
