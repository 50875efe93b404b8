import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { permissionsOf, ROLES, type Role } from '../../../fabric/access/roles.ts';
import { type Remote, remoteClient } from '../../../fabric/api/client.ts';
import { openApiDocument } from '../../../fabric/api/openapi.ts';
import { statusOf } from '../../../fabric/api/problem.ts';
import { type Api, startApi } from '../../../fabric/api/server.ts';
import { openRegistry } from '../../../fabric/open-registry.ts';
import { OPERATIONS, type OperationName } from '../../../fabric/operations/all.ts';
import { CATALOGUE } from '../../../fabric/operations/contract/catalogue.ts';
import { createToken } from '../../../fabric/operations/people/tokens.ts';
import { foundAuthority } from '../../../fabric/pki/found.ts';
import { openAuthority } from '../../../fabric/pki/keeper.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { makeBatch } from '../device.ts';
import { wholeOf } from '../place.ts';
import { fabricOf } from './console.ts';

const folder = mkdtempSync(join(tmpdir(), 'enf-api-'));
const data = join(folder, 'fabric');
await foundAuthority(data, 'test');
const registry = wholeOf(await openRegistry(join(data, 'registry.db')));
const keys = await openAuthority(data);
const context = {
  registry,
  running: { notify: async () => 'in force', presence: async () => undefined },
  now: Date.now,
};
const log: string[] = [];
let serving = true;
let clock = Date.now();
let api: Api;

beforeAll(async () => {
  api = await startApi({
    listen: { host: '127.0.0.1', port: 0 },
    news: fabricOf(registry).news,
    call: async (...args) =>
      serving ? fabricOf(registry, Date.now, async () => keys).call(...args) : undefined,
    version: '1.2.3',
    log: (level, line) => log.push(`${level} ${line}`),
    now: () => clock,
  });
});
afterAll(async () => {
  await api.close();
  await registry.close();
  rmSync(folder, { recursive: true });
});

const make = async (role: Role, days = 1): Promise<string> =>
  (await createToken.run({ ...context, actor: 'alice' }, { name: role, role, days })).token;

interface Answer {
  readonly status: number;
  readonly body: { readonly code?: string; readonly rows?: readonly object[] };
  readonly headers: Headers;
}

