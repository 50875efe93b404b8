import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { parseLibconfig } from '../../../agent/enftun/libconfig.ts';
import { placesOf } from '../../../agent/enftun/places.ts';
import { translate } from '../../../agent/enftun/settings.ts';
import { openStore } from '../../../agent/state/state.ts';
import { ecdsaSigner, generateP256, primitives } from '../../../crypto/primitives.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { serveControl } from '../../../os/net/control-socket.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { encodeBase64 } from '../../../protocol/identity/base64.ts';
import { identityCertificate } from '../../../protocol/identity/certificate.ts';
import { encodeEcPrivateKey, encodeTss2, parseTss2 } from '../../../protocol/identity/key-file.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';

import { createLongterm, loadLongterm } from '../../../tpm/longterm.ts';
import { freshTpm } from '../../tpm/fixture.ts';
import * as agents from '../agent.ts';
import { cli } from '../cli.ts';
import { temporaryFolder } from '../folders.ts';
import { type IdentityServer, identityServer } from '../identity-server.ts';
import { makeCertificates, startTestRouter } from '../router.ts';

let certificates: ReturnType<typeof makeCertificates>;
let authority: IdentityServer;
beforeAll(async () => {
  certificates = makeCertificates();
  authority = await identityServer();
});

/** How the key may be written; C xtt writes the second. */
const KEY_FORMS = {
  'sec1-pem': ['ec'],
  'sec1-der': ['ec', '-outform', 'DER'],
  'pkcs8-pem': ['pkcs8', '-topk8', '-nocrypt'],
  'pkcs8-der': ['pkcs8', '-topk8', '-nocrypt', '-outform', 'DER'],
} as const;
type KeyForm = keyof typeof KEY_FORMS;

const ADDRESS = 'fd00:e4f:1::7';

/** What an enftun with a key in a file has on its disk. */
async function enftun(conf = '', keyForm: KeyForm = 'sec1-pem') {
  const place = temporaryFolder();
  const { secret, publicKey } = generateP256();

  const certificate = await identityCertificate(
    primitives,
    parseIpv6(ADDRESS),
    publicKey,
    ecdsaSigner(secret),
    primitives.random(19),
  );
  const sec1 = encodeEcPrivateKey(secret, publicKey);
  const pem = `-----BEGIN EC PRIVATE KEY-----\n${encodeBase64(sec1)}\n-----END EC PRIVATE KEY-----\n`;
  mkdirSync(join(place, 'old'));
  writeFileSync(join(place, 'old/cert.der'), certificate);
  const key = execFileSync('openssl', [...KEY_FORMS[keyForm]], { input: pem, stdio: 'pipe' });
  writeFileSync(join(place, 'old/key.pem'), keyForm === 'sec1-der' ? sec1 : key);
  writeFileSync(join(place, 'old/root.pem'), certificates.root);
  const file = join(place, 'old/enf0.conf');
  const write = (text: string): void => writeFileSync(file, text);
  write(`remote : { hosts = [ "127.0.0.1" ]; ca_cert_file = "old/root.pem" }
    route : { prefixes = [ "2607:8f80:8000::/36" ]; fwmark = 0 }
    identity : { cert_file = "old/cert.der"; key_file = "old/key.pem"; }
    ${conf}`);
  const target = join(place, 'agent.toml');
  const state = join(place, 'state');
  const take = (...more: string[]) =>
    cli('import-enftun', file, '--base', place, '--config', target, '--state', state, ...more);
  const record = async () => (await openStore(await openFolder(state))).record;
  return { place, file, write, target, state, take, record, certificate, sec1 };
}

test('[H-D1] imports configuration, certificate, key and root; a second time changes nothing', async () => {
  for (const form of Object.keys(KEY_FORMS) as KeyForm[]) {
    const old = await enftun('', form);
    for (let i = 0; i < 2; i++) {
      const { code, out, err } = await old.take();
      expect([code, err]).toEqual([0, '']);
      expect(out).toContain(`${ADDRESS} is imported`);
      expect(await old.record()).toEqual({
        identity: {
          address: ADDRESS,
          certificate: toHex(old.certificate),
          key: { kind: 'software', der: toHex(old.sec1) },
        },
      });
    }
    const config = parseConfig(readFileSync(old.target, 'utf8'), 'x');
    expect(config.remote).toMatchObject({
      hosts: ['127.0.0.1'],
      tunnelPort: 443,
      tlsRoot: join(old.place, 'tls-root.pem'),
      tlsName: '*',
    });
    expect(config.tunnel).toMatchObject({ heartbeatPeriod: 300_000, heartbeatTimeout: 10_000, fwmark: 0 });
    expect(config.route.prefixes.map(({ length }) => length)).toEqual([36]);
    expect([config.identity.mode, config.state.directory]).toEqual(['software', old.state]);
    expect(readFileSync(join(old.place, 'tls-root.pem'), 'utf8')).toBe(certificates.root);
  }
});

