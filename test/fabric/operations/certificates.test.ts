import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listAudit } from '../../../fabric/operations/audit.ts';
import {
  dropKeys,
  endRoot,
  installCertificate,
  listCertificates,
  rotateCertificate,
  rotateRoots,
} from '../../../fabric/operations/certificates.ts';
import type { Context } from '../../../fabric/operations/contract/operation.ts';
import { rootKeyDigests } from '../../../fabric/pki/changes.ts';
import { foundAuthority } from '../../../fabric/pki/found.ts';
import { openAuthority } from '../../../fabric/pki/keeper.ts';
import { readRootKeys } from '../../../fabric/pki/keys.ts';
import { encodeSigning, parseRequest, sign } from '../../../fabric/pki/signing.ts';
import type { Learned } from '../../../fabric/registry/records.ts';
import '../checked.ts';
import { opened, registryFile, seenBy } from '../place.ts';

const base = mkdtempSync(join(tmpdir(), 'enf-certificates-'));
const first = join(base, 'first');
let copies = 0;

beforeAll(() => foundAuthority(first, 'test'));
afterAll(() => rmSync(base, { recursive: true }));

/** A fabric of its own; `learned` is what its router says of the devices with a tunnel, undefined: it is not serving. */
async function fabric(learned?: Learned) {
  const data = join(base, `copy-${copies++}`);
  cpSync(first, data, { recursive: true });
  const keys = openAuthority(data);
  const on: Context = {
    ...seenBy(opened(registryFile())),
    running: {
      notify: async () => 'in force',
      presence: async () => undefined,
      learned: async () => learned,
    },
    keys: () => keys,
    actor: 'alice',
    now: Date.now,
  };
  /** Newest first, without the first one: of the fabric's own beginning. */
  const actions = async (): Promise<string[]> =>
    (await listAudit.run(on, { limit: 50 })).rows
      .slice(0, -1)
      .map(({ actor, action }) => `${actor} ${action}`);
  const version = async (): Promise<number> => (await listCertificates.run(on, {})).version;
  return { data, on, actions, version };
}

const refused = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    ({ code }: { code: string }) => code,
  );

describe('the end of a root', () => {
  test.each([
    ['an agent', { newest: 5, older: 1, c: 0 }],
    ['a C device', { newest: 5, older: 0, c: 1 }],
  ])('is refused while %s does not know the next one, and is declared anyway', async (_, learned) => {
    const { on, version, actions } = await fabric(learned);
    await rotateRoots.run(on, {});
    expect(await refused(endRoot.run(on, { number: 1 }))).toBe('roots.not-learned');
    expect(await refused(endRoot.run(on, { number: 1, request: true }))).toBe('roots.not-learned');
    expect([await version(), await actions()]).toEqual([2, ['alice root.add']]);
    expect(await endRoot.run(on, { number: 1, anyway: true })).toMatchObject({ version: 3, requests: [] });
    expect(await actions()).toEqual(['alice root.end', 'alice root.add']);
  });

  test('needs no word more once all have learned, or where no fabric is serving', async () => {
    for (const learned of [{ newest: 5, older: 0, c: 0 }, undefined]) {
      const { on } = await fabric(learned);
      await rotateRoots.run(on, {});
      expect((await listCertificates.run(on, {})).devices).toEqual(learned ?? null);
      expect((await endRoot.run(on, { number: 1 })).version).toBe(3);
    }
  });
});

describe('a fabric without the keys of its root', () => {
  test('refuses to sign, and changes nothing', async () => {
    const { on, data, version, actions } = await fabric();
    const { certificates } = await listCertificates.run(on, {});
    const copy = await rootKeyDigests(data);
    expect(await refused(dropKeys.run(on, { number: 1, ...copy, xtt: copy.tls }))).toBe('roots.keys-differ');
    expect(await refused(dropKeys.run(on, { number: 2, ...copy }))).toBe('roots.keys-elsewhere');
    await dropKeys.run(on, { number: 1, ...copy });
    expect(await refused(dropKeys.run(on, { number: 1, ...copy }))).toBe('roots.keys-elsewhere');
    for (const work of [
      rotateCertificate.run(on, { what: 'router' }),
      rotateCertificate.run(on, { what: 'xtt-server' }),
      rotateRoots.run(on, {}),
    ])
      expect(await refused(work)).toBe('roots.keys-elsewhere');
    expect(existsSync(join(data, 'root-2'))).toBe(false);
    const now = await listCertificates.run(on, {});
    expect(now.certificates.map(({ fingerprint }) => fingerprint)).toEqual(
      certificates.map(({ fingerprint }) => fingerprint),
    );
    expect(now.certificates.filter(({ name }) => name.endsWith('root')).map(({ key }) => key)).toEqual([
      'elsewhere',
      'elsewhere',
    ]);
    expect([await version(), await actions()]).toEqual([1, ['alice root.export']]);
  });

  test('asks for what is to be signed, and takes the answer once', async () => {
    const { on, actions } = await fabric();
    const keys = await readRootKeys(first);
    const answered = async (request: string): Promise<string> =>
      encodeSigning(await sign(parseRequest(request), keys));
    const asked = await rotateCertificate.run(on, { what: 'router', request: true });
    expect(asked).toMatchObject({ version: null, requests: [expect.stringContaining('"router"')] });
    const roots = await rotateRoots.run(on, { request: true });
    expect(roots).toMatchObject({ version: null, requests: [expect.stringContaining('"roots"')] });
    const before = (await listCertificates.run(on, {})).certificates;

    const answer = await answered(asked.requests[0]!);
    expect((await installCertificate.run(on, { answer })).version).toBe(1);
    expect(await refused(installCertificate.run(on, { answer }))).toBe('signing.not-expected');
    expect(await refused(installCertificate.run(on, { answer: asked.requests[0]! }))).toBe(
      'signing.bad-text',
    );
    const after = (await listCertificates.run(on, {})).certificates;
    expect(after.slice(0, -1)).toEqual(before.slice(0, -1));
    expect(after.at(-1)!.fingerprint).not.toBe(before.at(-1)!.fingerprint);
    expect((await installCertificate.run(on, { answer: await answered(roots.requests[0]!) })).version).toBe(
      2,
    );
    expect(await actions()).toEqual([
      'alice roots.change',
      'alice certificate.rotate',
      'alice root.add-request',
      'alice certificate.rotate-request',
    ]);
  });
});
