import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Authority, loadAuthority, newestRoot, oldestRoot } from '../../../fabric/pki/authority.ts';
import {
  dropRootKeys,
  install,
  prepareEnd,
  prepareRoots,
  prepareRouter,
  prepareServer,
  rootKeyDigests,
  settle,
} from '../../../fabric/pki/changes.ts';
import { foundAuthority } from '../../../fabric/pki/found.ts';
import { openAuthority } from '../../../fabric/pki/keeper.ts';
import { newTlsKey, readRootKeys } from '../../../fabric/pki/keys.ts';
import {
  asked,
  encodeSigning,
  parseAnswer,
  parseRequest,
  type SigningRequest,
  sign,
} from '../../../fabric/pki/signing.ts';
import { routerCertificate } from '../../../fabric/pki/x509.ts';
import { parseTrust } from '../../../protocol/identity/trust.ts';

const base = mkdtempSync(join(tmpdir(), 'enf-keys-'));
const first = join(base, 'first');
let data: string;
let authority: Authority;
let copies = 0;

beforeAll(async () => {
  await foundAuthority(first, 'test');
});
afterAll(() => rmSync(base, { recursive: true }));
beforeEach(async () => {
  data = join(base, `copy-${copies++}`);
  cpSync(first, data, { recursive: true });
  authority = await loadAuthority(data);
});

const keysOf = (number: number) => readRootKeys(number === 1 ? data : join(data, `root-${number}`));
const signed = async (request: SigningRequest) => sign(request, await keysOf(request.root));
const apply = async (request: SigningRequest): Promise<Authority> =>
  install(data, authority, await signed(request));
const rotate = async (): Promise<Authority> => apply(await prepareRoots(data, authority));

/** Everything in the folder but keys that wait, by name. */
function contents(folder = data): Record<string, string> {
  const entries = (
    readdirSync(folder, { recursive: true, withFileTypes: true }) as never as import('node:fs').Dirent[]
  )
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.next'))
    .map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    entries.map((path) => [path, createHash('sha256').update(readFileSync(path)).digest('hex')]),
  );
}

describe('a certificate', () => {
  test('of the identity server or the router is replaced with its key, and the roots stay', async () => {
    const before = authority;
    authority = await apply(await prepareServer(data, authority.roots[0]!));
    authority = await apply(await prepareRouter(data, authority, Date.UTC(2031, 0, 1)));
    expect(authority.roots[0]!.server).not.toEqual(before.roots[0]!.server);
    expect(authority.router).not.toEqual(before.router);
    expect(authority.roots[0]!.pair).toEqual(before.roots[0]!.pair);
    expect(await loadAuthority(data)).toEqual(authority);
    expect(readdirSync(data).filter((name) => name.endsWith('.next'))).toEqual([]);
  });

  test.each([
    ['xtt-server', 'xtt-server.key'],
    ['router', 'router.key'],
  ] as const)('of %s whose key had not got its place when the power went is whole', async (what, name) => {
    const path = join(data, name);
    const former = readFileSync(path);
    const request =
      what === 'router'
        ? await prepareRouter(data, authority)
        : await prepareServer(data, authority.roots[0]!);
    // Before the step: the former certificate, and a key that waits.
    expect(await loadAuthority(data)).toEqual(authority);
    const after = await apply(request);
    // Between the step and the end.
    renameSync(path, `${path}.next`);
    writeFileSync(path, former);
    expect(await loadAuthority(data)).toEqual(after);
    await settle(data, after);
    expect(existsSync(`${path}.next`)).toBe(false);
    expect(await loadAuthority(data)).toEqual(after);
  });

  test('whose key waits for an answer is not touched by the next start', async () => {
    const request = await prepareRouter(data, authority);
    await settle(data, authority);
    expect(existsSync(join(data, 'router.key.next'))).toBe(true);
    expect((await apply(request)).router).not.toEqual(authority.router);
  });
});

