import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Config, parseConfig } from '../../../agent/config/config.ts';
import { type EnrolledSession, enrolledIdentity } from '../../../agent/identity/enrolled.ts';
import { openStore, type Store } from '../../../agent/state/state.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { toPem } from '../../../protocol/identity/roots.ts';
import { type EstAnswer, type EstRequest, type EstServer, startEstServer } from '../est-server.ts';
import { temporaryFolder } from '../folders.ts';

const ADDRESS = 'fd00:e4f:1:0:a::1';
const DAY = 86_400;

let server: EstServer;
beforeAll(async () => {
  server = await startEstServer();
});
afterAll(() => server.close());
beforeEach(() => {
  delete server.usual.answer;
  server.usual.to = 90 * DAY;
});

/** A name that is not among those of the server's certificate. */
const lookup = async (host: string): Promise<readonly string[]> => {
  expect(host).toBe('est.example');
  return ['127.0.0.1'];
};

let codes = 0;
const newCode = (address = ADDRESS): string => {
  const code = `code-${++codes}`;
  server.codes.set(code, address);
  return code;
};

interface Device {
  readonly session: EnrolledSession;
  readonly store: Store;
  readonly notes: unknown[];
  readonly now: { wallMs: number; steadyMs: number };
}

async function device(
  more: { identity?: string; remote?: string; timeout?: string } = {},
): Promise<Device & { readonly config: Config; readonly state: string }> {
  const state = temporaryFolder();
  const config = parseConfig(
    `[remote]
    hosts = ["127.0.0.1"]
    connect-timeout = "${more.timeout ?? '3s'}"
    ${more.remote ?? `tls-root = "${server.tlsRoot}"`}
    [identity]
    mode = "pki"
    key-in = "file"
    ${more.identity ?? `est-server = "${server.url}"`}
    [state]
    directory = "${state}"`,
    'test',
  );
  const store = await openStore(await openFolder(state));
  const now = { wallMs: Date.now(), steadyMs: 0 };
  const notes: unknown[] = [];
  const session = enrolledIdentity({
    ...{ config, store: async () => store, lookup, proxy: undefined, mark: 0 },
    ...{ wallMs: () => now.wallMs, steadyMs: () => now.steadyMs, log: () => {} },
    ...{ note: (failure: unknown) => void notes.push(failure), stopping: new AbortController().signal },
  });
  return { session, store, notes, now, config, state };
}

const failure = async (
  work: Promise<unknown>,
): Promise<{ code: string; remedy: string; message: string }> => {
  const error = await work.then(
    () => new Error('it was accepted'),
    (caught: unknown) => caught,
  );
  if (!isFailure(error)) throw error;
  return { code: error.code, remedy: error.remedy, message: error.message };
};

/** The answer to an enrolment or a renewal; the CAs are told as always. */
const answering = (answer: (request: EstRequest, usual: () => EstAnswer) => EstAnswer | undefined): void => {
  server.usual.answer = (request, usual) =>
    request.operation === 'cacerts' ? usual() : answer(request, usual);
};
const ok = (body: string | Buffer): EstAnswer => ({ status: 200, body });

test('with a code a device has a certificate for a key of its own, and TLS takes both', async () => {
  const { session, store } = await device();
  expect(await failure(session.prepare())).toMatchObject({ code: 'pki.not-enrolled', remedy: 'operator' });
  const before = server.requests.length;
  const view = await session.enroll(newCode(), false);
  expect(view).toMatchObject({ address: ADDRESS, key: 'file' });
  const days = (Date.parse(view.notAfter) - Date.parse(view.notBefore)) / (1_000 * DAY);
  expect(days).toBeCloseTo(90, 1);
  const asked = server.requests.slice(before);
  expect(asked.map(({ operation }) => operation)).toEqual(['cacerts', 'simpleenroll']);
  expect(asked[1]!.text).toMatch(/ecdsa-with-SHA256/);
  expect(await session.prepare()).toEqual({ kind: 'connect', address: ADDRESS });
  const { certificate, key, names, ca } = await session.tls();
  createSecureContext({ cert: toPem(certificate), key: String(key) });
  expect([names, ca]).toEqual([['127.0.0.1'], readFileSync(server.tlsRoot, 'utf8')]);
  expect(store.record.enrolment).toMatchObject({ current: { address: ADDRESS, key: { kind: 'software' } } });
  expect(store.record.enrolment).not.toHaveProperty('pending');
});

