import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Key } from '../../../cli/config/key-types.ts';
import { checkConsole, checkRoutes, checkServes, requireServed } from '../../../fabric/config/checks.ts';
import { heartbeats, parseConfig, renderConfig, SCHEMA } from '../../../fabric/config/config.ts';
import { readOpenId } from '../../../fabric/config/openid.ts';
import { refused } from '../../refusals.ts';

const parse = (text: string) => parseConfig(text, '/etc/enf/fabric.toml');

test('an empty file is a whole configuration, and what is printed reads as the same', () => {
  const config = parse('');
  expect(config.identity).toEqual({ listen: { host: '::', port: 444 }, processes: 1, maxConnections: 0 });
  expect(config.console.listen).toEqual({ host: '::1', port: 8_480 });
  expect(parse(renderConfig(config))).toEqual(config);
});

test('every key can be given', () => {
  const config = parse(`
    identity = { listen = "192.0.2.1:4440", processes = 4, max-connections = 100 }
    node = { name = "a-1", address = "2001:db8::a", serves = ["identity"] }
    tunnel = { listen = "[2001:db8::1]:4430", threads = 16, decommission = false, connects-per-second = 10, heartbeat-period = "off", heartbeat-timeout = "1s" }
    host = { tun = "none", services = ["tcp/22", "udp/8000-8010", "icmp"] }
    est = { listen = "[::]:9443" }
    routes = { install = true, table = 200, protocol = 78, bird-socket = "" }
    dns = { serve = true }
    places = { database = "none" }
    hooks = { mail-file = "/etc/enf/mail", private = true }
    metrics = { listen = "127.0.0.1:9465" }
    [console]
    listen = "[::]:443"
    certificate = "/etc/enf/console.pem"
    key = "/etc/enf/console.key"
    origin = "https://console.example"
    compat = true
    [geo]
    city-file = "/var/lib/places/city.mmdb"
    old-days = 40
    [openid]
    issuer = "https://login.example/realm"
    client-id = "enf"
    secret-file = "/etc/enf/secret"
    claim = "email"
    domains = ["example.org"]
    domain-claim = "hd"
    role = "installer"
    name = "Example"
  `);
  expect(config).toEqual({
    identity: { listen: { host: '192.0.2.1', port: 4_440 }, processes: 4, maxConnections: 100 },
    node: { name: 'a-1', address: '2001:db8::a', serves: ['identity'] },
    tunnel: {
      ...{ listen: { host: '2001:db8::1', port: 4_430 }, threads: 16, decommission: false },
      ...{ connectsPerSecond: 10, heartbeatPeriod: 'off', heartbeatTimeout: 1_000 },
    },
    est: { listen: { host: '::', port: 9_443 } },
    host: {
      tun: 'none',
      services: {
        all: false,
        icmp: true,
        tcp: [{ first: 22, last: 22 }],
        udp: [{ first: 8_000, last: 8_010 }],
      },
    },
    routes: { install: true, table: 200, protocol: 78, birdSocket: '' },
    dns: { serve: true },
    places: { database: 'none' },
    geo: { cityFile: '/var/lib/places/city.mmdb', oldDays: 40 },
    hooks: { mailFile: '/etc/enf/mail', private: true },
    metrics: { listen: { host: '127.0.0.1', port: 9_465 } },
    console: {
      listen: { host: '::', port: 443 },
      certificate: '/etc/enf/console.pem',
      key: '/etc/enf/console.key',
      origin: 'https://console.example',
      compat: true,
    },
    openid: {
      issuer: 'https://login.example/realm',
      clientId: 'enf',
      secretFile: '/etc/enf/secret',
      claim: 'email',
      domains: ['example.org'],
      domainClaim: 'hd',
      role: 'installer',
      name: 'Example',
    },
  });
  expect(parse(renderConfig(config))).toEqual(config);
});

test('devices of one host among several are told shorter heartbeats, and others none, unless it is said', () => {
  const told = (...lines: string[]) => heartbeats(parse(lines.join('\n')));
  const tunnel = (period: string) => `[tunnel]\nheartbeat-period = "${period}"\nheartbeat-timeout = "2s"`;
  const NODE = '[node]\nname = "a"';
  expect(told()).toBeUndefined();
  expect(told(NODE)).toEqual({ periodMs: 4_000, timeoutMs: 3_000 });
  expect(told(NODE, tunnel('auto'))).toEqual({ periodMs: 4_000, timeoutMs: 2_000 });
  expect(told(NODE, tunnel('off'))).toBeUndefined();
  expect(told(tunnel('auto'))).toBeUndefined();
  expect(told(tunnel('20s'))).toEqual({ periodMs: 20_000, timeoutMs: 2_000 });
});

