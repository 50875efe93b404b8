import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../../cli/check.ts';
import { CHECKS } from '../../../fabric/doctor/checks/all.ts';
import type { Probes } from '../../../fabric/doctor/probes.ts';
import type { DatabaseServer } from '../../../fabric/open-registry.ts';
import { isoTime } from '../../../fabric/operations/contract/operation.ts';
import type { HostServing, Serving } from '../../../fabric/operations/contract/serving.ts';
import type { AnchorView } from '../../../fabric/operations/views/pki.ts';
import { unfinished } from '../../../fabric/registry/postgres/migrate.ts';
import { Failure } from '../../../protocol/failure.ts';

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2030, 0, 1);
const HOST: HostServing = { tun: 'enf-fabric0', services: 'none', filter: 'in force' };
const serving = (
  host: Partial<HostServing> | null = {},
  more: Pick<Serving, 'serves'> = {},
): Partial<Probes> => ({
  serving: async (): Promise<Serving> => ({
    identity: '[::]:444',
    tunnel: '[::]:443',
    host: host && { ...HOST, ...host },
    ...more,
  }),
});
const link = { index: 9, name: 'enf-fabric0', mac: '', group: 0, mtu: 1280, up: true };
const route = { family: 6, table: 254, type: 'unicast', device: 'enf-fabric0', metric: 1024 } as const;
const databases = (days: number) => ({
  databases: [
    { source: 'countries', built: NOW - 3 * DAY_MS },
    { source: 'Own-City', built: NOW - days * DAY_MS },
  ],
  oldDays: 30,
});
const OVERDUE = { issued: isoTime(NOW - 9 * DAY_MS), next: isoTime(NOW - DAY_MS) };
/** A CA with a list that is due tomorrow. */
const ca = (change: Partial<AnchorView>): AnchorView => ({
  ...{
    id: 7,
    name: 'plant CA',
    owner: 'default',
    fingerprint: '',
    subject: 'CN=x',
    notAfter: isoTime(NOW + 900 * DAY_MS),
  },
  ...{
    admits: 'listed',
    networks: [],
    groups: [],
    listed: 0,
    devices: 0,
    revoked: 0,
    created: '',
    crl: null,
    issueDays: null,
    enrols: null,
  },
  lists: [{ issued: isoTime(NOW), next: isoTime(NOW + DAY_MS) }],
  ...change,
});
const from = (error: string | null): Partial<AnchorView> => ({
  crl: { from: 'http://crl.example.org/', due: isoTime(NOW), fetched: null, error },
});
const server = (change: Partial<DatabaseServer>): DatabaseServer => ({
  ...{ address: 'postgres://enf@db.example/enf', version: '15.18', standby: false, closed: true },
  ...change,
});
const away: DatabaseServer = {
  address: 'postgres://enf@db.example/enf',
  failure: new Failure('registry.unreachable', 'retry', 'it does not answer'),
};
const healthy: Probes = {
  wallMs: () => NOW,
  hasRule: async () => true,
  bgpSessions: async () => [],
  databases: async () => undefined,
  ...(serving() as Pick<Probes, 'serving'>),
  async *networks() {
    for (const n of [1, 2])
      yield {
        prefix: `fd00:${n}::/64`,
        host: `fd00:${n}::1`,
        name: '',
        owner: 'default',
        zone: null,
        note: null,
        residentOnly: false,
        pool: null,
        created: '',
      };
  },
  interfaces: async () => [{ ...link, addresses: ['fd00:1::1/128', 'fd00:2::1/128', 'fe80::5/64'] }],
  routes: async () => ['fd00:1::/64', 'fd00:2::/64'].map((destination) => ({ ...route, destination })),
  sysctl: async () => '0',
  connect: async () => {},
  clock: async () => ({ writtenMs: NOW - 1_000, synchronised: true }),
  backupAt: async () => NOW - 86_400_000,
  cas: async () => [ca({})],
  places: async () => databases(9),
  disk: async () => ({ free: 1e9, registry: 1e8 }),
  certificates: async () => [
    { file: 'tls-root.pem', fromMs: 0, toMs: NOW + 900 * DAY_MS },
    { file: 'router.pem', fromMs: 0, toMs: NOW + 400 * DAY_MS },
  ],
};
const ending = (days: number, issueDays: number | null): Partial<Probes> => ({
  cas: async () => [ca({ id: 3, name: 'plant', notAfter: isoTime(NOW + days * DAY_MS), issueDays })],
});
const certificate = (fromDays: number, toDays: number): Partial<Probes> => ({
  certificates: async () => [
    { file: 'router.pem', fromMs: NOW + fromDays * DAY_MS, toMs: NOW + toDays * DAY_MS },
  ],
});
const nobody: Partial<Probes> = { serving: async () => undefined };
const silent: Partial<Probes> = {
  serving: async () => {
    throw new Failure('control.bad-answer', 'retry', 'it is silent', { action: 'Look.' });
  },
};

