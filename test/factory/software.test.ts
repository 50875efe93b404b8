import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { primitives } from '../../crypto/primitives.ts';
import { withJournal } from '../../factory/batch/journal.ts';
import { personaliseSoftware } from '../../factory/device/software.ts';
import { createGroup, openGroup, unlockIssuer } from '../../factory/group/group.ts';
import { memberName } from '../../factory/group/names.ts';
import { inspectFolder } from '../../factory/inspect/inspect.ts';
import { fromHex, toHex } from '../../protocol/bytes.ts';
import { groupId } from '../../protocol/crypto/group.ts';
import { groupPublicKey } from '../../protocol/crypto/issuer.ts';
import { sign, softwareDaaKey } from '../../protocol/crypto/member.ts';
import { groupVerifier } from '../../protocol/crypto/verifier.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { expectFailure, readManifest, scratch, someTrust } from './folders.ts';

const path = scratch();
const basename = encodeUtf8('BASENAME');
const message = encodeUtf8('who are you');
const progress = (): void => {};
const noPassphrase = (): Promise<Uint8Array> => Promise.reject(new Error('nobody is to be asked'));

/** What an agent would do with the folder: sign, and have it verified. */
async function proves(folder: string): Promise<boolean> {
  const read = (name: string): Uint8Array => new Uint8Array(readFileSync(join(folder, name)));
  const key = softwareDaaKey(primitives, read('daa_secretkey.bin'));
  const signature = await sign(primitives, key, read('daa_cred.bin'), message, read('basename.bin'));
  return groupVerifier(primitives, read('daa_gpk.bin'), basename).verify(signature, message);
}

describe('device personalise --software', () => {
  test('makes a folder whose credential proves membership', async () => {
    const group = await createGroup({ folder: path('group'), name: 'March', basename });
    const trust = someTrust();
    const folder = path('device');
    const issuerSecret = await unlockIssuer(group, noPassphrase);
    const record = await personaliseSoftware({ group, issuerSecret, trust, folder, progress });
    expect(issuerSecret).toEqual(new Uint8Array(64));
    expect(readdirSync(folder).sort()).toEqual([
      'basename.bin',
      'daa_cred.bin',
      'daa_cred_sig.bin',
      'daa_gpk.bin',
      'daa_secretkey.bin',
      'root_cert.bin',
      'tls_root.pem',
    ]);
    const size = (name: string): number => statSync(join(folder, name)).size;
    expect(
      ['daa_gpk.bin', 'daa_cred.bin', 'daa_cred_sig.bin', 'daa_secretkey.bin', 'root_cert.bin'].map(size),
    ).toEqual([258, 260, 64, 32, 81]);
    expect(statSync(join(folder, 'daa_secretkey.bin')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(folder, 'tls_root.pem'), 'utf8')).toBe(trust.tlsRoot);
    expect(await proves(folder)).toBe(true);

    const secret = new Uint8Array(readFileSync(join(folder, 'daa_secretkey.bin')));
    expect(record.member).toBe(memberName(softwareDaaKey(primitives, secret).publicPoint));
    expect(await readManifest(group)).toEqual([record]);
    expect(await inspectFolder(folder)).toMatchObject({ problems: [] });

    const again = personaliseSoftware({
      group,
      issuerSecret: await unlockIssuer(group, noPassphrase),
      trust,
      folder,
      progress,
    });
    await expectFailure(again, 'os.exists');
    expect(await readManifest(group)).toHaveLength(1);
    expect(new Uint8Array(readFileSync(join(folder, 'daa_secretkey.bin')))).toEqual(secret);
  });

  test('with the issuer key of another group is refused and leaves nothing', async () => {
    const group = await createGroup({ folder: path('a'), name: 'A', basename });
    const other = await createGroup({ folder: path('b'), name: 'B', basename });
    const folder = path('mismatch');
    const issuerSecret = await unlockIssuer(other, noPassphrase);
    await expectFailure(
      personaliseSoftware({ group, issuerSecret, trust: someTrust(), folder, progress }),
      'factory.key-mismatch',
    );
    expect(readdirSync(path('.'))).not.toContain('mismatch');
    expect(await readManifest(group)).toEqual([]);
    // inspect tries the same and says so.
    cpSync(join(other.folder, 'isk.bin'), join(group.folder, 'isk.bin'));
    expect((await inspectFolder(group.folder)).problems.join()).toContain('factory.key-mismatch');
  });

  test('gives no credential away that the batch does not take', async () => {
    const group = await createGroup({ folder: path('batch'), name: 'March', basename });
    const make = async (name: string, more: { serial?: string; progress?: () => void } = {}) =>
      personaliseSoftware({
        ...{ group, issuerSecret: await unlockIssuer(group, noPassphrase), trust: someTrust() },
        ...{ folder: path(name), progress, marks: { serial: more.serial } },
        ...(more.progress === undefined ? {} : { progress: more.progress }),
      });
    await make('taken-1', { serial: 'S1' });
    await expectFailure(make('taken-2', { serial: 'S1' }), 'factory.serial-taken');
    // The batch is closed meanwhile.
    const close = (): void => void mkdirSync(join(group.folder, 'manifest'), { recursive: true });
    await expectFailure(make('late', { progress: close }), 'factory.batch-closed');
    const left = readdirSync(path('.'));
    expect(left).toContain('taken-1');
    for (const name of ['taken-2', 'late']) expect(left).not.toContain(name);
    expect(await readManifest(group)).toMatchObject([{ serial: 'S1' }]);
    expect(await withJournal(group, async ({ tally }) => tally.issued)).toBe(0);
  });

  test('works with the issuer keys that the C ecdaa tool made', async () => {
    const vectors = JSON.parse(readFileSync(new URL('../vectors/ecdaa.json', import.meta.url), 'utf8')) as {
      issuers: { isk: string; ipk: string }[];
    };
    const { isk, ipk } = vectors.issuers[0]!;
    const template = await createGroup({ folder: path('c-tool'), name: 'C', basename });
    const file = (name: string): string => join(template.folder, name);
    writeFileSync(file('isk.bin'), fromHex(isk));
    writeFileSync(file('ipk.bin'), fromHex(ipk));
    const gid = toHex(groupId(primitives, groupPublicKey(fromHex(ipk)), basename));
    writeFileSync(file('group.json'), readFileSync(file('group.json'), 'utf8').replace(template.gid, gid));
    const group = await openGroup(template.folder);
    const folder = path('c-device');
    const issuerSecret = await unlockIssuer(group, noPassphrase);
    await personaliseSoftware({ group, issuerSecret, trust: someTrust(), folder, progress });
    expect(await proves(folder)).toBe(true);
  });
});