test.each([
  ['identity', 'listen = "localhost:444"'],
  ['identity', 'listen = ":444"'],
  ['identity', 'listen = 444'],
  ['identity', 'processes = 0'],
  ['identity', 'processes = 65'],
  ['identity', 'max-connections = 1000001'],
  ['node', 'name = "A"'],
  ['node', 'name = "a-"'],
  ['node', 'name = 7'],
  ['node', 'address = "a.example"'],
  ['tunnel', 'threads = 17'],
  ['tunnel', 'connects-per-second = 9'],
  ['tunnel', 'connects-per-second = 1000001'],
  ['tunnel', 'heartbeat-period = "1999ms"'],
  ['tunnel', 'heartbeat-period = "301s"'],
  ['tunnel', 'heartbeat-period = 5'],
  ['tunnel', 'heartbeat-period = "on"'],
  ['tunnel', 'heartbeat-timeout = "999ms"'],
  ['tunnel', 'heartbeat-timeout = "off"'],
  ['tunnel', 'decommission = "no"'],
  ['est', 'listen = "localhost:9443"'],
  ['est', 'listen = 9443'],
  ['host', 'tun = "a/b"'],
  ['host', 'services = ["tcp/0"]'],
  ['host', 'services = "tcp/22"'],
  ['host', 'services = ["all", "tcp/22"]'],
  ['routes', 'bird-socket = "bird.ctl"'],
  ['routes', 'bird-socket = false'],
  ['places', 'database = "places.mmdb"'],
  ['hooks', 'mail-file = "mail"'],
  ['hooks', 'private = "yes"'],
  ['metrics', 'listen = "0.0.0.0:9465"'],
  ['console', 'origin = "http://console.example"'],
  ['console', 'origin = "https://console.example/path"'],
  ['openid', 'issuer = "http://login.example"'],
  ['openid', 'issuer = "https://login.example?x"'],
  ['openid', 'issuer = "login.example"'],
  ['openid', 'secret-file = "secret"'],
  ['openid', 'claim = ""'],
  ['openid', 'domains = ["Example.org"]'],
  ['openid', 'domains = ["@example.org"]'],
  ['openid', 'domains = "example.org"'],
  ['openid', 'domain-claim = "h d"'],
  ['openid', 'role = "host"'],
])('[%s] %s is refused, and the key is named', (section, line) => {
  const { code, message } = refused(() => parse(`[${section}]\n${line}\n`));
  expect(code).toBe('config.bad-value');
  expect(message).toContain(`/etc/enf/fabric.toml: ${section}.${line.split(' ')[0]}: expected `);
});

test('an unknown key is refused with the nearest name', () => {
  expect(refused(() => parse('[tunnel]\nthread = 1\n'))).toMatchObject({
    code: 'config.unknown-key',
    action: 'Did you mean key tunnel.threads?',
  });
});

test('the console without TLS is on loopback, and TLS takes a certificate and its key', () => {
  const check = (lines: string) => refused(() => checkConsole(parse(`[console]\n${lines}`).console));
  expect(check('listen = "[::]:8480"')).toMatchObject({ code: 'config.bad-console' });
  expect(check('certificate = "/a"')).toMatchObject({ code: 'config.bad-console' });
  expect(check('key = "/a"')).toMatchObject({ code: 'config.bad-console' });
  checkConsole(parse('[console]\nlisten = "127.0.0.1:8480"').console);
  checkConsole(parse('[console]\nlisten = "[::]:443"\ncertificate = "/a"\nkey = "/b"').console);
});

test('an OpenID issuer takes a client, an origin and a file with one line; domains are of e-mail addresses', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'enf-openid-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const secret = join(folder, 'secret');
  writeFileSync(secret, 'a secret & more\n');
  const ORIGIN = '[console]\norigin = "https://c.example"\n';
  const read = (lines: string, before = ORIGIN) =>
    readOpenId(parse(`${before}[openid]\nissuer = "https://login.example"\n${lines}`));
  const good = `client-id = "enf"\nsecret-file = "${secret}"\n`;
  expect(await read(good)).toEqual({
    ...{ issuer: new URL('https://login.example'), clientId: 'enf', secret: 'a secret & more' },
    ...{ claim: 'email', domains: [], role: 'auditor', name: 'login.example' },
  });
  expect(await readOpenId(parse(''))).toBeUndefined();
  expect(await read('client-id = "enf"')).not.toHaveProperty('secret');
  const bad = { code: 'config.bad-openid' };
  await expect(read('')).rejects.toMatchObject(bad);
  await expect(read(good, '')).rejects.toMatchObject(bad);
  await expect(read(`${good}claim = "sub"\ndomains = ["example.org"]`)).rejects.toMatchObject(bad);
  const google = (lines: string) =>
    readOpenId(parse(`${ORIGIN}[openid]\nissuer = "https://accounts.google.com"\n${good}${lines}`));
  await expect(google('domains = ["example.org"]')).rejects.toMatchObject(bad);
  expect(await google('domains = ["example.org"]\ndomain-claim = "hd"')).toMatchObject({ domainClaim: 'hd' });
  expect(await google('')).not.toHaveProperty('domainClaim');
  for (const text of ['', ' \n', 'two\nlines', 'ümlaut', 'x'.repeat(600)]) {
    writeFileSync(secret, text);
    await expect(read(good), text).rejects.toMatchObject(bad);
  }
  rmSync(secret);
  await expect(read(good)).rejects.toMatchObject({ code: expect.stringMatching(/^os\./) });
});