/** A node among several. */
const written = (failing: string | null = null, bird: string | null = null): Partial<Probes> =>
  serving({
    routes: {
      ...{ table: 100, protocol: 77, routes: 1_234, failing },
      bird: { socket: '/run/bird.ctl', failing: bird },
    },
  });
const sessions = (...established: readonly boolean[]): Partial<Probes> => ({
  ...written(),
  bgpSessions: async () =>
    established.map((each, i) => ({
      node: `n${i}`,
      established: each,
      state: each ? 'Established' : 'Active',
    })),
});

/** Each check: what is different from a healthy fabric, its outcome, and its message. */
const TABLE: Record<string, [Partial<Probes>, Outcome, RegExp][]> = {
  database: [
    [{}, 'skipped', /in a file/],
    [
      { databases: async () => [server({}), server({ standby: true })] },
      'ok',
      /PostgreSQL 15\.18; .*, standby$/,
    ],
    [{ databases: async () => [server({}), server({})] }, 'failed', /both take changes/],
    [{ databases: async () => [server({ standby: true })] }, 'failed', /all that answer are standbys/],
    [{ databases: async () => [away] }, 'failed', /db\.example.*does not answer/],
    [
      { databases: async () => [server({ unfinished: unfinished('interrupted') })] },
      'failed',
      /move of a registry .* was interrupted \(postgres:\/\/enf@db/,
    ],
    [{ databases: async () => [away, server({})] }, 'warning', /not all servers answer: .*db\.example/],
    [{ databases: async () => [server({ closed: false })] }, 'warning', /without TLS/],
    [{ databases: async () => [server({ version: '14.2' })] }, 'failed', /is PostgreSQL 14\.2/],
  ],
  bgp: [
    [{}, 'skipped', /routes\.install is off/],
    [nobody, 'skipped', /no fabric answers/],
    [sessions(true, true), 'ok', /^BIRD has sessions with 2 other nodes$/],
    [sessions(true, false), 'failed', /no session with n1 \(Active\)/],
    [
      sessions(false, false, false, false),
      'failed',
      /n0 \(Active\), n1 \(Active\), n2 \(Active\) and 1 more/,
    ],
    [sessions(), 'failed', /no session with another node/],
    [
      { ...sessions(true), ...written(null, 'BIRD may not be asked') },
      'warning',
      /the fabric cannot see that: BIRD may not be asked/,
    ],
    [
      serving({ routes: { table: 100, protocol: 77, routes: 1, failing: null } }),
      'skipped',
      /routes\.bird-socket is empty/,
    ],
    [
      { ...written(), bgpSessions: async (path) => (path === '/run/bird.ctl' ? undefined : []) },
      'failed',
      /BIRD does not run, nothing is at \/run\/bird\.ctl/,
    ],
    [
      {
        ...written(),
        bgpSessions: async () => {
          throw new Failure('bgp.no-answer', 'operator', 'BIRD does not answer', { action: 'Start it.' });
        },
      },
      'failed',
      /does not answer \[bgp\.no-answer\]/,
    ],
  ],
  routes: [
    [{}, 'skipped', /routes\.install is off/],
    [written(), 'ok', /^1,234 routes of tunnels in table 100, which is looked up before the main one$/],
    [{ ...written(), hasRule: async (table) => table !== 100 }, 'failed', /no rule leads to table 100/],
    [written('the network is down'), 'failed', /table 100 are not as they should be: the network is down/],
    [nobody, 'skipped', /no fabric answers/],
  ],
  cas: [
    [{ cas: async () => [] }, 'skipped', /no owner/],
    [ending(31, null), 'ok', /^1 CA, all valid$/],
    [ending(29, null), 'warning', /CA 3 \(plant\) expires in 29 days, on 2030-01-30/],
    [ending(91, 90), 'ok', /all valid/],
    [ending(89, 90), 'warning', /expires in 89 days/],
    [ending(-2, 90), 'failed', /has expired on 2029-12-30/],
    [
      {
        cas: async () => {
          throw new Failure('registry.unusable', 'operator', 'no registry', { action: 'Restore it.' });
        },
      },
      'failed',
      /no registry/,
    ],
  ],
  certificates: [
    [{}, 'ok', /^valid for 400 days$/],
    [certificate(-9, 29), 'warning', /router\.pem expires in 29 days, on 2030-01-30/],
    [certificate(-9, 31), 'ok', /31 days/],
    [certificate(-9, 1), 'warning', /expires in 1 day, on/],
    [certificate(-9, 2_910_000), 'ok', /^valid until 9997-/],
    [certificate(-9, -1), 'failed', /router\.pem has expired on 2029-12-31/],
    [certificate(1, 9), 'failed', /router\.pem is not valid before 2030-01-02/],
    [
      {
        certificates: async () => {
          throw new Failure('fabric.bad-authority', 'operator', 'no certificate', { action: 'Restore it.' });
        },
      },
      'failed',
      /no certificate \[fabric\.bad-authority\]/,
    ],
  ],
  disk: [
    [{}, 'ok', /^953 MB are free$/],
    [{ disk: async () => ({ free: 3e8, registry: 1e9 }) }, 'warning', /954 MB: no room for a copy/],
    [{ disk: async () => ({ free: 1e8, registry: 1e6 }) }, 'failed', /^95 MB are free$/],
  ],
  clock: [
    [{}, 'ok', /^synchronised$/],
    [{ clock: async () => ({ writtenMs: NOW + 60_000, synchronised: undefined }) }, 'ok', /^plausible$/],
    [{ clock: async () => ({ writtenMs: NOW, synchronised: false }) }, 'warning', /nothing synchronises/],
    [{ clock: async () => ({ writtenMs: NOW + DAY_MS, synchronised: true }) }, 'failed', /2030-01-02T/],
  ],
  entropy: [
    [{ sysctl: async () => '256' }, 'ok', /^256 bits$/],
    [{ sysctl: async () => '12' }, 'warning', /12 bits/],
    [{ sysctl: async () => undefined }, 'skipped', /does not say/],
  ],
  backup: [
    [{}, 'ok', /^the newest backup is 1 day old$/],
    [{ backupAt: async () => NOW - 3_600_000 }, 'ok', /^the newest backup is of today$/],
    [{ backupAt: async () => NOW - 8 * 86_400_000 }, 'warning', /8 days old/],
    [{ backupAt: async () => undefined }, 'warning', /^no backup was ever made$/],
    [{ backupAt: async () => undefined, ...nobody }, 'warning', /^no backup was ever made$/],
    [serving({}, { serves: ['identity', 'tunnels'] }), 'skipped', /a host that serves the console$/],
    [serving({}, { serves: ['console'] }), 'ok', /1 day old$/],
  ],
  places: [
    [{}, 'ok', /^the database "countries" is 3 days old; the database "Own-City" is 9 days old$/],
    [{ places: async () => databases(31) }, 'warning', /^the database "Own-City" is 31 days old$/],
    [{ places: async () => ({ ...databases(31), oldDays: 0 }) }, 'ok', /31 days/],
    [{ places: async () => ({ databases: [], oldDays: 30 }) }, 'skipped', /none is wanted/],
    [
      {
        places: async () => {
          throw new Failure('geo.bad-database', 'operator', 'city.mmdb is none', { action: 'Give another.' });
        },
      },
      'failed',
      /^city\.mmdb is none \[geo\.bad-database\]$/,
    ],
  ],
  'revocation-lists': [
    [{}, 'ok', /^1 CA, 1 list, none overdue$/],
    [{ cas: async () => [ca(from(null)), ca({ lists: [] })] }, 'ok', /^2 CAs, 1 list/],
    [{ cas: async () => [] }, 'skipped', /no owner has a CA/],
    [
      { cas: async () => [ca({ lists: [OVERDUE] })] },
      'warning',
      /^the list of "plant CA" is overdue since \d{4}-/,
    ],
    [
      { cas: async () => [ca(from('HTTP 404')), ca({ lists: [OVERDUE] })] },
      'warning',
      /^the list of "plant CA" could not be fetched: HTTP 404; 1 more$/,
    ],
    [
      {
        cas: async () => {
          throw new Failure('registry.locked', 'retry', 'it is locked', { action: 'Wait.' });
        },
      },
      'failed',
      /it is locked/,
    ],
  ],
  control: [
    [{}, 'ok', /identity \[::\]:444, tunnel \[::\]:443/],
    [nobody, 'failed', /no fabric serves/],
    [{ serving: async () => null }, 'failed', /not started yet/],
    [silent, 'failed', /it is silent/],
  ],
  ports: [
    [{}, 'ok', /\[::\]:444 and \[::\]:443/],
    [
      {
        connect: async (listen) => {
          if (listen === '[::]:443') throw new Failure('net.unreachable', 'retry', 'refused');
        },
      },
      'failed',
      /tunnel router at \[::\]:443 .*refused/,
    ],
    [nobody, 'skipped', /no fabric/],
    [silent, 'skipped', /no fabric/],
  ],
  tun: [
    [{}, 'ok', /enf-fabric0 is up.* 2 networks/],
    [{ interfaces: async () => [] }, 'failed', /no interface enf-fabric0/],
    [{ interfaces: async () => [{ ...link, up: false, addresses: [] }] }, 'failed', /down/],
    [
      { interfaces: async () => [{ ...link, addresses: ['fd00:1::1/128'] }] },
      'failed',
      /lacks address fd00:2::1$/,
    ],
    [{ routes: async () => [] }, 'failed', /lacks route to fd00:1::\/64, route to fd00:2::\/64$/],
    [
      { routes: async () => [], interfaces: async () => [{ ...link, addresses: [] }] },
      'failed',
      /lacks address fd00:1::1, route to fd00:1::\/64, address fd00:2::1 and 1 more$/,
    ],
    [serving(null), 'skipped', /--tun none/],
    [nobody, 'skipped', /no fabric/],
  ],
  'host-services': [
    [{}, 'ok', /closed to devices but for ping .*inet enf_fabric_enf-fabric0/],
    [serving({ services: 'tcp/22' }), 'ok', /may use tcp\/22 and ping/],
    [serving({ services: 'all' }), 'warning', /every device reaches every service/],
    [serving({ services: 'all', filter: 'not in force' }), 'warning', /every device reaches every service/],
    [serving({ filter: 'not in force' }), 'failed', /is not as it should be; devices may reach every/],
    [serving({ filter: { unknown: 'no nft' } }), 'failed', /cannot be read: no nft/],
    [serving(null), 'skipped', /--tun none/],
    [nobody, 'skipped', /no fabric/],
  ],
  forwarding: [
    [{}, 'ok', /does not forward/],
    [{ sysctl: async () => '1' }, 'warning', /devices reach whatever it reaches/],
    [written(), 'failed', /do not reach those of other nodes/],
    [{ ...written(), sysctl: async () => '1' }, 'warning', /devices reach whatever it reaches/],
    [{ sysctl: async () => undefined }, 'skipped', /without IPv6/],
    [serving(null), 'skipped', /--tun none/],
  ],
};

for (const check of CHECKS) {
  describe(`[H-A4] ${check.id}`, () => {
    test.each(TABLE[check.id]!)('%#', async (change, outcome, message) => {
      const finding = await check.run({ ...healthy, ...change });
      expect(finding).toMatchObject({ outcome, message: expect.stringMatching(message) });
      expect(finding.remedy !== undefined, 'what to do, where there is something to do').toBe(
        outcome === 'warning' || outcome === 'failed',
      );
    });
  });
}

test('each check was tried with everything it may find', () => {
  expect(Object.keys(TABLE).sort()).toEqual(CHECKS.map(({ id }) => id).sort());
});

test('docs/fabric-doctor.md has every check with what it looks at, and nothing else', () => {
  const docs = readFileSync(new URL('../../../docs/fabric-doctor.md', import.meta.url), 'utf8');
  const rows = [...docs.matchAll(/^\| `([a-z0-9-]+)` \| (.+?) \| (\S.+) \|$/gm)];
  expect(rows.map((row) => [row[1], row[2]])).toEqual(CHECKS.map(({ id, about }) => [id, about]));
});
