import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Config, parseConfig } from '../../../../agent/config/config.ts';
import { CHECKS } from '../../../../agent/doctor/checks/all.ts';
import type { Probes } from '../../../../agent/doctor/probes.ts';
import type { Outcome } from '../../../../cli/check.ts';
import { ipv6Disabled } from '../../../../os/linux/ipv6.ts';
import { Failure } from '../../../../protocol/failure.ts';
import { fakeProbes, HEALTHY_CONFIG } from '../../probes.ts';

const config = (more: string, base = HEALTHY_CONFIG): Config => parseConfig(`${base}\n${more}`, 'test');
const NAMED = config('[dns]\nzone = "plant.internal"');
const HOSTS = '[remote]\nhosts = ["fabric.example", "other.example"]';
const PKI = config('[identity]\nmode = "pki"\ncertificate = "/c"\nkey = "/k"');
const ENROLLED = config('[identity]\nmode = "pki"');
const SOFTWARE = config('[identity]\nmode = "software"\ncredential-dir = "/c"');
const PROXIED = config('proxy = "http://192.0.2.9:3128"', HOSTS);
const NAMED_PROXY = config('proxy = "http://proxy.example:3128"', HOSTS);
/** One router behind the records of a service, on a port of its own. */
const BY_SERVICE = {
  config: config('', '[remote]\nhosts = ["_enf._tcp.example.org"]'),
  lookup: async (name: string) => (name.startsWith('_enf.') ? ['1 0 8443 a.example.org.'] : ['192.0.2.7']),
};
const loginWanted = async (): Promise<never> => {
  throw new Failure('net.proxy-login', 'operator', 'it wants a password', { action: 'Give it.' });
};
const unreachable = async (): Promise<never> => {
  throw new Failure('net.unreachable', 'retry', 'cannot reach it');
};
const refused = async (): Promise<never> => {
  throw new Failure('os.not-readable', 'operator', 'cannot read it', { action: 'Read it.' });
};
const busy = async (): Promise<never> => {
  throw new Failure('tpm.busy', 'retry', 'another program holds it');
};
const absent = async (): Promise<never> => {
  throw new Failure('tpm.absent', 'retry', 'no TPM', { action: 'Switch it on.' });
};
const healthy = fakeProbes();
const capabilities = await healthy.capabilities();
const inspection = await healthy.inspection();
const state = await healthy.state();
const file = { character: true, mode: 0o660, owner: 'tss', group: 'tss', usable: true };
const answer = { connectMs: 1, handshakeMs: 2 };
const map = inspection.maps[0]!;
const SEALED = { ...map, daaKey: { handle: 1, sealed: true as const, point: new Uint8Array(65) } };

const GATEWAY = config('[delegation]\ninterface = "eth1"');
const DELEGATED = { prefix: 'fd00:9::/64', lan: 'eth1', failure: null };
const running = (await healthy.status())!;
const trouble = {
  ...{ code: '', message: 'the interface enf0 was renamed to other0', action: 'Find the program.' },
  ...{ since: '', attempts: 1, nextTry: null },
};

