import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TSchema } from 'typebox';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { generateMakerKey, signAsMaker } from '../../../crypto/maker-key.ts';
import { generateP256 } from '../../../crypto/primitives.ts';
import { codeHash } from '../../../fabric/access/codes.ts';
import type { OpenId } from '../../../fabric/access/openid.ts';
import { STREAM_EVENTS } from '../../../fabric/api/account-answers.ts';
import { ACCOUNT_ROUTES } from '../../../fabric/api/account-table.ts';
import { ROUTES } from '../../../fabric/api/routes.ts';
import { type Api, startApi } from '../../../fabric/api/server.ts';
import { estAuthority } from '../../../fabric/est/authority.ts';
import type { ShownProof } from '../../../fabric/est/messages.ts';
import { emptyRegistry, openRegistry } from '../../../fabric/open-registry.ts';
import type { InputOf, OperationName, ViewOf } from '../../../fabric/operations/all.ts';
import { requestFor } from '../../../fabric/operations/contract/request.ts';
import { createToken } from '../../../fabric/operations/people/tokens.ts';
import { rootKeyDigests } from '../../../fabric/pki/changes.ts';
import { foundAuthority } from '../../../fabric/pki/found.ts';
import { openAuthority } from '../../../fabric/pki/keeper.ts';
import { readRootKeys } from '../../../fabric/pki/keys.ts';
import { encodeSigning, parseRequest, sign } from '../../../fabric/pki/signing.ts';
import type { City } from '../../../fabric/registry/records.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { encodeLabel, parseLabel, signLabel } from '../../../protocol/label.ts';
import { pemBody } from '../../../protocol/pem.ts';
import { makeBatch } from '../device.ts';
import { caFolder } from '../openssl-ca.ts';
import type { WholeRegistry as Registry } from '../place.ts';
import { wholeOf } from '../place.ts';
import { applicant } from '../registry/contract/place.ts';
import { requestOf } from '../requests.ts';
import { anyPseudonym, makeRoster, rostered } from '../rosters.ts';
import { differs, pathsIn, pathsOf, sentAs } from '../strict.ts';
import { authenticator } from './authenticator.ts';
import { browser, fabricOf, served, traveller } from './console.ts';
import { CLIENT, issuer } from './issuer.ts';

/*
 * A story in which every request of the API is answered at least once, and every field of every answer has a value at least once.
 */

const folder = mkdtempSync(join(tmpdir(), 'enf-answers-'));
const data = join(folder, 'fabric');
const NETWORK = 'fd00:1:2:3::/64';
const PASSWORD = 'correct horse battery';
const described = new Map<string, TSchema>(
  [...ROUTES, ...ACCOUNT_ROUTES].map(({ name, answer }) => [name, answer]),
);
/** Names of what was answered, and the paths of the fields that had a value. */
const seen = { requests: new Set<string>(), paths: new Set<string>() };

/** Fields that are null as long as something is new, and rows of which only a request has some. */
const NEVER = [
  'events',
  'owner-member.removed',
  'person-role.removed',
  'token-create.revoked',
  'token-create.used',
];

let registry: Registry;
let api: Api;
let token: string;
let online: string | undefined;

beforeAll(async () => {
  await foundAuthority(data, 'test');
  writeFileSync(join(folder, 'registry.db'), emptyRegistry('test'));
  registry = wholeOf(
    await openRegistry(join(folder, 'registry.db'), {
      locate: () => 'CH',
      cityOf: (source) => CITIES[source],
    }),
  );
  const keys = await openAuthority(data);
  const running = {
    presence: async () => (address: Uint8Array) => ({
      online: formatIpv6(address) === online,
      ...(formatIpv6(address) === online && { silentSince: 1_767_323_045_678 }),
    }),
    learned: async () => ({ newest: 1, older: 0, c: 0 }),
    ruleCounts: async () => new Map([[1, { packets: 3, bytes: 180 }]]),
    limited: async () => 7,
  };
  api = await startApi({
    listen: { host: '127.0.0.1', port: 0 },
    ...fabricOf(registry, Date.now, async () => keys, running),
    version: '1.2.3',
    log: () => {},
  });
  const on = { registry, running: { notify: async () => '', ...running }, actor: 'alice', now: Date.now };
  token = (await createToken.run(on, { name: 'story', role: 'host', days: 1 })).token;
});
afterAll(async () => {
  await api.close();
  await registry.close();
  rmSync(folder, { recursive: true });
});

