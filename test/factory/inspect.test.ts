import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { generateMakerKey, signAsMaker } from '../../crypto/maker-key.ts';
import { ecdsaSigner, generateP256, primitives } from '../../crypto/primitives.ts';
import { personaliseSoftware } from '../../factory/device/software.ts';
import { createGroup, unlockIssuer } from '../../factory/group/group.ts';
import { recognise } from '../../factory/inspect/artifact.ts';
import { describeInspection, inspectFile, inspectFolder } from '../../factory/inspect/inspect.ts';
import { join as joinGroup, sign, softwareDaaKey } from '../../protocol/crypto/member.ts';
import { encodeEcPrivateKey } from '../../protocol/identity/key-file.ts';
import { encodeTrust } from '../../protocol/identity/trust.ts';
import { parseLabel, signLabel } from '../../protocol/label.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { makeServerCertificate } from '../../protocol/xtt/certificate.ts';
import { expectFailure, scratch, someTrust } from './folders.ts';

const path = scratch();
const basename = encodeUtf8('BASENAME');
const trust = someTrust();
let files: Record<string, Uint8Array>;

beforeAll(async () => {
  const group = await createGroup({ folder: path('group'), name: 'March', basename });
  await createGroup({ folder: path('sealed'), name: 'S', basename, passphrase: encodeUtf8('long enough') });
  const issuerSecret = await unlockIssuer(group, async () => new Uint8Array());
  await personaliseSoftware({ group, issuerSecret, trust, folder: path('device'), progress: () => {} });
  const read = (name: string): Uint8Array => new Uint8Array(readFileSync(path(name)));
  const key = softwareDaaKey(primitives, read('device/daa_secretkey.bin'));
  const root = generateP256();
  files = {
    'ipk.bin': read('group/ipk.bin'),
    'isk.bin': read('group/isk.bin'),
    'isk.enc': read('sealed/isk.enc'),
    'label.txt': read('group/label.txt'),
    'gpk.bin': read('device/daa_gpk.bin'),
    'cred.bin': read('device/daa_cred.bin'),
    'cred_sig.bin': read('device/daa_cred_sig.bin'),
    'sk.bin': read('device/daa_secretkey.bin'),
    'basename.bin': basename,
    'root.bin': trust.xttRoot,
    'pk.bin': await joinGroup(primitives, key, encodeUtf8('nonce')),
    'sig.bin': await sign(primitives, key, read('device/daa_cred.bin'), basename, basename),
    'sig-plain.bin': await sign(primitives, key, read('device/daa_cred.bin'), basename),
    'server.bin': await makeServerCertificate(
      { rootId: new Uint8Array(16), publicKey: root.publicKey },
      ecdsaSigner(root.secret),
    ),
    'trust.json': encodeUtf8(encodeTrust(trust)),
    'longterm.bin': encodeEcPrivateKey(root.secret, root.publicKey),
  };
});