describe('an answer', () => {
  test('to an earlier request, of another root or another fabric changes nothing', async () => {
    const stranger = join(base, 'stranger');
    if (!existsSync(stranger)) await foundAuthority(stranger, 'test');
    const before = contents();
    const [outdated, router] = [await prepareRouter(data, authority), await prepareRouter(data, authority)];
    const server = await prepareServer(data, authority.roots[0]!);
    const roots = await prepareRoots(data, authority);
    const foreign = await readRootKeys(stranger);
    const wrong = [
      await signed(outdated),
      await sign(router, foreign),
      await sign(server, foreign),
      await sign(roots, foreign),
      { ...(await signed(router)), root: 2 },
      { ...(await signed(server)), certificate: '00'.repeat(169) },
      { ...(await signed(server)), certificate: '' },
      { ...(await signed(roots)), cross: authority.router.certificate },
      { ...(await signed(roots)), update: '00' },
    ];
    for (const answer of wrong)
      await expect(install(data, authority, answer as never)).rejects.toMatchObject({
        code: 'signing.not-expected',
      });
    rmSync(join(data, 'root-2'), { recursive: true });
    expect(contents()).toEqual(before);
  });

  test('and a request are one line of JSON each, and nothing else is read as one', async () => {
    const request = await prepareRouter(data, authority, Date.UTC(2031, 0, 1));
    const answer = await signed(request);
    for (const each of [encodeSigning(request), encodeSigning(answer)]) expect(each).not.toContain('\n');
    expect(parseRequest(encodeSigning(request))).toEqual(request);
    expect(parseAnswer(encodeSigning(answer))).toEqual(answer);
    const bad = { code: 'signing.bad-text' };
    const texts = [
      '',
      '{}',
      '[]',
      'null',
      '7',
      encodeSigning(request),
      '{"format":"enf-signing-answer-1","root":1,"kind":"toString"}',
    ];
    for (const text of [...texts, encodeSigning({ ...answer, root: 0 }), 'x'.repeat(20_000)])
      expect(() => parseAnswer(text), text.slice(0, 60)).toThrow(expect.objectContaining(bad));
    for (const change of [{ publicKey: 'AA==' }, { publicKey: '!' }])
      await expect(signed({ ...request, ...change } as never)).rejects.toMatchObject(bad);
    for (const change of [{ until: 'soon' }, { publicKey: 7 }, { root: 1.5 }, { rootId: undefined }])
      expect(() => parseRequest(JSON.stringify({ ...request, ...change }))).toThrow(
        expect.objectContaining(bad),
      );
    const late = { ...request, until: '+010000-01-01T00:00:00.000Z' };
    expect(() => parseRequest(JSON.stringify(late))).toThrow(expect.objectContaining(bad));
  });

  test('is given only to what a certificate can be made of', async () => {
    const server = await prepareServer(data, authority.roots[0]!);
    for (const change of [
      { rootId: '00' },
      { rootId: 'x' },
      { publicKey: '04'.repeat(65) },
      { publicKey: '' },
    ])
      await expect(signed({ ...server, ...change } as never)).rejects.toMatchObject({
        code: 'signing.bad-text',
      });
  });

  test('is given only to roots that go on with the one that signs', async () => {
    const other = join(base, `other-${copies++}`);
    await foundAuthority(other, 'test');
    const foreign = await prepareRoots(other, await loadAuthority(other));
    const own = await prepareRoots(data, authority);
    if (own.kind !== 'roots' || foreign.kind !== 'roots') throw new Error('no roots asked for');
    for (const change of [
      { set: foreign.set },
      { set: '' },
      { set: '00000002' },
      { set: `${own.set}00` },
      { publicKey: foreign.publicKey },
      { publicKey: 'AA==' },
    ])
      await expect(signed({ ...own, ...change } as never), JSON.stringify(change)).rejects.toMatchObject({
        code: 'signing.bad-text',
      });
    expect(await signed(own)).toMatchObject({ kind: 'roots' });
  });

  test('says what it gives: the certificates of the roots, as the list of the fabric names them', async () => {
    const request = await prepareRoots(data, authority);
    const next = await install(data, authority, await signed(request));
    const fingerprints = next.roots.map(({ pair }) => ({
      xttRoot: createHash('sha256').update(pair.xttRoot).digest('hex'),
      tlsRoot: createHash('sha256').update(pair.tlsRoot).digest('hex'),
    }));
    expect(asked(request)).toEqual({
      ...{ kind: 'roots', root: 1, until: null },
      roots: { version: 2, fingerprints },
    });
    const router = await prepareRouter(data, next, Date.UTC(2031, 0, 1));
    expect(asked(router)).toMatchObject({ kind: 'router', root: 2, until: '2031-01-01T00:00:00.000Z' });
  });
});

