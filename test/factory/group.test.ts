import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { primitives } from '../../crypto/primitives.ts';
import {
  createGroup,
  importGroup,
  issuerSecretStorage,
  openGroup,
  readLabelText,
  unlockIssuer,
} from '../../factory/group/group.ts';
import { admitMember } from '../../factory/group/join.ts';
import { concat, fromHex, toHex } from '../../protocol/bytes.ts';
import { groupId } from '../../protocol/crypto/group.ts';
import { checkIssuerPublicKey, generateIssuer } from '../../protocol/crypto/issuer.ts';
import { generateMemberSecret, softwareDaaKey, validateCredential } from '../../protocol/crypto/member.ts';
import { encodeLabel, parseLabel } from '../../protocol/label.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { expectFailure, scratch } from './folders.ts';

const path = scratch();
const basename = encodeUtf8('xaprcnet');
const words = () => encodeUtf8('correct horse battery staple');
const noPassphrase = (): Promise<Uint8Array> => Promise.reject(new Error('nobody is to be asked'));
const modes = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder).map((name) => [name, (statSync(join(folder, name)).mode & 0o777).toString(8)]),
  );

describe('group create', () => {
  test('makes the files of a group, the secret ones for their owner only', async () => {
    const folder = path('plain');
    const group = await createGroup({ folder, name: 'March', basename, vendor: 'Acme' });
    expect(modes(folder)).toEqual({
      'isk.bin': '600',
      'label.txt': '600',
      'ipk.bin': '644',
      'daa_gpk.bin': '644',
      'basename.bin': '644',
      'group.json': '644',
    });
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const read = (name: string): Uint8Array => new Uint8Array(readFileSync(join(folder, name)));
    expect([read('ipk.bin').length, read('isk.bin').length, read('daa_gpk.bin').length]).toEqual([
      354, 64, 258,
    ]);
    checkIssuerPublicKey(primitives, read('ipk.bin'));
    expect(read('daa_gpk.bin')).toEqual(read('ipk.bin').slice(0, 258));
    expect(group.gid).toBe(toHex(groupId(primitives, read('daa_gpk.bin'), basename)));
    expect(await unlockIssuer(group, noPassphrase)).toEqual(read('isk.bin'));
  });

  test('keeps the claim secret only in the label, elsewhere its hash', async () => {
    const folder = path('claim');
    const group = await createGroup({ folder, name: 'March', basename });
    const label = parseLabel(await readLabelText(group));
    expect(label).toMatchObject({ name: 'March', gpk: group.gpk, basename });
    expect(label.claim).toHaveLength(16);
    const claim = toHex(label.claim!);
    expect(group.claimHash).toBe(toHex(primitives.sha256(label.claim!)));
    for (const name of readdirSync(folder).filter((each) => each !== 'label.txt'))
      expect(readFileSync(join(folder, name)).toString('latin1')).not.toContain(claim);
  });

  test('never overwrites, and leaves nothing behind when it refuses', async () => {
    const folder = path('taken');
    mkdirSync(folder);
    writeFileSync(join(folder, 'mine'), 'x');
    const before = readdirSync(path('.')).sort();
    await expectFailure(createGroup({ folder, name: 'March', basename }), 'os.exists');
    await expectFailure(
      createGroup({ folder: path('none/at/all'), name: 'March', basename }),
      'os.write-failed',
    );
    await expectFailure(createGroup({ folder: path('n'), name: '', basename }), 'label.bad-name');
    await expectFailure(createGroup({ folder: path('n'), name: 'x\n', basename }), 'label.bad-name');
    await expectFailure(
      createGroup({ folder: path('n'), name: 'x', basename: new Uint8Array(65) }),
      'label.bad-basename',
    );
    expect(readdirSync(folder)).toEqual(['mine']);
    expect(readdirSync(path('.')).sort()).toEqual(before);
  });

  test('encrypts the issuer key under a passphrase', async () => {
    const folder = path('sealed');
    const group = await createGroup({ folder, name: 'March', basename, passphrase: words() });
    expect(modes(folder)['isk.enc']).toBe('600');
    expect(readdirSync(folder)).not.toContain('isk.bin');
    expect(await issuerSecretStorage(group)).toBe('encrypted');
    const secret = await unlockIssuer(group, async () => words());
    expect(secret).toHaveLength(64);
    expect(readFileSync(join(folder, 'isk.enc')).includes(Buffer.from(secret.subarray(0, 16)))).toBe(false);
    await expectFailure(
      unlockIssuer(group, async () => encodeUtf8('wrong horse')),
      'os.wrong-passphrase',
    );
    writeFileSync(join(folder, 'isk.enc'), 'not a container');
    await expectFailure(
      unlockIssuer(group, async () => words()),
      'os.bad-container',
    );
    rmSync(join(folder, 'isk.enc'));
    await expectFailure(
      unlockIssuer(group, async () => words()),
      'factory.no-issuer-secret',
    );
  });
});