describe('recognise', () => {
  const kinds: [string, string, number][] = [
    ['ipk.bin', 'issuer public key (ipk)', 320],
    ['isk.bin', 'issuer secret key (isk)', -1],
    ['isk.enc', 'encrypted issuer secret key', 5],
    ['label.txt', 'group label', 40],
    ['gpk.bin', 'group public key (gpk)', 40],
    ['cred.bin', 'credential', 70],
    ['cred_sig.bin', 'credential signature', -1],
    ['sk.bin', 'member secret key', -1],
    ['basename.bin', 'basename', -1],
    ['root.bin', 'XTT root certificate', 30],
    ['pk.bin', 'member public key (pk)', 20],
    ['sig.bin', 'ECDAA signature', 380],
    ['sig-plain.bin', 'ECDAA signature', 100],
    ['server.bin', 'XTT server certificate', -1],
    ['trust.json', 'trust bundle', 35],
    ['longterm.bin', 'private key on P-256 (SEC1)', 100],
  ];

  test.each(kinds)('[H-D4] %s is a %s', (name, kind) => {
    const found = recognise(name, files[name]!);
    expect(found.problem).toBeUndefined();
    expect(found.kind).toBe(kind);
  });

  test.each(kinds.filter(([, , at]) => at >= 0))('a damaged %s is a %s with a problem', (name, kind, at) => {
    const damaged = files[name]!.slice();
    damaged[at]! ^= 0x55;
    expect(recognise(name, damaged)).toMatchObject({ kind, problem: expect.stringMatching(/\[[\w.-]+\]$/) });
  });

  test.each(['isk.bin', 'cred_sig.bin', 'sk.bin'])(
    'a number beyond the group order in %s is found',
    (name) => {
      const damaged = files[name]!.slice().fill(0xff);
      expect(recognise(name, damaged).problem).toMatch(/\[ecdaa\./);
    },
  );

  test('[H-D4] never shows a secret', () => {
    for (const name of ['isk.bin', 'sk.bin', 'label.txt', 'longterm.bin']) {
      const file = Buffer.from(files[name]!);
      const secret = name === 'longterm.bin' ? file.subarray(7, 39) : file;
      const shown = JSON.stringify(recognise(name, files[name]!));
      expect(shown).not.toContain(secret.toString('hex').slice(0, 16));
      expect(shown).not.toContain(secret.toString('latin1').slice(0, 60));
    }
  });

  test('anything else is unknown, and never a crash', () => {
    for (let length = 0; length < 430; length++) {
      const zero = recognise('file', new Uint8Array(length));
      const ones = recognise('file', new Uint8Array(length).fill(0xff));
      // A server certificate is only read: without its root there is nothing to check it by.
      if (length !== 169) expect(ones.problem).toBeDefined();
      else continue;
      // Zero is a scalar below the order: a credential signature of zeros is well-formed, just wrong.
      if (length !== 64) expect(zero.problem).toBeDefined();
    }
    expect(recognise('x.txt', encodeUtf8('hello')).kind).toBe('unknown');
  });
});

describe('inspect', () => {
  test('a file', async () => {
    const inspection = await inspectFile(path('group/ipk.bin'));
    expect(inspection).toMatchObject({
      problems: [],
      findings: [{ kind: 'issuer public key (ipk)', length: 354 }],
    });
    expect(describeInspection(inspection)).toContain('No problem found.');
    await expectFailure(inspectFile(path('group/absent')), 'os.no-file');
    await expectFailure(inspectFolder(path('absent')), 'os.no-file');
  });

  test('a group’s folder', async () => {
    expect(await inspectFolder(path('group'))).toMatchObject({
      problems: [],
      facts: {
        folder: 'group',
        name: 'March',
        devices: '1',
        issuerSecret: 'plain, belongs to the public key',
      },
    });
    expect(await inspectFolder(path('sealed'))).toMatchObject({
      problems: [],
      facts: { issuerSecret: 'encrypted' },
    });
  });

  test('a credential folder: parts that are well-formed but do not belong together', async () => {
    expect(await inspectFolder(path('device'))).toMatchObject({
      problems: [],
      facts: { folder: 'software credential, valid' },
    });
    const mixed = path('mixed');
    cpSync(path('device'), mixed, { recursive: true });
    writeFileSync(join(mixed, 'daa_gpk.bin'), readFileSync(path('sealed/daa_gpk.bin')));
    const inspection = await inspectFolder(mixed);
    expect(inspection.findings.every((each) => each.problem === undefined)).toBe(true);
    expect(inspection.problems.join()).toContain('[ecdaa.bad-credential]');
    expect(describeInspection(inspection)).toContain('Problems:');
  });
});

test('[H-D2] a signature of a label is good, wrong, or not checked, and the words say which', async () => {
  const [maker, other] = [generateMakerKey(), generateMakerKey()];
  const plain = readFileSync(path('group/label.txt'), 'utf8');
  const signed = await signLabel(parseLabel(plain.trimEnd()), async (message) =>
    signAsMaker(maker.secret, maker.publicKey, message),
  );
  const look = (text: string, key?: string) => recognise('label.txt', encodeUtf8(text), key);
  expect(look(signed, maker.publicKey)).toMatchObject({
    facts: { signature: expect.stringMatching(/^good:/) },
  });
  expect(look(signed, maker.publicKey).problem).toBeUndefined();
  const wrong = look(signed, other.publicKey);
  expect(wrong).toMatchObject({ facts: { name: 'March', signature: expect.stringMatching(/^WRONG:/) } });
  expect(wrong.problem).toContain('not signed with');
  expect(look(signed)).toMatchObject({ facts: { signature: expect.stringMatching(/not checked/) } });
  expect(look(signed).problem).toBeUndefined();
  expect(look(plain, maker.publicKey).problem).toContain('not signed');
  expect(look(plain)).toMatchObject({ facts: { signature: 'absent' } });
  expect(look(signed, 'no key').problem).toContain('factory.bad-maker-key');
});