test('a renewal is for another key at the same address, proved by the present certificate; the former one stays until the new one is taken', async () => {
  const { session, store, state } = await device();
  await session.enroll(newCode(), false);
  await session.prepare();
  const first = await session.tls();
  const enrolled = server.requests.at(-1)!;
  expect(await session.provision()).toBe(ADDRESS);
  const renewed = server.requests.at(-1)!;
  expect([renewed.operation, renewed.client !== undefined, renewed.code]).toEqual([
    'simplereenroll',
    true,
    undefined,
  ]);
  expect(renewed.key).not.toBe(enrolled.key);
  // RFC 7030 §4.2.2: the same names.
  expect(renewed.text).toMatch(/IP Address:FD00:E4F:1:0:A:0:0:1/);
  expect(store.record.enrolment?.former?.address).toBe(ADDRESS);
  const second = await session.tls();
  expect(second.certificate).not.toEqual(first.certificate);
  await session.heard('taken');
  expect(store.record.enrolment).toEqual({ current: store.record.enrolment!.current });
  // Neither of the two files has the former key any more.
  const former = String(first.key).split('\n')[1]!;
  const hex = Buffer.from(former, 'base64').toString('hex').slice(14, 78);
  for (const name of ['state-0', 'state-1'])
    expect(readFileSync(join(state, name), 'utf8')).not.toContain(hex);
  expect((await session.tls()).certificate).toEqual(second.certificate);
});

test('a renewed certificate that the fabric does not take gives the former one its turn; whichever is taken stays', async () => {
  const { session, notes, now } = await device();
  await session.enroll(newCode(), false);
  await session.prepare();
  const first = (await session.tls()).certificate;
  await session.provision();
  const second = (await session.tls()).certificate;
  await session.heard('refused');
  expect((await session.tls()).certificate).toEqual(first);
  await session.heard('refused');
  expect((await session.tls()).certificate).toEqual(second);
  await session.heard('refused');
  await session.tls();
  await session.heard('taken');
  expect((await session.tls()).certificate).toEqual(first);
  expect(notes).toMatchObject([{ code: 'pki.renewal-not-taken' }]);
  // Not again and again.
  const before = server.requests.length;
  expect(await failure(session.provision())).toMatchObject({
    code: 'pki.renewal-not-taken',
    remedy: 'retry',
  });
  expect(server.requests.length).toBe(before);
  now.steadyMs += 3_600_000;
  expect(await session.provision()).toBe(ADDRESS);
  // Without a former one nothing is exchanged.
  await session.tls();
  await session.heard('taken');
  const third = (await session.tls()).certificate;
  await session.heard('refused');
  expect((await session.tls()).certificate).toEqual(third);
});

test('whoever has a certificate is asked whether it is to be replaced, and a code of another address gives that', async () => {
  const { session, store } = await device();
  await session.enroll(newCode(), false);
  expect(await failure(session.enroll(newCode(), false))).toMatchObject({ code: 'agent.not-confirmed' });
  const other = 'fd00:e4f:1:0:a::2';
  expect(await session.enroll(newCode(other), true)).toMatchObject({ address: other });
  expect(store.record.enrolment).toEqual({ current: store.record.enrolment!.current });
  expect(await session.prepare()).toEqual({ kind: 'connect', address: other });
});

test('a code that is wrong, was used, or could not be sent is refused with what to do', async () => {
  const { session } = await device();
  const code = newCode();
  expect(await failure(session.enroll('nonsense', false))).toMatchObject({
    code: 'est.wrong-code',
    remedy: 'operator',
    message: expect.stringContaining('no such code'),
  });
  for (const bad of ['', 'a b', 'ä', 'x'.repeat(257)])
    expect(await failure(session.enroll(bad, false))).toMatchObject({ code: 'est.bad-code' });
  await session.enroll(code, false);
  expect(await failure((await device()).session.enroll(code, false))).toMatchObject({
    code: 'est.wrong-code',
    message: expect.stringContaining('was used'),
  });
});

test('an address that is configured is asked for, and no other is taken', async () => {
  const { session } = await device({ identity: `est-server = "${server.url}"\naddress = "${ADDRESS}"` });
  expect(await failure(session.enroll(newCode('fd00:e4f:1:0:a::9'), false))).toMatchObject({
    code: 'est.bad-certificate',
  });
  expect(server.requests.at(-1)!.text).toMatch(/IP Address:FD00:E4F:1:0:A:0:0:1/);
  expect(await session.enroll(newCode(), false)).toMatchObject({ address: ADDRESS });
});

