import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { actFor } from '../../console/api/http.ts';
import { hrefOfExport } from '../../console/api/operations.ts';
import { Problem } from '../../console/api/problem.ts';
import { hrefOf, parseRoute } from '../../console/app/address.ts';
import { spotsOf } from '../../console/app/spots.ts';
import { ACTIONS_WITH_WORDS, auditSentence } from '../../console/audit/sentence.ts';
import { type ReadPage, verifyTrail } from '../../console/audit/verify.ts';
import { projected } from '../../console/map/projection.ts';
import { worldMap } from '../../console/map/world.mjs';
import { codeOf } from '../../console/scan/label-text.ts';
import { listAudit } from '../../fabric/operations/audit.ts';
import { addNetwork } from '../../fabric/operations/networks.ts';
import type { AuditView } from '../../fabric/operations/views/handshakes.ts';
import { ALARM_KINDS } from '../../fabric/registry/alarms.ts';
import { opened, registryFile } from '../fabric/place.ts';
import { ROOT } from '../structure.ts';

const ENTRY = { seq: 1, at: '', subject: 's', owner: null, hash: '', actor: 'Anna' };

describe('an address', () => {
  test.each([
    [['devices'], {}, '#/devices'],
    [['devices', 'fd00::1'], { q: 'a b', after: undefined, standing: '' }, '#/devices/fd00%3A%3A1?q=a+b'],
    [[], {}, '#/'],
  ])('of %j with %j is %s, and leads back', (path, query, href) => {
    expect(hrefOf(path, query)).toBe(href);
    const route = parseRoute(href);
    expect(route.path).toEqual(path);
    const given = Object.entries(query).filter(([, value]) => value);
    expect([...route.query]).toEqual(given);
  });

  test('that nobody could have made is shown as it stands', () => {
    expect(parseRoute('#/devices/%E0%A4%A').path).toEqual(['devices', '%E0%A4%A']);
  });
});

test.each([
  ['ENF1:ABC', 'label'],
  [' https://fabric.example/x#ENF1:ABC \n', 'label'],
  ['https://evil.example/?ENF1:ABC', 'other'],
  ['WIFI:S:home;;', 'other'],
  [`ENF1:${'A'.repeat(5_000)}`, 'other'],
  ['', 'other'],
])('the code %j is a %s', (text, kind) => {
  expect(codeOf(text).kind).toBe(kind);
});

test.each([
  ['the batch is suspended', 'The batch is suspended'],
  ['name has 1 to 63 letters', 'Name has 1 to 63 letters'],
  ['fd00:9::/64 is not lent', 'fd00:9::/64 is not lent'],
  ['gw-2 is banned', 'gw-2 is banned'],
  ['net.closed', 'net.closed'],
  ['anna@example.org is unknown', 'anna@example.org is unknown'],
  ['Anna may not', 'Anna may not'],
  ['', ''],
])('a failure that says %j begins as a sentence does', (message, shown) => {
  expect(new Problem('x.y', 400, message, '').message).toBe(shown);
});

test('a list as a file is narrowed as the page is', () => {
  expect(hrefOfExport('device-list', 'csv', { standing: 'banned', q: undefined })).toBe(
    '/api/v1/devices?standing=banned&format=csv',
  );
  actFor('acme');
  expect(hrefOfExport('audit-list', 'ndjson', {})).toBe('/api/v1/audit?format=ndjson&owner=acme');
  actFor(undefined);
});