describe('[H-D2] group import', () => {
  const { issuers, members } = JSON.parse(
    readFileSync(new URL('../vectors/ecdaa.json', import.meta.url), 'utf8'),
  ) as {
    issuers: Record<'ipk' | 'isk' | 'gpk', string>[];
    members: {
      issuer: number;
      pk: string;
      credential: Record<'credential' | 'credential_signature', string>;
    }[];
  };
  const keys = (index: number) => {
    const { ipk, isk, gpk } = issuers[index]!;
    return { publicKey: fromHex(ipk), secret: fromHex(isk), gpk: fromHex(gpk) };
  };

  test('goes on with a group of the C tool: old members stay, new ones join', async () => {
    const folder = path('adopted');
    const group = await importGroup({ folder, name: 'Old batch', basename }, keys(0));
    expect(group.gid).toBe(toHex(groupId(primitives, keys(0).gpk, basename)));
    expect(parseLabel(await readLabelText(group))).toMatchObject({ name: 'Old batch', gpk: keys(0).gpk });
    expect(modes(folder)['isk.bin']).toBe('600');
    const old = members.find(({ issuer }) => issuer === 0)!;
    const { credential, credential_signature } = old.credential;
    validateCredential(
      primitives,
      group.gpk,
      fromHex(old.pk).slice(0, 65),
      fromHex(credential),
      fromHex(credential_signature),
    );
    const issuerSecret = await unlockIssuer(group, noPassphrase);
    const key = softwareDaaKey(primitives, generateMemberSecret(primitives));
    const issued = await admitMember(group, issuerSecret, key);
    validateCredential(primitives, group.gpk, key.publicPoint, issued.credential, issued.signature);
  });

  test('takes the group public key from the issuer where nobody gives it, and encrypts the secret', async () => {
    const { publicKey, secret } = keys(0);
    const request = { folder: path('adopted-sealed'), name: 'Old', basename, passphrase: words() };
    const group = await importGroup(request, { publicKey, secret });
    expect(await issuerSecretStorage(group)).toBe('encrypted');
    expect(await unlockIssuer(group, async () => words())).toEqual(secret);
  });

  test('refuses keys that do not belong together, and leaves nothing', async () => {
    const request = { folder: path('mixed'), name: 'Mixed', basename };
    const [one, two] = [keys(0), generateIssuer(primitives)];
    const spoilt = one.publicKey.slice();
    spoilt[300]! ^= 1;
    await expectFailure(
      importGroup(request, { ...one, gpk: two.publicKey.slice(0, 258) }),
      'factory.foreign-key',
    );
    await expectFailure(importGroup(request, { ...one, secret: two.secret }), 'ecdaa.bad-issuer-secret');
    const half = concat(one.secret.subarray(0, 32), two.secret.subarray(32));
    await expectFailure(importGroup(request, { ...one, secret: half }), 'ecdaa.bad-issuer-secret');
    await expectFailure(importGroup(request, { ...one, publicKey: spoilt }), 'ecdaa.bad-issuer-key');
    await expectFailure(importGroup({ ...request, name: '' }, one), 'label.bad-name');
    await expectFailure(importGroup({ ...request, basename: new Uint8Array() }, one), 'label.bad-basename');
    expect(existsSync(request.folder)).toBe(false);
  });
});

describe('a group folder', () => {
  test.each<[string, string, (folder: string) => void]>([
    ['an unreadable description', 'factory.bad-group', (f) => writeFileSync(join(f, 'group.json'), '{')],
    ['a description of null', 'factory.bad-group', (f) => writeFileSync(join(f, 'group.json'), 'null')],
    ['a description without format', 'factory.bad-group', (f) => writeFileSync(join(f, 'group.json'), '{}')],
    [
      'a malformed field',
      'factory.bad-group',
      (f) => {
        const text = readFileSync(join(f, 'group.json'), 'utf8');
        writeFileSync(join(f, 'group.json'), text.replace(/"created": "[^"]*"/, '"created": 5'));
      },
    ],
    ['another basename', 'factory.bad-group', (f) => writeFileSync(join(f, 'basename.bin'), 'other')],
    ['a short issuer key', 'os.bad-length', (f) => writeFileSync(join(f, 'ipk.bin'), new Uint8Array(353))],
    [
      'an issuer key without its proof',
      'ecdaa.bad-issuer-key',
      (f) => {
        const ipk = readFileSync(join(f, 'ipk.bin'));
        ipk[300]! ^= 1;
        writeFileSync(join(f, 'ipk.bin'), ipk);
      },
    ],
    ['no issuer key', 'os.no-file', (f) => rmSync(join(f, 'ipk.bin'))],
  ])('with %s is refused', async (name, code, spoil) => {
    const original = path('spoil-original');
    await createGroup({ folder: original, name: 'March', basename }).catch(() => undefined);
    const folder = path(`spoil ${name}`);
    cpSync(original, folder, { recursive: true });
    await openGroup(folder);
    spoil(folder);
    await expectFailure(openGroup(folder), code);
  });

  test('with the label of another group, or another claim, is refused', async () => {
    const [one, two] = [path('one'), path('two')];
    const group = await createGroup({ folder: one, name: 'One', basename });
    const other = await createGroup({ folder: two, name: 'Two', basename });
    const own = await readLabelText(group);
    writeFileSync(join(one, 'label.txt'), await readLabelText(other));
    await expectFailure(readLabelText(group), 'factory.bad-group');
    writeFileSync(join(one, 'label.txt'), encodeLabel({ ...parseLabel(own), claim: new Uint8Array(16) }));
    await expectFailure(readLabelText(group), 'factory.bad-group');
    writeFileSync(join(one, 'label.txt'), own.slice(0, 40));
    await expectFailure(readLabelText(group), 'label.bad-checksum');
    writeFileSync(join(one, 'label.txt'), `${own}\n`);
    expect(await readLabelText(group)).toBe(own);
  });
});