async function ask(path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${api.port}${path}`, init);
  return {
    status: response.status,
    body: (await response.json()) as Answer['body'],
    headers: response.headers,
  };
}

const as = (token: string, rest: RequestInit = {}): RequestInit => ({
  ...rest,
  headers: { ...rest.headers, authorization: `Bearer ${token}` },
});

const post = (body: unknown, type = 'application/json'): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': type },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

/** Does the operation by its route, with an input that is refused for its content, if at all. */
function attempt(remote: Remote, name: string): Promise<string> {
  const inputs: Record<string, object> = {
    'network-add': { prefix: 'fe80::/64', name: '' },
    'group-add': { label: 'ENF1:X', network: 'fd00::/64' },
    'group-status': { gid: '00000000', status: 'active' },
    'device-show': { address: 'fd00::1' },
    'device-standing': { address: 'fd00::1', change: 'ban' },
    'token-create': { name: 'x', role: 'auditor', days: 1 },
    'token-revoke': { id: 999_999 },
    'person-invite': { role: 'auditor', hours: 1 },
    'invite-withdraw': { id: '0123456789abcdef' },
    'person-role': { person: 'nobody', role: 'auditor' },
    'person-remove': { person: 'nobody' },
    'audit-verify': {},
    'network-pool': { prefix: 'fd00:9::/64', pool: 'fd00:9::/64' },
    'delegation-list': { prefix: 'fd00:9::/64', limit: 1 },
    'group-delegate': { gid: '00000000', granted: true },
    'device-delegate': { address: 'fd00::1', granted: true },
    'network-remove': { prefix: 'fd00:9::/64' },
    'rule-list': { network: 'fd00:9::/64', limit: 1 },
    'rule-add': { network: 'fd00:9::/64', action: 'deny', direction: 'in' },
    'rule-move': { id: 999_999, place: 1 },
    'rule-remove': { id: 999_999 },
    'rule-test': { from: 'host', to: 'nobody', traffic: 'icmpv6' },
    'limit-list': { network: 'fd00:9::/64', limit: 1 },
    'limit-set': { network: 'fd00:9::/64', packets: 1 },
    'limit-remove': { network: 'fd00:9::/64', devices: 'any' },
    'group-remove': { gid: '00000000' },
    'device-retire': { address: 'fd00::1' },
    'device-replace': { address: 'fd00::1', by: 'fd00::2' },
    'device-register': { network: 'fd00:9::/64', key: '04' },
    'roster-begin': { gid: '00000000', header: '{}' },
    'roster-part': { gid: '00000000', offset: 0, lines: 'e30K' },
    'roster-index': { gid: '00000000' },
    'roster-show': { gid: '00000000' },
    'roster-list': { gid: '00000000', limit: 1 },
    'roster-standing': { gid: '00000000', change: 'ban', box: 1 },
    'roster-remove': { gid: '00000000' },
    'alarm-acknowledge': { id: 999_999 },
    'hook-list': {},
    'prefix-list': {},
    'hook-add': { name: 'x', url: 'ftp://nowhere' },
    'hook-remove': { id: 999_999 },
    'hook-test': { id: 999_999 },
    'hook-deliveries': { id: 999_999, limit: 1 },
    'delivery-retry': { id: 999_999 },
    'certificate-list': {},
    'certificate-rotate': { what: 'router' },
    'certificate-install': { answer: '{}' },
    'root-rotate': {},
    'device-count': { standing: 'banned' },
    'device-bulk': { change: 'ban', failure: 'nothing.fails-so' },
    'job-list': {},
    'job-show': { id: 999_999 },
    'job-cancel': { id: 999_999 },
    'root-end': { number: 1 },
    'owner-add': { name: 'No Label' },
    'owner-rename': { owner: 'nobody', name: 'nothing' },
    'owner-close': { owner: 'nobody' },
    'owner-lend': { owner: 'nobody', prefix: 'fd00:9::/48' },
    'owner-take-back': { owner: 'nobody', prefix: 'fd00:9::/48' },
    'limit-max': { network: 'fd00:9::/64', packets: 1 },
    'owner-member': { owner: 'nobody', person: 'nobody', role: 'auditor' },
    'node-show': { node: 'nowhere' },
    'node-drain': { node: 'nowhere' },
    'node-resume': { node: 'nowhere' },
    'node-remove': { node: 'nowhere' },
    'pki-list': {},
    'pki-preview': { certificates: [] },
    'pki-add': { name: 'x', certificates: [], networks: ['fd00:9::/64'], admits: 'listed' },
    'pki-remove': { id: 999_999 },
    'pki-import': { id: 999_999, devices: [] },
    'pki-crl': { id: 999_999, crl: 'MAA=' },
    'pki-crl-from': { id: 999_999, url: 'https://crl.example.org/ca.crl' },
    'pki-enrols': { id: 999_999, network: '' },
    'pki-revoke': { id: 999_999, serial: '01', reason: 'x' },
    'pki-create': { name: 'x', networks: ['fd00:9::/64'] },
    'pki-renew': { id: 999_999 },
    'pki-issued': { limit: 10 },
    'code-add': { network: 'fd00:9::/64' },
    'code-list': { limit: 10 },
    'code-withdraw': { id: 999_999 },
    'root-keys-drop': { number: 1, xtt: '00', tls: '00' },
  };
  return remoteClient(remote)(name as OperationName, (inputs[name] ?? { limit: 1 }) as never).then(
    () => 'done',
    ({ code }: { code: string }) => code,
  );
}

test('every operation has its place and its permission, and every place its operation', () => {
  expect(Object.keys(CATALOGUE).sort()).toEqual([...OPERATIONS.keys()].sort());
  const places = Object.values(CATALOGUE).map(({ method, path }) => `${method} ${path}`);
  expect(new Set(places).size).toBe(places.length);
});

test.each(ROLES)('%s may what the role may, and nothing else', async (role) => {
  const remote = { url: new URL(`http://127.0.0.1:${api.port}`), token: await make(role) };
  for (const [name, { permission }] of Object.entries(CATALOGUE)) {
    const outcome = await attempt(remote, name);
    if (permissionsOf(role).includes(permission)) expect(outcome, name).not.toMatch(/^access\./);
    else expect(outcome, name).toBe('access.forbidden');
  }
});

test('who did what stands in the audit trail', async () => {
  const token = await make('owner');
  const made = await ask('/api/v1/networks', as(token, post({ prefix: 'fd00:7::/64', name: 'plant' })));
  expect(made).toMatchObject({ status: 200, body: { view: { prefix: 'fd00:7::/64' }, effect: 'in force' } });
  const { body } = await ask('/api/v1/audit?limit=1', as(token));
  expect(body.rows).toMatchObject([
    { action: 'network.add', actor: expect.stringMatching(/^owner \(token \d+\)$/) },
  ]);
});