test('[H-D1] a second instance gets places of its own, whatever agent runs beside it', async () => {
  const [first, second] = [await enftun(), await enftun()];
  const config = (path: string) => parseConfig(readFileSync(path, 'utf8'), path);
  await first.take();
  const other = await serveControl(config(first.target).control.socket, () => ({ situation: 'online' }));
  onTestFinished(() => other.close());

  const target = join(first.place, 'lab.toml');
  const { code, err } = await cli(
    ...['import-enftun', second.file, '--base', second.place, '--config', target, '--state', second.state],
  );
  expect([code, err]).toEqual([0, '']);
  expect(config(target)).toMatchObject({
    tunnel: { device: 'enf-lab' },
    state: { directory: second.state },
    control: { socket: '/run/enf-agent-lab/control.sock' },
    remote: { tlsRoot: join(first.place, 'lab-tls-root.pem') },
    identity: { credentialDir: '/etc/enf/credential-lab' },
  });
  expect((await second.record()).identity?.address).toBe(ADDRESS);
});

test('[H-D1] the places of an instance are those of its unit', () => {
  const unit = readFileSync(
    new URL('../../../packaging/agent/systemd/enf-agent@.service', import.meta.url),
    'utf8',
  ).replaceAll('%i', 'enf1');
  const places = placesOf('/etc/enf/enf1.toml', undefined);
  expect(unit).toContain('ConditionPathExists=/etc/enf/enf1.toml');
  expect(unit).toContain(`RequiresMountsFor=${places.state}\n`);
  expect(places.socket).toBe(`/run/${/^RuntimeDirectory=(.*)$/m.exec(unit)?.[1]}/control.sock`);
  expect([places.unit, places.device]).toEqual(['enf-agent@enf1', 'enf1']);
  expect(placesOf('/etc/enf/agent.toml', undefined)).toMatchObject({
    unit: 'enf-agent',
    state: undefined,
    socket: undefined,
  });
});

test('the tunnel comes up with it: same key, same address, no handshake', async () => {
  const old = await enftun();
  await old.take();
  const router = await startTestRouter(certificates);
  const agent = agents.boot({
    state: old.state,
    tunnelPort: router.port,
    identityPort: 1,
    identity: 'mode = "software"\ncredential-dir = "/nowhere"',
    remote: `tls-root = "${join(old.place, 'tls-root.pem')}"\ntls-name = "*"`,
  });
  await agent.online();
  expect(agent.driver.situation()).toMatchObject({ goal: { address: ADDRESS } });
  expect(router.clientKeys.map(toHex)).toEqual([toHex(old.sec1.slice(56))]);
  expect([agent.effects.facts().handshakes, authority.devices.size]).toEqual([0, 0]);
});

test('[H-C11] a key in a TPM stays there, and one that power cuts may lock is told of', async () => {
  const { tpm } = await freshTpm();
  const { pem } = await createLongterm(tpm);
  const key = await loadLongterm(tpm, pem);
  const old = await enftun('tun : { dev = "enf9"; }');

  const certificate = await identityCertificate(
    primitives,
    parseIpv6(ADDRESS),
    key.publicKey,
    key.sign,
    primitives.random(19),
  );
  await key.close();
  writeFileSync(join(old.place, 'old/cert.der'), certificate);
  writeFileSync(join(old.place, 'old/key.pem'), pem);
  const { code, out } = await old.take('--json');
  expect([code, JSON.parse(out)]).toMatchObject([
    0,
    { address: ADDRESS, mode: 'tpm', written: true, notes: [expect.stringContaining('/dev/tpmrm0')] },
  ]);
  expect((await old.record()).identity).toMatchObject({ key: { kind: 'tpm', pem } });
  // The C programs' template differs in one bit.
  const { parent, publicBlob, privateBlob } = parseTss2(pem);
  publicBlob[8]! &= ~0x04;
  writeFileSync(join(old.place, 'old/key.pem'), encodeTss2(parent, publicBlob, privateBlob));
  expect(JSON.parse((await old.take('--json', '--dry-run')).out).notes).toContainEqual(
    expect.stringContaining('failed password'),
  );
  const config = parseConfig(readFileSync(old.target, 'utf8'), 'x');
  expect([config.tpm.tcti, config.tunnel.device]).toEqual(['device:/dev/tpmrm0', 'enf9']);
});