type Hostile = readonly [
  what: string,
  code: string,
  answer: (request: EstRequest) => EstAnswer | undefined,
  message?: RegExp,
];
const other = 'fd00:e4f:1:0:a::2';
const chain = (issued: string, ...more: string[]): EstAnswer => ok(server.bundle(issued, ...more));
const HOSTILE: readonly Hostile[] = [
  ['an endless body', 'net.bad-answer', () => ok('A'.repeat(1_000_000)), /more than 65536 bytes/],
  ['a page of a portal', 'est.bad-answer', () => ok('<html>log in</html>')],
  ['no certificate', 'est.bad-answer', () => ok('')],
  ['a redirect', 'est.bad-answer', () => ({ status: 302, headers: { location: '/' }, body: '' })],
  [
    'a PKCS #7 that ends too early',
    'est.bad-answer',
    () => ok(Buffer.from(server.bundle(server.issue({ addresses: [ADDRESS] })), 'ascii').subarray(0, 400)),
  ],
  ['deep nesting', 'est.bad-answer', () => ok(Buffer.from('3082'.repeat(10_000), 'hex').toString('base64'))],
  [
    'seventeen certificates',
    'est.bad-answer',
    () => chain(...([server.issue({ addresses: [ADDRESS] }), ...Array(16).fill(server.ca)] as [string])),
  ],
  [
    'a certificate of another key',
    'est.bad-certificate',
    () => chain(server.issue({ addresses: [ADDRESS], key: server.makeKey() })),
    /another key/,
  ],
  ['only its CA', 'est.bad-certificate', () => chain(server.ca), /another key/],
  [
    'two of our key',
    'est.bad-certificate',
    () => chain(server.issue({ addresses: [ADDRESS] }), server.issue({ addresses: [other] })),
    /another one for the same key/,
  ],
  [
    'one of a foreign CA',
    'est.bad-certificate',
    () => chain(server.issue({ addresses: [ADDRESS], by: server.makeCa('foreign') })),
    /not vouched for/,
  ],
  [
    'two addresses',
    'est.bad-certificate',
    () => chain(server.issue({ addresses: [ADDRESS, other] })),
    /several/,
  ],
  ['no address', 'est.bad-certificate', () => chain(server.issue({ addresses: [] })), /no IPv6/],
  [
    'an expired certificate',
    'est.not-valid-now',
    () => chain(server.issue({ addresses: [ADDRESS], from: -2 * DAY, to: -DAY })),
    /the clock of this device says/,
  ],
  [
    'one that is not valid yet',
    'est.not-valid-now',
    () => chain(server.issue({ addresses: [ADDRESS], from: DAY, to: 2 * DAY })),
  ],
  [
    'words instead of a certificate',
    'est.refused',
    () => ({
      status: 403,
      headers: { 'content-type': 'text/plain' },
      body: 'est.banned: you are banned\nsecond line',
    }),
    /est.banned: you are banned\)/,
  ],
  [
    'words that a terminal obeys',
    'est.refused',
    () => ({ status: 403, headers: { 'content-type': 'text/plain' }, body: '\u001b[2J' }),
    /\(403\)/,
  ],
  [
    'a wait',
    'est.try-later',
    () => ({ status: 202, headers: { 'retry-after': '600' }, body: '' }),
    /in 600 s/,
  ],
  [
    'too many at once',
    'est.try-later',
    () => ({ status: 503, headers: { 'retry-after': 'soon' }, body: '' }),
    /later/,
  ],
  ['nothing at all', 'net.timeout', () => undefined],
];

for (const [what, code, answer, message = /./] of HOSTILE) {
  test(`the answer is ${what}: refused, at first and at a renewal, and all is as it was`, async () => {
    const { session, store } = await device({ timeout: '1s' });
    const good = newCode();
    answering((request) => answer(request));
    const first = await failure(session.enroll(good, false));
    expect(first).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(store.record.enrolment).not.toHaveProperty('current');
    // The same key gets its certificate from a server that has come to its senses.
    delete server.usual.answer;
    const key = server.requests.at(-1)!.key;
    await session.enroll(good, false);
    expect(server.requests.at(-1)!.key).toBe(key);
    await session.prepare();
    const before = store.record.enrolment!.current;
    answering((request) => answer(request));
    expect(await failure(session.provision())).toMatchObject({ code });
    expect(store.record.enrolment).toMatchObject({ current: before });
    expect(store.record.enrolment).not.toHaveProperty('former');
    expect((await session.tls()).address).toBe(ADDRESS);
  });
}

