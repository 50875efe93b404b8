import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { learnedRoots, shownRoots } from '../../../agent/identity/learned-roots.ts';
import { type RootLearner, rootLearner } from '../../../agent/identity/root-learner.ts';
import { openStore, type Store } from '../../../agent/state/state.ts';
import { generateP256, primitives } from '../../../crypto/primitives.ts';
import { type Authority, loadAuthority } from '../../../fabric/pki/authority.ts';
import { install, prepareEnd, prepareRoots } from '../../../fabric/pki/changes.ts';
import { foundAuthority } from '../../../fabric/pki/found.ts';
import { readRootKeys } from '../../../fabric/pki/keys.ts';
import { sign } from '../../../fabric/pki/signing.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { rootSetDigest, setOf } from '../../../protocol/identity/root-update.ts';
import { encodeRootsMessage, NO_DIGEST } from '../../../protocol/tunnel/roots.ts';
import { makeRootCertificate } from '../../../protocol/xtt/certificate.ts';

let folder: string;
let store: Store;
/** A fabric's roots at version 3, whose only root is the second one. */
let authority: Authority;
let base: Uint8Array;
const log: string[] = [];
const noted: unknown[] = [];
let learned = 0;

beforeAll(async () => {
  const data = join(mkdtempSync(join(tmpdir(), 'enf-roots-')), 'fabric');
  await foundAuthority(data, 'test');
  const one = await loadAuthority(data);
  base = one.roots[0]!.pair.xttRoot;
  const two = await install(data, one, await sign(await prepareRoots(data, one), await readRootKeys(data)));
  const keys = await readRootKeys(join(data, 'root-2'));
  authority = await install(data, two, await sign(prepareEnd(two, 1), keys));
  return () => rmSync(join(data, '..'), { recursive: true });
});

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'enf-roots-'));
  store = await openStore(await openFolder(folder));
  log.length = noted.length = 0;
  learned = 0;
});
afterEach(() => rmSync(folder, { recursive: true }));

const learner = (root = base): RootLearner =>
  rootLearner({
    store: async () => store,
    credentialRoot: async () => root,
    wallMs: () => Date.UTC(2029, 0, 1),
    log: (level, message) => log.push(`${level} ${message}`),
    note: (failure) => noted.push(failure),
    onLearned: () => {
      learned++;
    },
  });
const notice = (version: number) => encodeRootsMessage({ kind: 'notice', version });
const known = (version: number) =>
  encodeRootsMessage({
    kind: 'known',
    version,
    digest: version === 1 ? NO_DIGEST : rootSetDigest(primitives, setOf(authority.updates[version - 2]!)),
  });
const update = (version: number) =>
  encodeRootsMessage({ kind: 'update', update: authority.updates[version - 2]! });

describe('a device that is told of roots', () => {
  test('says which it has, takes each update in turn, and says so once it has the newest', async () => {
    const { receive } = learner();
    expect(await receive(notice(3))).toEqual(known(1));
    expect(await receive(update(2))).toBeUndefined();
    expect(await receive(update(3))).toEqual(known(3));
    expect(learned).toBe(2);
    const { pair } = authority.roots[1]!;
    expect(learnedRoots(store.record, base)).toMatchObject({ version: 3, roots: [pair] });
    expect(shownRoots(store.record)).toEqual({ version: 3, learned: '2029-01-01T00:00:00.000Z' });
    // Whichever file a power cut leaves.
    for (const name of ['state-0', 'state-1'])
      expect(readFileSync(join(folder, name), 'utf8')).toContain('"version": 3');
  });

  test('keeps them over a restart, and takes no update twice', async () => {
    const first = learner();
    for (const each of [notice(3), update(2), update(3)]) await first.receive(each);
    store = await openStore(await openFolder(folder));
    const { receive } = learner();
    expect(await receive(notice(3))).toEqual(known(3));
    for (const version of [2, 3]) expect(await receive(update(version))).toBeUndefined();
    expect([noted, learned]).toEqual([[], 2]);
    expect(learnedRoots(store.record, base)?.version).toBe(3);
  });

  test('skips none: an update that only the next root has signed does not count', async () => {
    const { receive } = learner();
    expect(await receive(update(3))).toBeUndefined();
    expect(noted).toMatchObject([{ code: 'roots.bad-update' }]);
    expect(log).toEqual([expect.stringContaining('the roots that were trusted stay')]);
    expect(shownRoots(store.record)).toBeUndefined();
  });

  test('that was made after the first root has ended passes over the updates that led to its own', async () => {
    const second = authority.roots[1]!.pair.xttRoot;
    const { receive } = learner(second);
    expect(await receive(notice(3))).toEqual(known(1));
    expect(await receive(update(2))).toBeUndefined();
    expect(await receive(update(3))).toEqual(known(3));
    expect([noted, learned]).toEqual([[], 1]);
  });

  test('believes no other fabric, and forgets what its former one has said', async () => {
    const stranger = makeRootCertificate(new Uint8Array(16), generateP256().publicKey);
    const { receive } = learner(stranger);
    for (const version of [2, 3]) expect(await receive(update(version))).toBeUndefined();
    expect(noted.length).toBeGreaterThan(0);
    expect(shownRoots(store.record)).toBeUndefined();
    const own = learner();
    for (const each of [notice(3), update(2), update(3)]) await own.receive(each);
    expect(learnedRoots(store.record, stranger)).toBeUndefined();
    expect(await learner(stranger).receive(notice(9))).toEqual(known(1));
  });

  test('hears nothing in what is no message about roots', async () => {
    const { receive } = learner();
    for (const packet of [[], [0xf4], [0xf4, 9], [0xf1, 1, 0, 0, 0, 0]])
      expect(await receive(Uint8Array.from(packet))).toBeUndefined();
    expect(
      await receive(encodeRootsMessage({ kind: 'update', update: new Uint8Array(1_400) })),
    ).toBeUndefined();
    expect(learned).toBe(0);
  });

  test('with a damaged record trusts its credential', () => {
    for (const roots of [
      7,
      {},
      { version: 2 },
      { version: 2, base: 'x', learned: 'x', roots: [{ xtt: 'zz', tls: '' }] },
    ])
      expect(shownRoots({ roots })).toBeUndefined();
  });
});