test('the default route of enftun becomes a lockdown', async () => {
  const old = await enftun();
  old.write(`remote : { hosts = [ "127.0.0.1" ]; ca_cert_file = "old/root.pem" }
    route : { prefixes = [ "default" ]; trusted_interfaces = [ "eth1" ] }
    identity : { cert_file = "old/cert.der"; key_file = "old/key.pem"; ip_file = "x" }`);
  const { code, out } = await old.take();
  expect([code, out]).toEqual([0, expect.stringMatching(/lockdown[\s\S]*ip_file/)]);
  expect(parseConfig(readFileSync(old.target, 'utf8'), 'x')).toMatchObject({
    route: { mode: 'lockdown', table: 2097, trustedInterfaces: ['eth1'] },
    tunnel: { fwmark: 363 },
  });
});

test('a dry run writes nothing', async () => {
  const old = await enftun();
  const { code, out } = await old.take('--dry-run');
  expect(code).toBe(0);
  expect(out).toContain('hosts = ["127.0.0.1"]');
  expect([existsSync(old.target), existsSync(old.state)]).toEqual([false, false]);
});

describe('refused, and nothing written', () => {
  const refused = async (old: Awaited<ReturnType<typeof enftun>>, code: string, said: RegExp | string) => {
    const { code: exit, err } = await old.take();
    expect([exit, err]).toEqual([1, expect.stringContaining(`[${code}]`)]);
    expect(err).toMatch(said);
    expect(existsSync(old.target)).toBe(false);
  };

  test('a configuration that is none', async () => {
    const old = await enftun();
    old.write('hosts = [');
    await refused(old, 'enftun.bad-config', 'line 1');
  });

  test('an identity that is there already', async () => {
    const old = await enftun();
    const store = await openStore(await openFolder(old.state));
    await store.save({
      identity: { address: 'fd00::1', certificate: 'aa', key: { kind: 'software', der: 'bb' } },
    });
    await refused(old, 'enftun.has-identity', 'fd00::1');
    expect((await old.record()).identity!.address).toBe('fd00::1');
  });

  test('an existing configuration of enf-agent', async () => {
    const old = await enftun();
    writeFileSync(old.target, '# mine');
    const { code, err } = await old.take();
    expect([code, err]).toEqual([1, expect.stringContaining('[enftun.in-the-way]')]);
    expect([readFileSync(old.target, 'utf8'), existsSync(old.state)]).toEqual(['# mine', false]);
  });

  test('[H-D1] while the agent of this very instance runs', async () => {
    const old = await enftun();
    const running = await serveControl(join(old.state, 'control.sock'), () => ({ situation: 'online' }));
    onTestFinished(() => running.close());
    await refused(old, 'agent.running', 'systemctl stop enf-agent');
    expect((await old.record()).identity).toBeUndefined();
  });

  test('[H-D1] DER that is no key', async () => {
    const old = await enftun();
    for (const [bytes, code] of [
      [old.sec1.subarray(0, 100), 'identity.bad-key-file'],
      [old.certificate, 'identity.bad-key-file'],
      [Uint8Array.of(1, 2, 3), 'enftun.cannot-take-over'],
      [new Uint8Array(), 'enftun.cannot-take-over'],
    ] as const) {
      writeFileSync(join(old.place, 'old/key.pem'), bytes);
      await refused(old, code, 'key');
    }
  });

  test('a key of another certificate', async () => {
    const [old, other] = [await enftun(), await enftun()];
    writeFileSync(join(old.place, 'old/key.pem'), readFileSync(join(other.place, 'old/key.pem')));
    await refused(old, 'enftun.key-mismatch', /key\.pem is not the key of the certificate .*cert\.der/);
  });

  test('an encrypted key, a key on another curve, no key at all', async () => {
    const openssl = (...args: string[]) => execFileSync('openssl', args);
    for (const [key, code] of [
      [
        openssl(
          'genpkey',
          '-algorithm',
          'EC',
          '-pkeyopt',
          'ec_paramgen_curve:P-256',
          '-aes256',
          '-pass',
          'pass:hunter2',
        ),
        'identity.bad-key-file',
      ],
      [
        openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'),
        'identity.bad-key-file',
      ],
      ['nothing', 'enftun.cannot-take-over'],
    ] as const) {
      const old = await enftun();
      writeFileSync(join(old.place, 'old/key.pem'), key);
      await refused(old, code, 'key');
    }
  });

  test('a certificate that is none, and files that are not there', async () => {
    const old = await enftun();
    writeFileSync(join(old.place, 'old/cert.der'), 'nothing');
    await refused(old, 'identity.bad-certificate', 'X.509');
    const bare = await enftun();
    bare.write(
      'route : { prefixes = [ "fd00::/8" ]; } identity : { cert_file = "gone"; key_file = "gone"; }',
    );
    await refused(bare, 'os.no-file', 'gone does not exist');
  });
});