describe('the audit trail', () => {
  const now = Date.parse('2026-01-02T03:04:05.678Z');

  async function trail(entries: number): Promise<AuditView[]> {
    const registry = opened(registryFile(), { now: () => now });
    const running = { notify: async () => '', presence: async () => undefined };
    const on = { registry, running, actor: 'Jörg “the host”', now: () => now };
    for (let i = 1; i < entries; i++)
      await addNetwork.run(on, { prefix: `fd00:${i}::/64`, name: `n ${i} ü` });
    return [...(await listAudit.run(on, { limit: 1_000 })).rows];
  }

  /** The rows as pages of three. */
  const paged =
    (rows: readonly AuditView[]): ReadPage =>
    async (after) => {
      const from = Number(after ?? 0);
      const next = from + 3 < rows.length ? String(from + 3) : undefined;
      return { rows: rows.slice(from, from + 3), next };
    };

  const verify = (rows: readonly AuditView[], known?: { seq: number; hash: string }) =>
    verifyTrail(paged(rows), {
      ...(known !== undefined && { known }),
      progress: () => {},
      signal: new AbortController().signal,
    });

  test('as the fabric writes it is whole', async () => {
    const rows = await trail(8);
    const head = { seq: 8, hash: rows[0]!.hash! };
    expect(await verify(rows)).toEqual({ kind: 'whole', head, entries: 8 });
    const known = { seq: 5, hash: rows[3]!.hash! };
    expect(await verify(rows, known)).toEqual({ kind: 'whole', head, entries: 3 });
    expect(await verify(rows.slice(0, 1), head)).toEqual({ kind: 'whole', head, entries: 0 });
  });

  test.each([
    ['another actor', 5, (row: AuditView) => ({ ...row, actor: 'nobody' })],
    ['another time', 5, (row: AuditView) => ({ ...row, at: '2026-01-02T03:04:05.679Z' })],
    ['another detail', 5, (row: AuditView) => ({ ...row, detail: { ...row.detail, name: 'x' } })],
    ['another hash', 6, (row: AuditView) => ({ ...row, hash: '0'.repeat(64) })],
  ])('with %s in entry 5 is broken at entry %i', async (_, seq, change) => {
    const rows = (await trail(8)).map((row) => (row.seq === 5 ? change(row) : row));
    expect(await verify(rows)).toMatchObject({ kind: 'broken', seq });
  });

  test('without an entry, its beginning or all of it is broken', async () => {
    const rows = await trail(8);
    expect(await verify(rows.filter(({ seq }) => seq !== 4))).toMatchObject({ kind: 'broken', seq: 5 });
    expect(await verify(rows.slice(0, -2))).toMatchObject({ kind: 'broken', seq: 3 });
    expect(await verify([])).toMatchObject({ kind: 'broken' });
    expect(await verify(rows, { seq: 5, hash: '0'.repeat(64) })).toMatchObject({ kind: 'broken', seq: 5 });
  });

  test('has a sentence for each action that the registry writes', () => {
    const folder = join(ROOT, 'fabric/registry/sql');
    const text = readdirSync(folder, { encoding: 'utf8', recursive: true })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('\n');
    const written = [
      ...text.matchAll(
        /'((?:alarm|device|fabric|group|hook|network|owner|passkey|person|roster|signin|token)\.[a-z-]+)'/g,
      ),
    ];
    const actions = new Set([
      ...written.map((match) => match[1]!),
      'device.evict',
      'device.ban',
      'device.unban',
      'roster.ban',
      'roster.unban',
      'signin',
    ]);
    const codes = new Set([...text.matchAll(/new Failure\(\s*'([\w.-]+)'/g)].map((match) => match[1]!));
    // Alarms have kinds, and hooks hear of events, that are no actions; neither are columns.
    const others: readonly string[] = [
      ...ALARM_KINDS,
      ...codes,
      'alarm.acknowledged',
      'hook.removed',
      'hook.test',
      'device.address',
      'device.owner',
      'person.id',
      'network.owner',
    ];
    const missing = [...actions].filter(
      (each) => !ACTIONS_WITH_WORDS.includes(each) && !others.includes(each),
    );
    expect(missing).toEqual([]);
    const entry = { ...ENTRY, detail: {} };
    for (const action of ACTIONS_WITH_WORDS)
      expect(auditSentence({ ...entry, action })).not.toContain(action);
    expect(auditSentence({ ...entry, action: 'new.action' })).toBe('Anna: new.action s');
  });

  test.each([
    [
      'alarm.opened',
      { kind: 'group.over-limit', name: 'b 7' },
      'Alarm: more devices of “b 7” want to come than may',
    ],
    [
      'alarm.ended',
      { kind: 'fleet.dropped' },
      'The alarm is over: many devices lost their tunnels within minutes',
    ],
    ['alarm.opened', { kind: 'toString' }, 'Alarm: toString for s'],
    ['job.start', { change: 'ban' }, 'Anna began to ban many devices (s)'],
    ['roster.add', { name: 'b 7', devices: 1 }, 'Anna gave the batch “b 7” a roster of 1 device'],
    ['roster.ban', { name: 'b 7', devices: 2 }, 'Anna banned 2 devices of the batch “b 7” before any came'],
    ['network.resident', { required: true }, 'Anna let s take only devices whose chips keep their keys'],
    ['network.resident', { required: false }, 'Anna let s take devices whatever keeps their keys'],
    ['device.name', { note: 'n' }, 'Anna changed what is noted of s'],
    ['device.name', { name: 'gw-2' }, 'Anna named s “gw-2”'],
    ['device.name', { name: 'gw-2', note: '' }, 'Anna named s “gw-2” and changed what is noted of it'],
    ['device.name', { name: '' }, 'Anna took the name of s away'],
    ['person.role', { name: 'Nora', to: 'operator', owner: 'acme' }, 'Anna made “Nora” operator of acme'],
    ['person.role', { name: 'Nora', to: 'operator' }, 'Anna made “Nora” operator'],
  ])('says of %s with %j: %s', (action, detail, sentence) => {
    expect(auditSentence({ ...ENTRY, action, detail })).toBe(sentence);
  });

  test('says of each kind of alarm what it means, and not the kind', () => {
    for (const kind of ALARM_KINDS) {
      expect(auditSentence({ ...ENTRY, action: 'alarm.opened', detail: { kind } })).not.toContain(kind);
    }
  });
});

test('the map has a dot for every country that has one, within its bounds', () => {
  const { width, height, land, dots, scale, origin } = worldMap();
  expect(land).toMatch(/^M/);
  expect(Object.keys(dots).length).toBeGreaterThan(200);
  for (const [code, [x, y]] of Object.entries(dots)) {
    expect(code).toMatch(/^[A-Z]{2}$/);
    expect([code, x >= 0 && x <= width && y >= 0 && y <= height]).toEqual([code, true]);
  }
  // East is right, and south is below.
  expect(dots.AU![0]).toBeGreaterThan(dots.BR![0]);
  expect(dots.AU![1]).toBeGreaterThan(dots.NO![1]);
  // A point is found where the outlines have it: Luxembourg is as small as a dot, Fiji is far away.
  for (const [code, latitude, longitude] of [
    ['LU', 49.8, 6.1],
    ['FJ', -17.8, 178],
    ['SG', 1.35, 103.8],
    ['IS', 64.9, -18.6],
  ] as const) {
    const { x, y, radius } = projected({ latitude, longitude, radiusKm: 637.1 }, { scale, origin });
    expect([code, Math.hypot(x - dots[code]![0], y - dots[code]![1]) < 2]).toEqual([code, true]);
    expect(radius).toBeCloseTo(scale / 10);
  }
});

test('dots of cities leave their countries what has no city, and never less than nothing', () => {
  const country = (name: string | null, devices: number) => ({
    country: name,
    devices,
    ok: 1,
    refused: 2,
    abandoned: 0,
  });
  const zurich = {
    country: 'CH',
    region: 'Zurich',
    city: 'Zurich',
    latitude: 47.4,
    longitude: 8.5,
    radiusKm: 9.2,
  };
  const spots = spotsOf(
    [country('CH', 5), country('NL', 2), country('private', 3), country(null, 1)],
    [
      { ...zurich, devices: 3 },
      { ...zurich, country: 'NL', region: null, devices: 4 },
    ],
  );
  expect(spots.map(({ key, devices, words }) => [key, devices, words])).toEqual([
    ['CH', 2, 'Switzerland: 2 devices, 1 admitted, 2 refused'],
    ['NL', 0, 'Netherlands: 0 devices, 1 admitted, 2 refused'],
    ['CH Zurich Zurich 47.4 8.5 9.2', 3, 'Zurich, Switzerland, within 10 km: 3 devices'],
    ['NL  Zurich 47.4 8.5 9.2', 4, 'Zurich, Netherlands, within 10 km: 4 devices'],
  ]);
});