/** Each check: what is different from a healthy machine, its outcome, and its message. */
const TABLE: Record<string, [Partial<Probes>, Outcome, RegExp][]> = {
  clock: [
    [{}, 'ok', /2030/],
    [{ wallMs: () => 0, state: async () => ({ ...state, lastGoodMs: undefined }) }, 'failed', /1970.*built/],
    [{ wallMs: () => healthy.wallMs() - 3 * 86_400_000 }, 'failed', /last time the tunnel was up/],
    [{ clockSynchronised: async () => false }, 'warning', /time server/],
    [{ clockSynchronised: async () => undefined, state: refused }, 'ok', /2030/],
  ],
  disk: [
    [{}, 'ok', /free/],
    [
      { freeSpace: async () => ({ freeBytes: 5_000_000, freeFiles: 99, readOnly: false }) },
      'warning',
      /4882 KB/,
    ],
    [{ freeSpace: async () => ({ freeBytes: 1_000, freeFiles: 99, readOnly: false }) }, 'failed', /0 KB/],
    [
      { freeSpace: async () => ({ freeBytes: 1e9, freeFiles: 0, readOnly: false }) },
      'failed',
      /no more files/,
    ],
    [
      { freeSpace: async () => ({ freeBytes: 1e9, freeFiles: undefined, readOnly: true }) },
      'failed',
      /read-only/,
    ],
    [{ freeSpace: refused }, 'failed', /cannot read it/],
  ],
  state: [
    [{}, 'ok', /fd00::7/],
    [{ config: ENROLLED }, 'ok', /no identity yet/],
    [
      {
        config: ENROLLED,
        state: async () => ({
          ...state,
          certificate: { subject: '', address: 'fd00::8', notBefore: '', notAfter: '', key: 'file' },
        }),
      },
      'ok',
      /identity fd00::8/,
    ],
    [{ state: async () => ({ ...state, unfinished: true }) }, 'ok', /not finished/],
    [
      { state: async () => ({ ...state, decommissioned: true, address: undefined, keyKind: undefined }) },
      'ok',
      /out of service/,
    ],
    [{ state: async () => ({ ...state, generation: undefined }) }, 'skipped', /no identity/],
    [
      { state: async () => ({ ...state, generation: undefined, bad: ['state-0', 'state-1'] }) },
      'failed',
      /state-1/,
    ],
    [{ state: async () => ({ ...state, bad: ['state-1'] }) }, 'warning', /state-1.*intact copy/],
    [{ state: async () => ({ ...state, quarantined: ['state-0.bad-1'] }) }, 'warning', /bad-1/],
    [{ state: async () => ({ ...state, keyKind: 'software' }) }, 'failed', /mode "software"/],
    [{ state: refused }, 'failed', /cannot read it/],
  ],
  tun: [
    [{}, 'ok', /net\/tun/],
    [{ deviceFile: async () => undefined }, 'failed', /missing/],
    [{ deviceFile: async () => ({ ...file, character: false }) }, 'failed', /not a device/],
    [{ deviceFile: async () => ({ ...file, usable: false }) }, 'failed', /may not be used by enf/],
  ],
  ipv6: [
    [{}, 'ok', /enabled/],
    [{ ipv6Disabled: () => ipv6Disabled('enf0', async () => undefined) }, 'failed', /without IPv6/],
    [{ ipv6Disabled: () => ipv6Disabled('enf0', async () => '1') }, 'failed', /disabled for enf0/],
  ],
  forwarding: [
    [{}, 'ok', /does not forward/],
    [{ sysctl: async () => undefined }, 'skipped', /without IPv6/],
    [{ sysctl: async () => '1' }, 'warning', /eth0 ignores router advertisements/],
    [{ sysctl: async (path) => (path.includes('accept_ra') ? '2' : '1') }, 'ok', /keeps/],
    [{ sysctl: async () => '1', lookup: async () => ['192.0.2.1'] }, 'ok', /keeps/],
  ],
  delegation: [
    [{}, 'skipped', /names no LAN/],
    [{ config: GATEWAY, sysctl: async () => undefined }, 'failed', /no interface eth1/],
    [
      { config: GATEWAY, sysctl: async (path) => (path.includes('/all/') ? '0' : '1') },
      'failed',
      /forwards no IPv6/,
    ],
    [{ config: GATEWAY, sysctl: async () => '1' }, 'ok', /no prefix is delegated/],
    [
      {
        config: GATEWAY,
        sysctl: async () => '1',
        status: async () => ({ ...running, delegation: DELEGATED }),
      },
      'ok',
      /fd00:9::\/64 is announced on eth1/,
    ],
    [
      {
        config: GATEWAY,
        sysctl: async () => '1',
        status: async () => ({
          ...running,
          delegation: {
            ...DELEGATED,
            failure: { code: 'os.no-raw-socket', message: 'not permitted', action: null },
          },
        }),
      },
      'failed',
      /incomplete on eth1: not permitted/,
    ],
  ],
  'foreign-managers': [
    [{}, 'ok', /do not manage enf0/],
    [{ foreignManagers: async () => [] }, 'ok', /no network manager/],
    [
      { foreignManagers: async () => [{ name: 'systemd-networkd', manages: true }] },
      'failed',
      /systemd-networkd manages enf0/,
    ],
    [
      { foreignManagers: async () => [{ name: 'NetworkManager', manages: true }] },
      'failed',
      /NetworkManager/,
    ],
    ...(['os.interface-changed', 'os.tun-lost'] as const).map((code): [Partial<Probes>, Outcome, RegExp] => [
      { status: async () => ({ ...running, trouble: { ...trouble, code } }) },
      'failed',
      /other0/,
    ]),
    [{ status: async () => ({ ...running, trouble: { ...trouble, code: 'net.timeout' } }) }, 'ok', /enf0/],
  ],
  'tpm-device': [
    [{}, 'ok', /tpmrm0/],
    [{ config: SOFTWARE }, 'skipped', /files/],
    [{ config: PKI }, 'skipped', /files/],
    [{ config: ENROLLED }, 'skipped', /files/],
    [{ config: config('[identity]\nmode = "pki"\nkey-in = "tpm"') }, 'ok', /tpmrm0/],
    [
      {
        config: ENROLLED,
        state: async () => ({
          ...state,
          certificate: { subject: '', address: '', notBefore: '', notAfter: '', key: 'tpm' },
        }),
      },
      'ok',
      /tpmrm0/,
    ],
    [{ config: config('[tpm]\ntcti = "swtpm:port=1"') }, 'skipped', /not a device file/],
    [{ deviceFile: async () => undefined, tpmDevices: async () => [] }, 'failed', /found: no TPM/],
    [
      { deviceFile: async () => undefined, tpmDevices: async () => ['/dev/tpm1', '/dev/tpmrm1'] },
      'failed',
      /tpmrm1/,
    ],
    [
      { deviceFile: async () => undefined, tpmDevices: async () => ['/dev/tpmrm1', '/dev/tpmrm2'] },
      'failed',
      /tpmrm1, \/dev\/tpmrm2 do/,
    ],
    [{ deviceFile: async () => ({ ...file, character: false }) }, 'failed', /not a device/],
    [
      { deviceFile: async () => ({ ...file, usable: false }) },
      'failed',
      /\(tss:tss, mode 0660\).*by enf \(groups enf, dialout\)/,
    ],
    [{ config: config('[tpm]\ntcti = "device:/dev/tpm0"') }, 'warning', /no resource manager/],
  ],
  'tpm-capabilities': [
    [{}, 'ok', /IBM/],
    [{ config: SOFTWARE }, 'skipped', /files/],
    [{ capabilities: absent }, 'failed', /tpm\.absent/],
    [
      { capabilities: async () => ({ ...capabilities, bnP256: false }) },
      'failed',
      /\(IBM, firmware [\d.]+\) lacks the curve BN_P256/,
    ],
    [
      {
        capabilities: async () => ({ ...capabilities, ecdaa: false }),
        inspection: async () => ({ parents: [], maps: [SEALED] }),
      },
      'ok',
      /IBM, firmware [\d.]+, without the algorithm ECDAA; .*resident: no/,
    ],
    [
      {
        capabilities: async () => ({ ...capabilities, ecdaa: false }),
        inspection: async () => ({
          parents: [],
          maps: [{ ...SEALED, daaKey: { ...SEALED.daaKey, fault: 'no point' } }],
        }),
      },
      'failed',
      /tpm\.no-ecdaa|lacks the algorithm ECDAA/,
    ],
    [{ capabilities: busy }, 'skipped', /running agent uses/],
    [{ capabilities: busy, status: async () => undefined }, 'failed', /tpm\.busy/],
  ],
  'tpm-lockout': [
    [{}, 'ok', /0 of 32/],
    [{ config: SOFTWARE }, 'skipped', /files/],
    [
      { capabilities: async () => ({ ...capabilities, lockout: { counter: 3, limit: 32, seconds: 7200 } }) },
      'warning',
      /3 of 32/,
    ],
    [{ capabilities: async () => ({ ...capabilities, lockedOut: true }) }, 'failed', /locked out.*7200 s/],
    [{ capabilities: absent }, 'skipped', /see tpm-capabilities/],
    [{ capabilities: busy }, 'skipped', /running agent/],
  ],
  'nv-objects': [
    [{}, 'ok', /platform/],
    [{ inspection: async () => ({ parents: [], maps: [SEALED] }) }, 'ok', /^sealed secret of the group key/],
    [{ config: SOFTWARE }, 'skipped', /files/],
    [
      { inspection: async () => ({ parents: [], maps: [{ ...map, objects: [] }] }) },
      'failed',
      /no gpk, credential/,
    ],
    [
      { inspection: async () => ({ parents: [], maps: [{ hierarchy: 'owner', objects: map.objects }] }) },
      'failed',
      /owner: no the group key/,
    ],
    [
      {
        inspection: async () => ({
          parents: [],
          maps: [{ ...map, daaKey: { handle: 1, fault: 'it lacks a thing' } }],
        }),
      },
      'failed',
      /it lacks a thing/,
    ],
    [
      {
        inspection: async () => ({
          parents: [],
          maps: [{ ...map, objects: map.objects.filter(({ name }) => name !== 'tlsRoot') }],
        }),
      },
      'warning',
      /no TLS root/,
    ],
    [{ inspection: absent }, 'failed', /tpm\.absent/],
    [{ capabilities: absent }, 'skipped', /see tpm-capabilities/],
  ],
  credential: [
    [{}, 'ok', /verified/],
    [{ config: SOFTWARE, membership: async () => true }, 'ok', /verified/],
    [{ membership: async () => false }, 'failed', /do not belong together/],
    [{ config: PKI, membership: refused }, 'ok', /CN=pump for fdfd::1, until 2030-03-01/],
    [{ config: PKI, wallMs: () => Date.parse('2030-02-20') }, 'warning', /until 2030-03-01/],
    [{ config: PKI, wallMs: () => Date.parse('2030-03-01') }, 'failed', /has expired/],
    [{ config: ENROLLED }, 'ok', /its key in a file/],
    [
      { config: PKI, certificate: async () => ({ ...(await healthy.certificate()), key: 'token' as const }) },
      'ok',
      /its key in a PKCS#11 token/,
    ],
    [
      {
        config: ENROLLED,
        status: async () => ({ ...running, rotation: { next: '2030-02-01', failure: null } }),
      },
      'ok',
      /renewed 2030-02-01/,
    ],
    [
      {
        config: ENROLLED,
        status: async () => ({
          ...running,
          rotation: { next: '2030-02-01', failure: { code: 'est.refused', message: 'no' } },
        }),
      },
      'warning',
      /the last renewal has failed: no \[est.refused\]/,
    ],
    [{ config: PKI, certificate: refused }, 'failed', /cannot read it/],
    [{ config: SOFTWARE, membership: refused }, 'failed', /cannot read it/],
    [{ membership: absent }, 'failed', /tpm\.absent/],
    [{ capabilities: absent }, 'skipped', /see tpm-capabilities/],
    [{ membership: busy }, 'skipped', /running agent/],
  ],
  dns: [
    [{}, 'ok', /fabric\.example: 2001:db8::1, 192\.0\.2\.1/],
    [{ config: config('', '[remote]\nhosts = ["192.0.2.1", "2001:db8::1"]') }, 'skipped', /literal/],
    [{ config: PROXIED }, 'skipped', /literal/],
    [{ config: NAMED_PROXY, lookup: async () => ['192.0.2.9'] }, 'ok', /^proxy\.example: 192\.0\.2\.9$/],
    [{ config: NAMED_PROXY, lookup: unreachable }, 'failed', /no address for proxy\.example/],
    [{ lookup: unreachable }, 'failed', /no address for fabric\.example/],
    [BY_SERVICE, 'ok', /^a\.example\.org: 192\.0\.2\.7$/],
    [{ ...BY_SERVICE, lookup: unreachable }, 'failed', /no address for _enf\._tcp\.example\.org/],
    [
      { lookup: unreachable, config: config('', '[remote]\nhosts = ["fabric.example", "192.0.2.1"]') },
      'warning',
      /no address for fabric\.example/,
    ],
  ],
  names: [
    [{}, 'skipped', /dns\.zone is empty/],
    [{ config: NAMED }, 'ok', /^fd00:1::1 is asked for names in plant\.internal$/],
    [{ config: NAMED, linkNames: async () => ({ servers: [], domains: [] }) }, 'warning', /nobody is asked/],
    [
      { config: NAMED, linkNames: async () => ({ servers: ['fd00:1::1'], domains: ['~x.example'] }) },
      'warning',
      /nobody is asked/,
    ],
    [{ config: NAMED, linkNames: refused }, 'warning', /cannot read it \[os\.not-readable\]/],
  ],
  route: [
    [{}, 'ok', /via fe80::1 on eth0/],
    [
      { route: async (address) => (address.includes(':') ? undefined : { device: 'eth0' }) },
      'ok',
      /the link on eth0/,
    ],
    [{ route: async () => undefined }, 'failed', /no route/],
    [{ lookup: unreachable }, 'skipped', /no address/],
  ],
  proxy: [
    [{}, 'skipped', /none/],
    [{ config: PROXIED }, 'ok', /http:\/\/192\.0\.2\.9:3128 connects to fabric\.example port 443/],
    [{ config: PROXIED, connect: loginWanted }, 'failed', /net\.proxy-login/],
    [
      { config: PROXIED, connect: async (host) => (host === 'fabric.example' ? loginWanted() : 1) },
      'ok',
      /other\.example/,
    ],
  ],
  ports: [
    [{}, 'ok', /443 and 444/],
    [{ connect: unreachable }, 'failed', /port 443/],
    [BY_SERVICE, 'ok', /^8443 and 444/],
    [{ ...BY_SERVICE, connect: unreachable }, 'failed', /port 8443 of 192\.0\.2\.7/],
    [{ connect: async (_, port) => (port === 443 ? 1 : unreachable()) }, 'warning', /port 444/],
    [
      {
        connect: async (_, port) => (port === 443 ? 1 : unreachable()),
        state: async () => ({ ...state, address: undefined }),
      },
      'failed',
      /port 444/,
    ],
    [{ connect: async (address) => (address.includes(':') ? unreachable() : 1) }, 'ok', /443/],
    [{ lookup: unreachable }, 'skipped', /no address/],
  ],
  tls: [
    [{}, 'ok', /is a router of this fabric/],
    [{ tls: unreachable }, 'skipped', /no router/],
    [{ tls: refused }, 'failed', /cannot read it/],
    [{ tls: absent }, 'skipped', /root is in the TPM/],
    [{ tls: async () => ({ ...answer, verdict: 'dated', reason: 'CERT_HAS_EXPIRED' }) }, 'failed', /EXPIRED/],
    [{ tls: async () => ({ ...answer, verdict: 'foreign', issuer: 'Hotel CA' }) }, 'failed', /Hotel CA/],
    [{ tls: async () => ({ ...answer, verdict: 'broken', reason: 'EOF' }) }, 'failed', /no handshake.*EOF/],
    [
      {
        tls: async (address) => ({
          ...answer,
          verdict: address.includes(':') ? ('broken' as const) : ('trusted' as const),
        }),
      },
      'ok',
      /192\.0\.2\.1 is a router of this fabric/,
    ],
  ],
  'captive-portal': [
    [{}, 'ok', /nothing intercepts/],
    [{ lookup: unreachable }, 'skipped', /no address/],
    [{ tls: async () => ({ ...answer, verdict: 'foreign', issuer: 'Hotel CA' }) }, 'failed', /Hotel CA/],
    [{ http: async () => ({ status: 511 }) }, 'failed', /511/],
    [{ config: PROXIED, lookup: unreachable, http: async () => ({ status: 511 }) }, 'ok', /TLS/],
    [{ http: async () => ({ status: 302, redirectsTo: 'login.hotel' }) }, 'warning', /login\.hotel/],
    [{ http: async () => ({ status: 301, redirectsTo: 'fabric.example' }) }, 'ok', /nothing/],
    [{ tls: refused, http: async () => ({ status: 200 }) }, 'ok', /nothing/],
  ],
  'path-mtu': [
    [{}, 'ok', /full-size packets reach/],
    [{ route: async () => ({ device: 'eth0', mtu: 1300 }) }, 'ok', /path MTU 1300/],
    [
      { tls: async (_, __, large) => ({ ...answer, verdict: large ? 'broken' : 'trusted' }) },
      'failed',
      /full-size ones do not/,
    ],
    [
      { tls: async (_, __, large) => (large ? unreachable() : { ...answer, verdict: 'foreign' as const }) },
      'failed',
      /full-size ones do not/,
    ],
    [{ tls: unreachable }, 'skipped', /no router/],
    [{ tls: async () => ({ ...answer, verdict: 'broken' }) }, 'skipped', /no router/],
  ],
};