describe('what an enftun configuration says in our terms', () => {
  const IDENTITY = 'cert_file = "c"; key_file = "k";';
  const of = (text: string, identity = IDENTITY) =>
    translate(parseLibconfig(`${text} identity : { ${identity} };`));

  test('nothing but the identity: enftun’s defaults', () => {
    expect(of('')).toEqual({
      settings: {
        remote: { hosts: ['23.147.128.112'], order: 'listed' },
        identity: {},
        tpm: { tcti: 'device:/dev/tpmrm0' },
        tunnel: { 'heartbeat-period': '300000ms', 'heartbeat-timeout': '10000ms', fwmark: 363 },
        route: { mode: 'lockdown' },
      },
      files: { certificate: 'c', key: 'k', root: '/etc/enftun/enf.cacert.pem' },
      notes: [expect.stringContaining('lockdown'), expect.stringContaining('/dev/tpmrm0')],
    });
  });

  test('everything', () => {
    const { settings, notes } = of(
      `tun : { dev = "enf1"; dev_node = "/dev/net/tun"; ip_set = false; }
       remote : { hosts = [ "a", "b" ]; port = "4443"; heartbeat_period = 60000; heartbeat_timeout = 5000; ca_cert_file = "r" }
       route : { fwmark = 7; table = 2000; prefixes = [ "fd00::/8", "fd01::1" ]; trusted_interfaces = [ "eth1" ]; allow_ipv4 = true; ra_period = 30000 }`,
      `${IDENTITY} ip_file = "/run/ip"; xtt : { remote_port = "4444"; basename = "xaprcnet" };
       tpm : { tcti = "socket"; socket_host = "tpm"; socket_port = "2322"; hierarchy = 0x4000000C; parent = 0x81000002 }`,
    );
    expect(settings).toEqual({
      remote: { hosts: ['a', 'b'], order: 'listed', 'tunnel-port': 4443, 'identity-port': 4444 },
      identity: { basename: 'xaprcnet' },
      tpm: { tcti: 'mssim:host=tpm,port=2322' },
      tunnel: {
        device: 'enf1',
        'heartbeat-period': '60000ms',
        'heartbeat-timeout': '5000ms',
        fwmark: 7,
        'assign-address': false,
      },
      route: {
        prefixes: ['fd00::/8', 'fd01::1/128'],
        table: 2000,
        'trusted-interfaces': ['eth1'],
        'allow-ipv4': true,
      },
      lan: { enabled: true, 'default-route': false, 'advertise-period': '30000ms' },
    });
    expect(notes).toEqual([expect.stringContaining('ip_file')]);
  });

  for (const [name, text, identity, said] of [
    ['no key', '', 'cert_file = "c";', /identity\.key_file is not set/],
    [
      'a password of the key',
      '',
      `${IDENTITY} tpm : { password = "hunter2" };`,
      /identity\.tpm\.password has no counterpart/,
    ],
    ['another TCTI', '', `${IDENTITY} tpm : { tcti = "abrmd" };`, /"abrmd" is neither/],
    ['a named port', 'remote : { port = "https" }', IDENTITY, /"https" is not a number/],
    ['another TUN node', 'tun : { dev_node = "/dev/tun" }', IDENTITY, /"\/dev\/tun" is always/],
    ['hosts that are no list', 'remote : { hosts = "a" }', IDENTITY, /remote\.hosts is not a list of text/],
    ['a section that is no group', 'tun = 1', IDENTITY, /tun is not a group/],
  ] as const) {
    test(`${name} cannot be imported`, () => {
      const attempt = () => of(text, identity);
      expect(attempt).toThrow(
        expect.objectContaining({ code: 'enftun.cannot-take-over', message: expect.stringMatching(said) }),
      );
      expect(attempt).not.toThrow(/hunter2/);
    });
  }
});