describe('a request that is repeated', () => {
  test('with the same Idempotency-Key is done once', async () => {
    const token = await make('owner');
    const add = (key: string, name = 'twice') =>
      ask('/api/v1/networks', {
        ...as(token, post({ prefix: 'fd00:77::/64', name })),
        headers: { ...(as(token, post({})).headers as object), 'idempotency-key': key },
      });
    const first = await add('k-1');
    expect(first.status).toBe(200);
    expect((await add('k-1')).body).toEqual(first.body);
    expect(await add('k-1', 'other')).toMatchObject({ status: 422, body: { code: 'request.key-reused' } });
    expect(await add('k-2')).toMatchObject({ status: 409, body: { code: 'fabric.network-exists' } });
    expect(await add('')).toMatchObject({ status: 400, body: { code: 'request.bad-key' } });
  });
});

describe('an entity tag', () => {
  test('spares an answer that is known, and binds a change to what was seen', async () => {
    const token = await make('owner');
    const batch = makeBatch();
    await ask('/api/v1/networks', as(token, post({ prefix: 'fd00:78::/64', name: 'tagged' })));
    const added = await ask(
      '/api/v1/groups',
      as(token, post({ label: batch.label, network: 'fd00:78::/64' })),
    );
    expect(added.status).toBe(200);
    const path = `/api/v1/groups/${toHex(batch.gid)}`;
    const tag = (await ask(path, as(token))).headers.get('etag')!;
    expect(tag).toMatch(/^"/);
    const again = await fetch(`http://127.0.0.1:${api.port}${path}`, {
      headers: { ...(as(token).headers as object), 'if-none-match': tag },
    });
    expect([again.status, await again.text()]).toEqual([304, '']);
    const rename = (name: string, match: string) => {
      const init = as(token, post({ name }));
      return ask(path, { ...init, headers: { ...(init.headers as object), 'if-match': match } });
    };
    expect(await rename('one', tag)).toMatchObject({ status: 200 });
    expect(await rename('two', tag)).toMatchObject({
      status: 412,
      body: { code: 'request.precondition-failed' },
    });
    const init = as(token, post({ prefix: 'fd00:79::/64', name: '' }));
    const bound = await ask('/api/v1/networks', {
      ...init,
      headers: { ...(init.headers as object), 'if-match': '*' },
    });
    expect(bound).toMatchObject({ status: 400, body: { code: 'request.no-precondition' } });
  });
});

describe('a token', () => {
  test('opens nothing once it is revoked or has expired', async () => {
    const [owner, other] = [await make('owner'), await make('auditor')];
    expect((await ask('/api/v1/networks', as(other))).status).toBe(200);
    const { body } = await ask('/api/v1/tokens?limit=200', as(owner));
    const { id } = (body.rows as { id: number; role: string }[])
      .filter(({ role }) => role === 'auditor')
      .at(-1)!;
    expect((await ask(`/api/v1/tokens/${id}`, as(owner, { method: 'DELETE' }))).status).toBe(200);
    expect(await ask('/api/v1/networks', as(other))).toMatchObject({
      status: 401,
      body: { code: 'access.bad-token' },
    });
    expect(JSON.stringify(body)).not.toContain('enf_');
  });

  test('that is missing, mistyped or guessed is 401, and the sixth from one address waits', async () => {
    clock += 3_600_001;
    const token = await make('owner');
    for (const wrong of ['', 'Bearer', `Basic ${token}`, `Bearer ${token}x`, 'Bearer enf_']) {
      const answer = await ask('/api/v1/networks', { headers: { authorization: wrong } });
      expect(answer, wrong).toMatchObject({ status: 401, body: { code: 'access.bad-token' } });
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
    expect(await ask('/api/v1/networks', as(token))).toMatchObject({
      status: 429,
      body: { code: 'access.too-many-attempts' },
    });
    clock += 2_000;
    expect((await ask('/api/v1/networks', as(token))).status).toBe(200);
  });
});

describe('a request', () => {
  test.each<[string, number, string, RequestInit?]>([
    ['/api/v1/nothing', 404, 'request.not-found'],
    ['/', 404, 'request.not-found'],
    ['/api/v1/networks', 404, 'request.not-found', { method: 'PUT' }],
    ['/api/v1/networks?limit=0', 400, 'fabric.bad-input'],
    ['/api/v1/networks?limit=abc', 400, 'fabric.bad-input'],
    ['/api/v1/networks?limit=1&limit=2', 400, 'fabric.bad-input'],
    ['/api/v1/networks?size=1', 400, 'fabric.bad-input'],
    ['/api/v1/networks?after=x', 400, 'fabric.bad-cursor'],
    ['/api/v1/devices/non:sense', 400, 'ipv6.bad-address'],
    ['/api/v1/devices/nonsense', 404, 'fabric.unknown-device'],
    ['/api/v1/devices/fd00::1', 404, 'fabric.unknown-device'],
    ['/api/v1/devices/%00', 400, 'fabric.bad-input'],
    ['/api/v1/networks', 400, 'fabric.bad-input', post({ prefix: 'fd00:8::/64' })],
    ['/api/v1/networks', 400, 'fabric.bad-input', post({ prefix: 'fd00:8::/64', name: 'x', more: 1 })],
    ['/api/v1/networks', 400, 'fabric.bad-network', post({ prefix: 'fe80::/64', name: 'x' })],
    ['/api/v1/networks?name=x', 400, 'request.malformed', post({ prefix: 'fd00:8::/64' })],
    ['/api/v1/networks', 400, 'request.malformed', post('{')],
    ['/api/v1/networks', 400, 'request.malformed', post('[]')],
    ['/api/v1/networks', 400, 'request.malformed', post('7')],
    ['/api/v1/networks', 400, 'request.malformed', post(`${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}`)],
    ['/api/v1/networks', 400, 'request.malformed', post(`${'['.repeat(9_000)}${']'.repeat(9_000)}`)],
    ['/api/v1/networks', 400, 'request.malformed', post('{"__proto__":{"a":1}}')],
    ['/api/v1/networks', 415, 'request.bad-type', post('prefix=x', 'application/x-www-form-urlencoded')],
    ['/api/v1/networks', 415, 'request.bad-type', post('x', 'text/plain')],
    ['/api/v1/networks', 413, 'request.too-large', post({ prefix: 'x'.repeat(70_000), name: '' })],
  ])('%s %d %s', async (path, status, code, init = {}) => {
    const answer = await ask(path, as(await make('owner'), init));
    expect(answer).toMatchObject({ status, body: { code } });
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
  });

  test('is told that no fabric is serving, and when to come again', async () => {
    serving = false;
    const answer = await ask('/api/v1/networks', as(await make('owner')));
    serving = true;
    expect(answer).toMatchObject({ status: 503, body: { code: 'fabric.not-serving', remedy: 'retry' } });
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  test('whose operation fails unexpectedly learns nothing of it; the log does', async () => {
    const { of } = registry;
    registry.of = (scope) => ({
      ...of(scope),
      networks: async () => Promise.reject(new Error('a secret path')),
    });
    const answer = await ask('/api/v1/networks', as(await make('owner')));
    registry.of = of;
    expect(answer).toMatchObject({ status: 500, body: { code: 'internal' } });
    expect(JSON.stringify(answer.body)).not.toContain('secret');
    expect(log.at(-1)).toContain('a secret path');
  });

  test('may be repeated 600 times within half a minute', async () => {
    const token = await make('auditor');
    // What has its own rate is a token that the fabric knows.
    expect((await ask('/api/v1/networks', as(token))).status).toBe(200);
    const all = await Promise.all(Array.from({ length: 601 }, () => ask('/api/v1/networks', as(token))));
    expect(all.filter(({ status }) => status === 200)).toHaveLength(600);
    expect(all.find(({ status }) => status !== 200)?.body.code).toBe('request.too-many');
  });
});

test('pages have 50 rows unless another number is asked for, and a cursor', async () => {
  const owner = await make('owner');
  const first = await ask('/api/v1/tokens?limit=2', as(owner));
  const { rows, next } = first.body as { rows: { id: number }[]; next: string };
  expect(rows.map(({ id }) => id)).toEqual([1, 2]);
  const second = await ask(`/api/v1/tokens?limit=1&after=${next}`, as(owner));
  expect(second.body.rows).toMatchObject([{ id: 3 }]);
});

test('a validator that nobody here wrote accepts the document', async () => {
  const document = JSON.parse(JSON.stringify(openApiDocument('1.2.3')));
  const { valid, errors } = await new Validator().validate(document);
  expect([valid, errors]).toEqual([true, undefined]);
  const broken = { ...document, paths: { '/x': { get: { responses: 7 } } } };
  expect((await new Validator().validate(broken)).valid).toBe(false);
});

test('docs/openapi.json is the document of these routes', () => {
  const written = JSON.parse(readFileSync(new URL('../../../docs/openapi.json', import.meta.url), 'utf8'));
  expect(written).toEqual(JSON.parse(JSON.stringify(openApiDocument('0.1.0'))));
});

test.each([
  ['fabric.unknown-device', 'operator', 404],
  ['fabric.network-exists', 'operator', 409],
  ['label.bad-text', 'operator', 400],
  ['registry.locked', 'retry', 503],
  ['registry.diverged', 'operator', 503],
  ['audit.broken', 'operator', 422],
  ['access.forbidden', 'operator', 403],
] as const)('%s with the remedy %s is %d', (code, remedy, status) => {
  expect(statusOf({ code, remedy })).toBe(status);
});