/** Requirements that a check answers for. */
const ANSWERS: Record<string, string> = {
  clock: '[C-4] ',
  'tpm-device': '[C-24] ',
  'tpm-lockout': '[C-26] ',
  tun: '[C-15] ',
  ipv6: '[C-15] ',
  'path-mtu': '[C-12] ',
  'captive-portal': '[C-9] ',
  proxy: '[C-9] ',
  'foreign-managers': '[C-11] [H-C7] ',
};

for (const check of CHECKS) {
  describe(`${ANSWERS[check.id] ?? ''}${check.id}`, () => {
    for (const [change, outcome, message] of TABLE[check.id]!) {
      test(`${outcome}: ${message.source}`, async () => {
        const finding = await check.run(fakeProbes(change));
        expect(finding).toMatchObject({ outcome, message: expect.stringMatching(message) });
        expect(finding.remedy !== undefined, 'what to do, where there is something to do').toBe(
          outcome === 'warning' ||
            (outcome === 'failed' && !/cannot reach it|holds it/.test(finding.message)),
        );
      });
    }
  });
}

test('each check was tried with everything it may find', () => {
  expect(Object.keys(TABLE).sort()).toEqual(CHECKS.map(({ id }) => id).sort());
  for (const rows of Object.values(TABLE)) {
    const outcomes = new Set(rows.map((row) => row[1]));
    expect(outcomes.has('ok')).toBe(true);
    expect(outcomes.has('failed') || outcomes.has('warning')).toBe(true);
  }
});

test('docs/doctor.md has every check with what it looks at, and nothing else', () => {
  const docs = readFileSync(new URL('../../../../docs/doctor.md', import.meta.url), 'utf8');
  const rows = [...docs.matchAll(/^\| `([a-z0-9-]+)` \| (.+?) \| (\S.+) \|$/gm)].map((row) => [
    row[1],
    row[2],
  ]);
  expect(rows).toEqual(CHECKS.map(({ id, about }) => [id, about]));
});