describe('roots', () => {
  test('are two after a rotation: devices of either are served, and the factory has the older one', async () => {
    const trust = readFileSync(join(data, 'trust.json'), 'utf8');
    authority = await rotate();
    expect(authority.version).toBe(2);
    expect(authority.roots.map(({ number, inForce }) => [number, inForce])).toEqual([
      [1, true],
      [2, true],
    ]);
    expect(authority.router.certificate.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(readFileSync(join(data, 'trust.json'), 'utf8')).toBe(trust);
    await expect(prepareRoots(data, authority)).rejects.toMatchObject({ code: 'roots.too-many' });
  });

  test('that have ended are still served, and the factory has the next one', async () => {
    authority = await rotate();
    authority = await apply(prepareEnd(authority, 1));
    expect(authority.version).toBe(3);
    expect(authority.roots.map(({ inForce }) => inForce)).toEqual([false, true]);
    expect(oldestRoot(authority)).toBe(newestRoot(authority));
    const { xttRoot } = parseTrust(readFileSync(join(data, 'trust.json'), 'utf8'));
    expect(xttRoot).toEqual(authority.roots[1]!.pair.xttRoot);
    expect(() => prepareEnd(authority, 1)).toThrow(expect.objectContaining({ code: 'roots.not-in-force' }));
    expect(() => prepareEnd(authority, 2)).toThrow(expect.objectContaining({ code: 'roots.newest' }));
    authority = await rotate();
    expect(authority.roots.map(({ inForce }) => inForce)).toEqual([false, true, true]);
    expect(authority.router.certificate.match(/BEGIN CERTIFICATE/g)).toHaveLength(3);
  });

  test('that no update names count for nothing: of a rotation that the power has cut, or that was given up', async () => {
    await prepareRoots(data, authority);
    expect(await loadAuthority(data)).toEqual(authority);
    const next = await rotate();
    expect(next.roots).toHaveLength(2);
    // The power goes before the bundle for the factory is written.
    authority = next;
    const end = await apply(prepareEnd(authority, 1));
    cpSync(join(first, 'trust.json'), join(data, 'trust.json'));
    await openAuthority(data);
    const { xttRoot } = parseTrust(readFileSync(join(data, 'trust.json'), 'utf8'));
    expect(xttRoot).toEqual(end.roots[1]!.pair.xttRoot);
  });

  test('whose files were mixed with those of another fabric are refused', async () => {
    authority = await rotate();
    const broken = { code: 'fabric.bad-authority' };
    const update = readFileSync(join(data, 'root-update-2'));
    update[40]! ^= 1;
    writeFileSync(join(data, 'root-update-2'), update);
    await expect(loadAuthority(data)).rejects.toMatchObject(broken);
    rmSync(join(data, 'root-update-2'));
    cpSync(join(data, 'root-2', 'router.pem'), join(data, 'router.pem'));
    await expect(loadAuthority(data)).rejects.toMatchObject(broken);
  });

  test('may lose their keys to whoever has copies, and to nobody else', async () => {
    const copy = await rootKeyDigests(data);
    await expect(dropRootKeys(data, 1, { ...copy, tls: copy.xtt })).rejects.toMatchObject({
      code: 'roots.keys-differ',
    });
    expect(existsSync(join(data, 'xtt-root.key'))).toBe(true);
    await dropRootKeys(data, 1, copy);
    expect(await loadAuthority(data)).toEqual(authority);
    await expect(keysOf(1)).rejects.toMatchObject({ code: 'os.no-file' });
    expect(await dropRootKeys(data, 1, copy)).toBe(false);
    // The power went between the two.
    cpSync(join(first, 'tls-root.key'), join(data, 'tls-root.key'));
    await expect(dropRootKeys(data, 1, {})).rejects.toMatchObject({ code: 'roots.keys-differ' });
    expect(await dropRootKeys(data, 1, copy)).toBe(true);
    expect(existsSync(join(data, 'tls-root.key'))).toBe(false);
  });
});

test('a router whose certificate another authority has signed is not replaced by one that its devices do not know', async () => {
  const foreign = { name: 'Enterprise CA', key: newTlsKey().key };
  const own = newTlsKey();
  writeFileSync(join(data, 'router.pem'), routerCertificate({ name: 'router', key: own.key }, foreign));
  writeFileSync(join(data, 'router.key'), own.file);
  authority = await loadAuthority(data);
  await expect(prepareRouter(data, authority)).rejects.toMatchObject({ code: 'roots.foreign' });
  await expect(prepareRoots(data, authority)).rejects.toMatchObject({ code: 'roots.foreign' });
  expect((await apply(await prepareServer(data, authority.roots[0]!))).router).toEqual(authority.router);
});

test('a change that fails behind its step leaves in memory what is on the disk', async () => {
  const keeper = await openAuthority(data);
  const seen: number[] = [];
  keeper.follow(({ version }) => void seen.push(version));
  const failing = keeper.change(async (now) => {
    await install(data, now, await signed(await prepareRoots(data, now)));
    throw new Error('too many open files');
  });
  await expect(failing).rejects.toThrow('too many open files');
  expect([keeper.authority.version, seen]).toEqual([2, [2]]);
});

test('changes come one after the other, and the parts of the fabric have taken each', async () => {
  const keeper = await openAuthority(data);
  const seen: number[] = [];
  keeper.follow(async ({ version }) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    seen.push(version);
  });
  const change = (prepare: (now: Authority) => Promise<SigningRequest>) =>
    keeper.change(async (now) => install(data, now, await signed(await prepare(now))));
  const [one, failed, two] = [
    change((now) => prepareRoots(data, now)),
    change((now) => prepareRoots(data, now)),
    change(async (now) => prepareEnd(now, 1)),
  ];
  await one;
  expect(seen).toEqual([2]);
  await expect(failed).rejects.toMatchObject({ code: 'roots.too-many' });
  await two;
  // What was refused has changed nothing that they would have to take.
  expect(seen).toEqual([2, 3]);
  await keeper.change(async (now) => {
    await prepareRouter(data, now);
    return now;
  });
  expect(seen).toEqual([2, 3]);
  await change((now) => prepareRouter(data, now));
  expect(seen).toEqual([2, 3, 3]);
  expect(keeper.authority.version).toBe(3);
});