/** Compares an answer with its schema, and remembers what was in it. */
function look(name: string, answer: unknown): void {
  expect(differs(described.get(name), answer), name).toBeUndefined();
  seen.requests.add(name);
  for (const path of pathsIn(described.get(name)!, sentAs(answer), name)) seen.paths.add(path);
}

/** Runs an operation at its route. */
async function run<Name extends OperationName>(name: Name, input: InputOf<Name>): Promise<ViewOf<Name>> {
  const route = ROUTES.find((each) => each.name === name)!;
  const { path, body } = requestFor(route, input);
  const response = await fetch(`http://127.0.0.1:${api.port}/api/v1${path}`, {
    method: route.method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const answer = (await response.json()) as ViewOf<Name>;
  expect([name, response.status, response.status === 200 ? '' : answer]).toEqual([name, 200, '']);
  look(name, answer);
  return answer;
}

/** One with a name, and one of which only the region is known. */
const AROUND = { latitude: 47.5, longitude: 8.72, radiusKm: 20 };
const CITIES: Readonly<Record<string, City>> = {
  '130.59.1.1': { country: 'CH', region: 'Zurich', city: 'Winterthur', point: AROUND },
  '130.59.1.2': { country: 'CH', region: 'Zurich', point: AROUND },
  '130.59.1.3': { country: 'CH', city: 'Winterthur', point: AROUND },
};

const PAGE = { limit: 50 };
const PEER = { source: '130.59.1.1', country: 'CH' };

test('networks, groups and devices are answered as described', async () => {
  const batch = makeBatch();
  const gid = toHex(batch.gid);
  const { gpk, basename } = batch;
  const claimed = { ...PEER, gid: batch.gid, suite: 1, proven: false };
  const knocks = { ...claimed, result: 'fabric.group-not-admitted' };
  for (let knock = 0; knock < 2; knock++)
    await registry.refused({ ...knocks, pseudonym: new Uint8Array(65) });
  await registry.refused({ source: 'unknown', proven: false, result: 'xtt.bad-message' }, 3);
  for (const prefix of [NETWORK, 'fd00:9::/64']) await run('network-add', { prefix, name: 'plant' });
  await run('network-rename', { prefix: NETWORK, name: 'plant 2', note: 'by the river' });
  await run('network-zone', { prefix: NETWORK, zone: 'Plant.Internal.' });
  await run('network-list', { limit: 9 });
  await run('network-zone', { prefix: NETWORK, zone: '' });
  for (const takes of ['resident', 'any'] as const) await run('network-takes', { prefix: NETWORK, takes });
  await run('network-list', { limit: 1 });

  await run('network-remove', { prefix: 'fd00:9::/64' });

  const box = { number: 1, boxes: 2, devices: 5 };
  const label = encodeLabel({ gpk, basename, name: 'batch 7', vendor: 'ACME', count: 9, box });
  await run('label-read', { label });
  const maker = generateMakerKey();
  const signed = await signLabel(parseLabel(label), async (message) =>
    signAsMaker(maker.secret, maker.publicKey, message),
  );
  await run('label-read', { label: signed, maker: pemBody(maker.publicKey) });
  await run('group-add', { label, network: NETWORK, announced: 5 });
  await run('label-read', { label });
  const other = makeBatch('other');
  await run('group-add', { label: other.label, network: NETWORK });
  await run('group-list', { limit: 1 });
  await run('group-remove', { gid: toHex(other.gid) });
  await run('group-change', { gid, name: 'batch 8', most: 4, countries: ['CH'] });
  await run('group-list', PAGE);

  const chips = [1, 2, 3, 4].map((end) =>
    applicant(batch, { source: `130.59.1.${end}`, pseudonym: anyPseudonym() }),
  );
  const [first, second, third, fourth] = (await Promise.all(chips.map((chip) => registry.admit(chip)))).map(
    (address) => ({ address, text: formatIpv6(address) }),
  ) as [Device, Device, Device, Device];
  online = first.text;
  await registry.refused({ ...claimed, result: 'xtt.bad-signature' });
  const kept = { ...applicant(batch, PEER), proven: true, result: 'fabric.group-full' };
  await registry.refused(kept);
  for (let more = 0; more < 60; more++) await registry.admit(chips[0]!);
  registry.connected(first.address, '[2001:db8::7]:4433');
  registry.reported(first.address, { version: '1.1', failure: { code: 'tls.clock', seconds: 60 } });
  registry.clones(first.address, ['192.0.2.1:1', '192.0.2.2:2']);
  registry.disconnected(first.address);
  await run('group-arrivals', { gid });
  await run('group-show', { gid });
  const devices = [{ pseudonym: chips[0]!.pseudonym, serial: 'GW-1', resident: true }, ...rostered(3)];
  const roster = makeRoster(batch.gid, devices, { perBox: 2 });
  await run('roster-begin', { gid, header: roster.header });
  await run('roster-part', { gid, offset: 0, lines: roster.lines.toString('base64') });
  await run('roster-index', { gid });
  await run('roster-show', { gid });
  await run('roster-list', { gid, limit: 1 });
  await run('roster-standing', { gid, change: 'ban', box: 2 });
  await run('group-show', { gid });
  await run('device-name', { address: first.text, name: 'gw-1' });
  await run('roster-list', { gid, ...PAGE });
  await run('device-show', { address: first.text });
  await run('roster-remove', { gid });
  await run('group-status', { gid, status: 'suspended' });
  await run('group-status', { gid, status: 'active' });

  await run('device-name', { address: first.text, name: 'pump-1', note: 'by the door' });
  await run('device-list', { limit: 2 });
  await run('device-show', { address: 'pump-1' });
  await run('device-standing', { address: first.text, change: 'ban' });
  await run('device-standing', { address: first.text, change: 'unban' });
  await run('network-pool', { prefix: NETWORK, pool: 'fd00:a::/48' });
  await run('network-list', { limit: 1 });
  await run('group-delegate', { gid, granted: true });
  await run('group-show', { gid });
  await run('device-delegate', { address: first.text, granted: true });
  await run('device-delegate', { address: second.text, granted: true });
  await run('device-show', { address: first.text });
  await run('delegation-list', { limit: 1, prefix: NETWORK });
  await run('delegation-list', { ...PAGE, prefix: NETWORK });
  await run('group-delegate', { gid, granted: false });
  for (const { text } of [first, second]) await run('device-delegate', { address: text, granted: false });
  await run('delegation-list', { ...PAGE, prefix: NETWORK });
  await run('network-pool', { prefix: NETWORK, pool: '' });
  await run('device-replace', { address: first.text, by: second.text });
  await run('device-register', { network: NETWORK, key: toHex(generateP256().publicKey) });
  await run('device-retire', { address: third.text });
  await run('device-list', PAGE);
  await run('device-show', { address: second.text });
  for (const { text } of [third, fourth]) await run('device-show', { address: text });

  const named = { network: NETWORK, note: 'for repairs', devices: `group:${gid}`, traffic: 'tcp/22' };
  await run('rule-add', { ...named, action: 'allow', direction: 'out', with: 'network:plant 2' });
  await run('rule-add', { ...named, action: 'allow', direction: 'in', with: 'device:pump-1' });
  await run('rule-list', { ...PAGE, network: NETWORK });
  await run('rule-list', { limit: 1, network: NETWORK });
  await run('rule-test', { from: 'pump-1', to: fourth.text, traffic: 'tcp/22' });
  const { view: moved } = await run('rule-move', { id: 2, place: 1 });
  await run('rule-remove', { id: moved.id });

  await run('limit-max', { network: NETWORK, packets: 90, bytes: 900_000 });
  await run('limit-set', { network: NETWORK, direction: 'in', packets: 9 });
  for (const devices of [`group:${gid}`, 'device:pump-1'])
    await run('limit-set', { network: NETWORK, devices, packets: 8, bytes: 80_000 });
  await run('limit-list', { limit: 1, network: NETWORK });
  await run('limit-list', { ...PAGE, network: NETWORK });
  await run('device-show', { address: 'pump-1' });
  for (const devices of ['any', 'device:pump-1']) await run('limit-remove', { network: NETWORK, devices });

  await run('device-count', { gid, change: 'ban' });
  for (const standing of ['active', 'retired'] as const) {
    const { id } = await run('device-bulk', { standing, change: 'ban' });
    await expect.poll(async () => (await run('job-show', { id })).state).toBe('done');
    await run('job-cancel', { id });
  }
  await run('job-list', {});
  expect(fourth.text).toContain('fd00:');
});

interface Device {
  readonly address: Uint8Array;
  readonly text: string;
}

test('CAs are answered as described', async () => {
  const files = caFolder();
  const root = files.ca({ subject: '/CN=root' });
  const issuing = files.ca({ subject: '/CN=issuing', by: root });
  const derOf = (pem: string): string => pem.replaceAll(/-----[^-]+-----|\s/g, '');
  const certificates = [root, issuing].map(({ pem }) => derOf(pem));
  const ca = { name: 'plant CA', networks: [NETWORK] };
  await run('pki-preview', { certificates });
  const { view } = await run('pki-add', { ...ca, certificates, admits: 'anybody' });
  const { id } = view;
  await run('pki-import', { id, devices: [{ address: 'fd00:1:2:3:1::1', serial: '1' }] });
  await run('pki-crl', { id, crl: derOf(files.crl(root, ['4711'])) });
  await run('pki-crl-from', { id, url: 'http://crl.example.org/ca.crl' });
  const [due] = await registry.dueLists(1);
  await registry.recordFetch(due!, { kind: 'fetched', due: 1 });
  await run('pki-list', {});
  await registry.recordFetch(due!, { kind: 'failed', due: 1, error: 'HTTP 404' });
  await run('pki-revoke', { id, serial: '4712', reason: 'lost' });
  const groups = await run('group-list', PAGE);
  const { gid } = groups.rows.find((row) => row.ca === id)!;
  await run('group-show', { gid });
  await run('group-change', { gid, name: 'plant CA 2' });
  await run('group-status', { gid, status: 'suspended' });
  await run('pki-list', {});
  await run('pki-remove', { id });
  files.remove();
});

test('a CA of the fabric, its codes and what it issues are answered as described', async () => {
  const { view } = await run('pki-create', { name: 'plant devices', networks: [NETWORK] });
  const { id } = view.ca;
  await run('pki-list', {});
  await run('pki-renew', { id, certificateDays: 30 });
  const files = caFolder();
  const certificates = [files.ca({ subject: '/CN=maker' }).pem.replaceAll(/-----[^-]+-----|\s/g, '')];
  files.remove();
  const added = await run('pki-add', {
    ...{ name: 'maker', certificates, networks: [NETWORK], admits: 'listed' },
  });
  const maker = added.view.id;
  await run('pki-enrols', { id: maker, network: NETWORK });
  await run('pki-list', {});
  await run('pki-enrols', { id: maker, network: '' });
  await run('pki-remove', { id: maker });
  const network = { network: NETWORK };
  const { codes } = await run('code-add', { ...network, name: 'pump-2', address: 'fd00:1:2:3:e::1' });
  await run('code-add', { ...network, count: 2, hours: 1 });
  const authority = estAuthority(registry, data);
  const enrol = (proof: ShownProof) =>
    authority({
      kind: 'certificate',
      proof,
      request: requestOf({ subject: 'fd00:1:2:3:e::1' }),
      source: '::1',
    });
  const [first] = await enrol({ code: codeHash(codes[0]!.code)! });
  await enrol({ certificate: first! });
  const issued = await run('pki-issued', { ...PAGE, ca: id });
  await run('pki-issued', { limit: 1 });
  await run('code-list', { limit: 1 });
  const [renewal, original] = issued.rows;
  await run('pki-revoke', { id, serial: renewal!.serial, reason: 'lost' });
  await run('pki-revoke', { id, serial: renewal!.serial, reason: 'lost', lineage: true });
  await run('pki-issued', { ...PAGE, address: original!.address });
  await run('code-list', PAGE);
  const open = (await run('code-list', PAGE)).rows.find(({ state }) => state === 'open')!;
  await run('code-withdraw', { id: open.id });
  await run('code-list', PAGE);
  await run('pki-remove', { id });
});

test('handshakes, numbers and the audit trail are answered as described', async () => {
  await run('handshake-list', PAGE);
  await run('handshake-list', { limit: 1 });
  await run('handshake-hours', {});
  await run('handshake-countries', {});
  await run('handshake-places', { limit: 9 });
  await run('handshake-counts', {});
  await run('privacy-change', { addresses: 'cut', days: 30 });
  await run('privacy-show', {});
  await run('overview', {});
  await run('audit-list', { limit: 1 });
  await run('audit-list', PAGE);
  await run('audit-verify', {});
  await run('audit-accept-loss', {});
});

test('alarms, hooks, people, tokens and certificates are answered as described', async () => {
  const finding = { kind: 'disk.full-soon', owner: 0, subject: '/var', detail: { free: 1 } } as const;
  for (const subject of ['/var', '/srv']) await registry.recordFindings([], [{ ...finding, subject }], 0);
  await registry.recordFindings([], [{ ...finding, kind: 'group.over-announced', owner: 1 }], 0);
  const { rows } = await run('alarm-list', { limit: 1 });
  await run('alarm-acknowledge', { id: rows[0]!.id });
  await run('alarm-list', PAGE);
  await registry.recordFindings([finding.kind], [], -1);
  await run('alarm-list', { ...PAGE, state: 'ended' });

  const { id } = await run('hook-add', { name: 'pager', url: 'https://hooks.example.org/x' });
  await run('hook-list', {});
  await run('hook-test', { id });
  await run('hook-test', { id });
  const [delivery] = await registry.dueDeliveries(1);
  await registry.recordAttempt(delivery!.id, { kind: 'given-up', error: 'HTTP 500' });
  await run('hook-deliveries', { id, ...PAGE });
  await run('hook-deliveries', { id, limit: 1 });
  await run('delivery-retry', { id: delivery!.id });
  await run('hook-remove', { id });

  const made = await run('token-create', { name: 'x', role: 'auditor', days: 1 });
  await run('token-revoke', { id: made.id });
  await run('token-list', { limit: 1 });
  await run('token-list', PAGE);

  await run('certificate-list', {});
  const { requests } = await run('certificate-rotate', { what: 'router', request: true });
  const signed = await sign(parseRequest(requests[0]!), await readRootKeys(data));
  await run('certificate-install', { answer: encodeSigning(signed) });
  const copies = await rootKeyDigests(data);
  await run('certificate-rotate', { what: 'router', days: 30 });
  await run('root-rotate', {});
  await run('root-end', { number: 1 });
  await run('root-keys-drop', { number: 1, ...copies });
});

test('signing in, and what people do for themselves, is answered as described', async () => {
  const there = browser(api);
  const send = async (name: string, body?: object, path?: string): Promise<Record<string, unknown>> => {
    const route = ACCOUNT_ROUTES.find((each) => each.name === name)!;
    const answer = await there.send(route.method, path ?? route.path, body);
    expect([name, answer.status, answer.status === 200 ? '' : answer.body]).toEqual([name, 200, '']);
    look(name, answer.body);
    return answer.body;
  };
  const enter = async (name: string): Promise<void> => {
    const { invite } = await run('person-invite', { role: 'operator', hours: 1 });
    await send('setup', { invite, name, password: PASSWORD });
  };
  await enter('Eve');
  await run('person-invite', { role: 'operator', hours: 1 });
  await run('person-invite', { role: 'host', hours: 1, login: 'eve@example.org' });
  const { rows: open } = await run('invite-list', PAGE);
  await run('invite-list', { limit: 1 });
  await run('invite-withdraw', { id: open[0]!.id });
  await run('person-role', { person: 'Eve', role: 'auditor' });
  await run('person-remove', { person: 'Eve' });
  await enter('Anna');
  await send('me');
  await send('password-change', { current: PASSWORD, password: `${PASSWORD} 2` });
  await send('recovery-codes', {});
  await send('recovery-codes-left');
  const key = authenticator();
  const options = await send('passkey-options', {});
  await send('passkey-add', { name: 'laptop', response: key.create(options, there.origin) });
  await send('confirm', { password: `${PASSWORD} 2` });
  const again = await send('passkey-confirm-options', {});
  await send('passkey-confirm', { response: key.get(again, there.origin) });
  await send('sign-out');
  const asked = await send('passkey-sign-in-options', {});
  await send('passkey-sign-in', { response: key.get(asked, there.origin) });
  const { rows } = await send('passkey-list');
  await run('person-role', { person: 'Anna', role: 'owner' });
  await send('sign-in', { name: 'Anna', password: `${PASSWORD} 2` });
  await send('passkey-remove', undefined, `/passkeys/${(rows as { id: number }[])[0]!.id}`);
  await run('person-list', { limit: 1 });
  await run('person-list', PAGE);
  await send('sign-out-everywhere');
});

test('accounts elsewhere are answered as described', async () => {
  const at = await issuer();
  const login = 'berta@example.org';
  at.claims = { sub: 'u-1', email: login, email_verified: true, name: 'Berta' };
  const origin = 'http://localhost:8480';
  const openid: OpenId = {
    ...{ issuer: new URL(at.url), clientId: CLIENT.id, secret: CLIENT.secret, name: 'Example' },
    ...{ claim: 'email', domains: [], role: 'auditor' },
  };
  const elsewhere = await served(registry, { openid, origin });
  const there = traveller(elsewhere);
  const send = async (name: string, body?: object): Promise<void> => {
    const { method, path } = ACCOUNT_ROUTES.find((each) => each.name === name)!;
    const answer = await there.send(method, path, body);
    expect([name, answer.status, answer.status === 200 ? '' : answer.body]).toEqual([name, 200, '']);
    look(name, answer.body);
  };
  await run('person-invite', { role: 'operator', hours: 1, login });
  await send('sign-in-ways');
  await send('account-sign-in', {});
  expect(await there.signIn()).toBe('/');
  await send('account-confirm', {});
  expect(await there.comeBack(await there.travel('/session/confirm/account'))).toBe('/');
  await send('account-list');
  await send('account-add', {});
  await send('password-change', { password: PASSWORD });
  await send('account-remove', { issuer: at.url });
});

test('owners are answered as described', async () => {
  await run('owner-add', { name: 'acme' });
  await run('owner-lend', { owner: 'acme', prefix: 'fd00:8::/48' });
  await run('owner-lend', { owner: 'acme', prefix: 'fd00:9::/48' });
  await run('owner-take-back', { owner: 'acme', prefix: 'fd00:9::/48' });
  // The host's networks are the first owner's.
  await run('owner-lend', { owner: 'default', prefix: 'fd00:7::/48' });
  await run('prefix-list', {});
  await run('owner-take-back', { owner: 'default', prefix: 'fd00:7::/48' });
  await run('owner-rename', { owner: 'acme', name: 'umbra' });
  await run('owner-member', { owner: 'umbra', person: 'Anna', role: 'auditor' });
  await run('owner-list', { limit: 1 });
  await run('owner-list', PAGE);
  await run('owner-close', { owner: 'umbra' });
});

test('nodes are answered as described', async () => {
  const node = { version: '1.2.3', installation: new Uint8Array(32) };
  await registry.join({ ...node, name: 'a', address: '2001:db8::a' });
  await run('node-drain', { node: 'a' });
  await run('node-show', { node: 'a' });
  await registry.leave();
  await registry.join({ ...node, name: 'b' });
  await run('node-list', { limit: 1 });
  await run('node-list', PAGE);
  await run('node-resume', { node: 'a' });
  await run('node-drain', { node: 'a' });
  await run('node-remove', { node: 'a' });
  const batch = makeBatch('nodes');
  await run('group-add', { label: batch.label, network: NETWORK });
  const address = await registry.admit(applicant(batch));
  await registry.attach(address);
  await run('device-list', { ...PAGE, node: 'b' });
  await run('device-show', { address: formatIpv6(address) });
});

test('events are as described', async () => {
  const stop = new AbortController();
  const headers = { authorization: `Bearer ${token}`, 'last-event-id': '1' };
  const response = await fetch(`http://127.0.0.1:${api.port}/api/v1/events`, {
    headers,
    signal: stop.signal,
  });
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  const batch = makeBatch('events');
  await run('group-add', { label: batch.label, network: NETWORK });
  const address = await registry.admit(applicant(batch));
  await run('network-rename', { prefix: NETWORK, name: 'plant 3' });
  await run('device-standing', { address: formatIpv6(address), change: 'evict' });
  await run('group-status', { gid: toHex(batch.gid), status: 'suspended' });
  await run('node-drain', { node: 'b' });
  const told = new Set<string>();
  const isOver = (): boolean => told.size === Object.keys(STREAM_EVENTS).length;
  let text = '';
  const reader = response.body!.getReader();
  while (!isOver()) {
    const { value, done } = await reader.read();
    if (done) break;
    const blocks = (text + new TextDecoder().decode(value)).split('\n\n');
    text = blocks.pop()!;
    for (const block of blocks) {
      const [, name, sent] = /^event: (.*)\ndata: (.*)$/m.exec(block) ?? [];
      if (name === undefined) continue;
      expect(differs(STREAM_EVENTS[name], JSON.parse(sent!)), name).toBeUndefined();
      told.add(name);
    }
  }
  stop.abort();
  seen.requests.add('events');
  expect([...told].sort()).toEqual(Object.keys(STREAM_EVENTS).sort());
});

test('every request was answered: a new one needs a schema, and a place in this story', () => {
  expect([...described.keys()].filter((name) => !seen.requests.has(name))).toEqual([]);
});

test('every field of every answer has had a value', () => {
  const all = new Set([...described].flatMap(([name, schema]) => pathsOf(schema, name)));
  expect([...all].filter((path) => !seen.paths.has(path)).sort()).toEqual(NEVER);
});