test('docs/fabric-config.md says about every key what the table says, and nothing else', () => {
  const text = readFileSync(new URL('../../../docs/fabric-config.md', import.meta.url), 'utf8');
  const documented = [...text.matchAll(/^\| `([a-z0-9.-]+)` \| (.+?) \| (.+?) \| (.+?) \|$/gm)].map((row) =>
    row.slice(1),
  );
  const known = Object.entries(SCHEMA).flatMap(([section, keys]) =>
    Object.entries(keys as Readonly<Record<string, Key<unknown>>>).map(([name, key]) => [
      `${section}.${name}`,
      key.type,
      `\`${key.default}\``,
      key.doc,
    ]),
  );
  expect(documented).toEqual(known);
});

test('less than all is served by a node with a name, and what is switched on is served', () => {
  const check = (text: string): void => checkServes(parse(text));
  const served = (duty: 'console' | 'tunnels', text: string): void => requireServed(parse(text).node, duty);
  check('');
  check('routes = { install = true }\nhost = { services = ["tcp/22"] }');
  check('node = { name = "a", serves = ["identity"] }\nest = { listen = "[::]:9443" }');
  check('node = { serves = ["console", "identity", "tunnels"] }');
  const cases: [string, RegExp][] = [
    [
      'node = { serves = ["identity", "tunnels"] }',
      /^node\.serves is identity, tunnels, and node\.name is empty/,
    ],
    [
      'node = { name = "a", serves = ["console"] }\nroutes = { install = true }',
      /routes\.install .* serves tunnels/,
    ],
    [
      'node = { name = "a", serves = ["identity"] }\nhost = { services = ["icmp"] }',
      /host\.services .* tunnels/,
    ],
    ['node = { name = "a", serves = ["identity"] }\ndns = { serve = true }', /dns\.serve .* tunnels/],
    ['node = { name = "a", serves = ["tunnels"] }\nest = { listen = "[::]:1" }', /est\.listen .* identity/],
  ];
  for (const [text, message] of cases)
    expect(refused(() => check(text))).toMatchObject({ code: 'config.bad-serves', message });
  served('console', '');
  expect(refused(() => served('console', 'node = { name = "a", serves = ["tunnels"] }'))).toMatchObject({
    code: 'config.bad-serves',
    message: /serve the console/,
  });
  expect(parse('node = { serves = ["console", "identity", "console"] }').node.serves).toEqual([
    'identity',
    'console',
  ]);
  for (const bad of ['[]', '["router"]', '"identity"'])
    expect(refused(() => parse(`[node]\nserves = ${bad}`))).toMatchObject({
      code: 'config.bad-value',
      message: expect.stringContaining('the words "identity", "tunnels" and "console"'),
    });
});

test('routes of tunnels are for a node with a name and a TUN device, in a table and under a number that nothing else uses', () => {
  const check = (text: string): void => checkRoutes(parse(text));
  check('');
  check('routes = { install = true }\nnode = { name = "a" }');
  check('host = { tun = "none" }');
  const cases: [string, RegExp][] = [
    ['routes = { install = true }', /node\.name is empty/],
    ['routes = { install = true }\nnode = { name = "a" }\nhost = { tun = "none" }', /host\.tun is "none"/],
  ];
  for (const [text, message] of cases)
    expect(refused(() => check(text))).toMatchObject({ code: 'config.bad-routes', message });
  for (const bad of [
    'table = 254',
    'table = 0',
    'table = 4294967296',
    'protocol = 12',
    'protocol = 0',
    'protocol = 256',
  ])
    expect(refused(() => parse(`[routes]\n${bad}`))).toMatchObject({
      code: 'config.bad-value',
      message: /^routes\.|routes\./,
    });
});
