import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  alarmChecks,
  backupOld,
  type CheckSources,
  dropped,
  expiring,
  knocking,
  nodeAmiss,
  placesOld,
} from '../../../fabric/alarms/checks.ts';
import { alarmText } from '../../../fabric/operations/alarm-text.ts';
import { rootCertificate } from '../../../fabric/pki/x509.ts';
import { ALARM_KINDS, type ServerState } from '../../../fabric/registry/alarms.ts';
import { DUTIES, type Node } from '../../../fabric/registry/nodes.ts';
import type { Handshake } from '../../../fabric/registry/records.ts';
import { Failure } from '../../../protocol/failure.ts';
import { sized } from './sized.ts';

const DAY_MS = 86_400_000;
const refusal = (group: number, at = 1): Handshake => ({
  at,
  source: '192.0.2.1',
  gid: new Uint8Array(32).fill(group),
  proven: false,
  result: 'fabric.group-not-admitted',
});
const node = (state: Node['state']): Node => ({
  ...{ name: 'a', version: '1.0', state, serves: DUTIES, started: 1, seen: 9, tunnels: 3, load: 0 },
});
const times = (n: number, make: () => Handshake): Handshake[] => Array.from({ length: n }, make);

describe('what is found', () => {
  test('a group knocks from its third attempt on; ten are told of at most, those with the most attempts', () => {
    expect(knocking(times(2, () => refusal(1)))).toEqual([]);
    expect(knocking([...times(3, () => refusal(1)), ...times(4, () => refusal(2))])).toMatchObject([
      { subject: '02'.repeat(32), detail: { times: 4 } },
      { subject: '01'.repeat(32), detail: { times: 3 } },
    ]);
    const many = Array.from({ length: 40 }, (_, group) => times(3, () => refusal(group))).flat();
    expect(knocking(many)).toHaveLength(10);
    const { gid: _, ...nobody } = refusal(1);
    expect(knocking(times(9, () => nobody))).toEqual([]);
  });

  test('a fleet drops when a fifth of at least ten tunnels is gone', () => {
    expect(dropped([], 0)).toEqual([]);
    expect(dropped([9], 0)).toEqual([]);
    expect(dropped([100, 90], 81)).toEqual([]);
    expect(dropped([100, 90], 80)).toMatchObject([
      { kind: 'fleet.dropped', detail: { before: 100, now: 80 } },
    ]);
    expect(dropped([50], 100)).toEqual([]);
  });

  test('a certificate is told of thirty days before it ends', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = rootCertificate({ name: 'root', key: privateKey });
    const [finding] = expiring('router.pem', pem, Number.MAX_SAFE_INTEGER);
    const end = Date.parse(String(finding!.detail.ends));
    expect(expiring('router.pem', pem, end - 30 * DAY_MS - 1)).toEqual([]);
    expect(expiring('router.pem', pem, end - 30 * DAY_MS)).toMatchObject([{ subject: 'router.pem' }]);
  });

  test('a disk is almost full below a twentieth, or below 200 MB; a registry that lacks entries is told of', async () => {
    let [free, all] = [1e12, 1e13];
    let refusals: Handshake[] = [];
    let nodes: Node[] = [];
    let servers: ServerState[] = [];
    let leads = true;
    const sources: CheckSources = {
      registry: {
        missing: () => undefined,
        leads: () => leads,
        servers: () => servers,
        census: async () => ({}) as never,
        group: async (gid) => {
          if (gid.startsWith('01')) return {} as never;
          throw new Failure('fabric.unknown-group', 'operator', 'none');
        },
        handshakes: async () => ({ rows: refusals, next: undefined }),
        overAnnounced: async () => [],
        beyondLimits: async () => [],
        failures: async () => ({ rows: [] }),
        groupNumbers: async () => sized(0),
        listsEnding: async () => [],
        casEnding: async () => [],
        tokensEnding: async () => [],
        networks: async () => ({ rows: [], next: undefined }),
        nodes: async () => ({ rows: nodes, next: undefined }),
        verifyAuditPart: async () => ({ head: { seq: 0, hash: new Uint8Array(32) }, end: true }),
      },
      places: () => [],
      placesOldDays: 0,
      certificates: async () => ({}),
      disk: async () => ({ path: '/var', free, all }),
      backupAt: async () => undefined,
      now: () => 0,
    };
    const check = (kind: string) => alarmChecks(sources).find(({ kinds }) => kinds.includes(kind as never))!;
    expect(await check('disk.full-soon').find()).toEqual([]);
    [free, all] = [4e11, 1e13];
    expect(await check('disk.full-soon').find()).toMatchObject([{ subject: '/var' }]);
    [free, all] = [1e8, 1e9];
    expect(await check('disk.full-soon').find()).toHaveLength(1);
    expect(await check('registry.behind').find()).toEqual([]);
    expect(await check('group.knocking').find()).toEqual([]);
    // The one whose label was brought meanwhile knocks no more.
    refusals = [...times(3, () => refusal(1)), ...times(3, () => refusal(2))];
    expect(await check('group.knocking').find()).toMatchObject([{ subject: '02'.repeat(32) }]);
    expect(await check('registry.server-lost').find()).toEqual([]);
    const lost = { since: -1_000_000, why: 'gone' };
    servers = [{ place: 'db:5432', at: 0, primary: false, used: false, lost }];
    expect(await check('registry.server-lost').find()).toMatchObject([{ subject: 'db:5432' }]);
    // Of several nodes one says so.
    leads = false;
    expect(await check('registry.server-lost').find()).toEqual([]);
    // What the trail told of is found once: only that it ends is looked for.
    const { find, holdMs } = check('registry.failover');
    expect([await find(), holdMs, check('device.twins').holdMs]).toEqual([[], 7 * DAY_MS, DAY_MS]);
    expect(await check('node.lost').find()).toEqual([]);
    nodes = [node('lost'), { ...node('serving'), name: 'b' }];
    expect(await check('node.lost').find()).toMatchObject([{ kind: 'node.lost', subject: 'a' }]);
  });

  test('a node is told of while it is lost, and when it drains for an hour', () => {
    const now = 10 * DAY_MS;
    const detail = { tunnels: 3 };
    expect(nodeAmiss(node('serving'), now)).toEqual([]);
    expect(nodeAmiss({ ...node('stopped'), draining: 0 }, now)).toEqual([]);
    expect(nodeAmiss(node('lost'), now)).toEqual([
      { kind: 'node.lost', owner: 0, subject: 'a', detail: { ...detail, seen: '1970-01-01T00:00:00.009Z' } },
    ]);
    // One that serves no tunnels has no number of them.
    const { tunnels: _, ...ofIdentity } = node('lost');
    expect(nodeAmiss(ofIdentity, now)[0]?.detail).toEqual({ seen: '1970-01-01T00:00:00.009Z' });
    const drains = { ...node('draining'), draining: now - 3_600_000 };
    expect(nodeAmiss(drains, now - 1)).toEqual([]);
    expect(nodeAmiss(drains, now)).toEqual([
      {
        kind: 'node.draining',
        owner: 0,
        subject: 'a',
        detail: { ...detail, since: '1970-01-10T23:00:00.000Z' },
      },
    ]);
  });

  test('a node whose devices no other one learns of is told of after ten seconds, also while it drains', () => {
    const now = 10 * DAY_MS;
    const found = (state: Node['state'], more: Partial<Node> = {}) =>
      nodeAmiss({ ...node(state), routesLost: now - 10_000, ...more }, now);
    const finding = {
      ...{ kind: 'node.routes-lost', owner: 0, subject: 'a' },
      detail: { since: '1970-01-10T23:59:50.000Z', tunnels: 3 },
    };
    expect(found('routes-lost')).toEqual([finding]);
    expect(found('routes-lost', { routesLost: now - 9_999 })).toEqual([]);
    expect(found('draining', { draining: now - 1 })).toEqual([finding]);
    expect(found('draining', { draining: 0 }).map(({ kind }) => kind)).toEqual([
      'node.routes-lost',
      'node.draining',
    ]);
    expect(found('lost').map(({ kind }) => kind)).toEqual(['node.lost']);
    expect(found('stopped')).toEqual([]);
  });

  test('a backup is old after a week, and the first one is due two days after the first network', () => {
    const now = 100 * DAY_MS;
    expect(backupOld(now - 6 * DAY_MS, 0, now)).toEqual([]);
    expect(backupOld(now - 8 * DAY_MS, 0, now)).toMatchObject([
      { detail: { made: '1970-04-03T00:00:00.000Z' } },
    ]);
    expect(backupOld(undefined, now - DAY_MS, now)).toEqual([]);
    expect(backupOld(undefined, now - 3 * DAY_MS, now)).toMatchObject([{ kind: 'backup.old', detail: {} }]);
  });

  test('a database of places is old after the days that are chosen, by its own date; a newer one ends that', () => {
    const now = 100 * DAY_MS;
    const made = (days: number) => ({ file: '/city.mmdb', source: 'Own-City', built: now - days * DAY_MS });
    expect(placesOld(made(30), 30, now)).toEqual([
      {
        kind: 'places.old',
        owner: 0,
        subject: '/city.mmdb',
        detail: { source: 'Own-City', made: '1970-03-12T00:00:00.000Z' },
      },
    ]);
    expect(placesOld(made(29), 30, now)).toEqual([]);
    expect(placesOld(made(99), 0, now)).toEqual([]);
  });

  test('one thing is in the singular', () => {
    const what = (
      kind: 'group.over-announced' | 'group.over-limit' | 'device.failing' | 'registry.failover',
      detail: object,
    ) => alarmText({ kind, owner: 0, subject: 'x', detail: { name: 'b', ...detail } }).what;
    expect(what('group.over-announced', { devices: 2, announced: 1 })).toBe(
      '2 devices of "b" came, 1 is expected.',
    );
    expect(what('group.over-limit', { times: 1 })).toMatch(/^Once a further device/);
    expect(what('group.over-limit', { times: 1_200 })).toMatch(/^1,200 times a further device/);
    const time = { since: 'A', until: 'B' };
    expect(what('registry.failover', { missing: 1, ...time })).toMatch(
      / at least 1 entry of the audit trail is lost, of the time from A to B\.$/,
    );
    expect(what('registry.failover', { missing: 1_200, ...time })).toMatch(/ 1,200 entries .* are lost/);
    expect(what('device.failing', { times: 1, devices: 1, code: 'c' })).toBe(
      '1 of 1 device of "b" reports c within an hour.',
    );
  });

  test('each kind has words that say what it means and what to do', () => {
    for (const kind of ALARM_KINDS) {
      const { what, action } = alarmText({ kind, owner: 0, subject: 'x', detail: {} });
      expect([what.at(-1), action.at(-1)], kind).toEqual(['.', '.']);
    }
  });
});