test('an address that no machine may have is refused', async () => {
  const { session, store } = await device();
  expect(await failure(session.enroll(newCode('::1'), false))).toMatchObject({
    code: 'agent.unusable-identity',
  });
  expect(store.record.enrolment).not.toHaveProperty('current');
});

test('a renewal with another address is refused', async () => {
  const { session } = await device();
  await session.enroll(newCode(), false);
  await session.prepare();
  answering(() => chain(server.issue({ addresses: [other] })));
  expect(await failure(session.provision())).toMatchObject({ code: 'est.bad-certificate' });
});

test('a server that wants to be left alone is not asked for a renewal before; whoever has a code may ask', async () => {
  const { session, now } = await device();
  await session.enroll(newCode(), false);
  await session.prepare();
  answering(() => ({ status: 429, headers: { 'retry-after': '600' }, body: '' }));
  await failure(session.provision());
  delete server.usual.answer;
  const before = server.requests.filter(({ operation }) => operation !== 'cacerts').length;
  expect(await failure(session.provision())).toMatchObject({ code: 'est.try-later' });
  expect(server.requests.filter(({ operation }) => operation !== 'cacerts').length).toBe(before);
  expect(await session.enroll(newCode(), true)).toMatchObject({ address: ADDRESS });
  now.steadyMs += 600_000;
  expect(await session.provision()).toBe(ADDRESS);
});

test('a revoked certificate gets no other one, and stays', async () => {
  const { session, store } = await device();
  await session.enroll(newCode(), false);
  await session.prepare();
  const { certificate } = await session.tls();
  server.revoked.add(new X509Certificate(certificate).serialNumber);
  expect(await failure(session.provision())).toMatchObject({
    code: 'est.refused',
    remedy: 'operator',
    message: expect.stringContaining('was revoked'),
  });
  expect((await session.tls()).certificate).toEqual(certificate);
  expect(store.record.enrolment).not.toHaveProperty('former');
});

test('a server of another root, or with another name, gets nothing of the code', async () => {
  const code = newCode();
  const before = server.requests.length;
  const foreign = join(temporaryFolder(), 'root.pem');
  writeFileSync(foreign, server.ca);
  const { session: strange } = await device({ remote: `tls-root = "${foreign}"` });
  expect(await failure(strange.enroll(code, false))).toMatchObject({
    code: 'tls.untrusted-server',
    remedy: 'retry',
  });
  const identity = `est-server = "${server.url.replace('127.0.0.1', 'est.example')}"`;
  const { session: misnamed } = await device({ identity });
  expect(await failure(misnamed.enroll(code, false))).toMatchObject({
    code: 'tls.wrong-name',
    remedy: 'retry',
  });
  const { session: rootless } = await device({ remote: '' });
  expect(await failure(rootless.enroll(code, false))).toMatchObject({ code: 'agent.no-tls-root' });
  expect(server.requests.length).toBe(before);
});

test('a key that does not load here any more needs another code', async () => {
  const { session, store } = await device();
  await session.enroll(newCode(), false);
  const { current } = store.record.enrolment!;
  const broken = { ...current!, key: { kind: 'software' as const, der: '00' } };
  await store.update((record) => ({ ...record, enrolment: { current: broken } }));
  expect(await failure(session.prepare())).toMatchObject({ code: 'pki.key-lost', remedy: 'operator' });
  expect(await session.enroll(newCode(), true)).toMatchObject({ address: ADDRESS });
  expect(await session.prepare()).toEqual({ kind: 'connect', address: ADDRESS });
});

test('a device that is out of service gets no certificate', async () => {
  const { session, store } = await device();
  await store.update(() => ({ decommissioned: { at: '2026-01-01T00:00:00.000Z', told: true } }));
  expect(await failure(session.enroll(newCode(), false))).toMatchObject({ code: 'agent.out-of-service' });
});

test('intermediates are shown with the certificate, and the root is not', async () => {
  const middle = server.makeCa('middle', server.devices);
  const pem = readFileSync(middle.file, 'utf8');
  server.usual.answer = ({ operation }) =>
    operation === 'cacerts'
      ? ok(server.bundle(server.ca, pem))
      : chain(server.issue({ addresses: [ADDRESS], by: middle }));
  const { session, store } = await device();
  await session.enroll(newCode(), false);
  const saved = store.record.enrolment!.current!.chain;
  const intermediate = new X509Certificate(pem).raw.toString('hex');
  expect([saved.length, saved[1]]).toEqual([2, intermediate]);
  const { certificate } = await session.tls();
  expect(Buffer.from(certificate).toString('hex')).toBe(saved.join(''));
});
