import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { personaliseTpm } from '../../factory/device/personalise.ts';
import { requireConfirmed, verifyDevice } from '../../factory/device/verify.ts';
import { createGroup, type Group, unlockIssuer } from '../../factory/group/group.ts';
import { memberName } from '../../factory/group/names.ts';
import type { Failure } from '../../protocol/failure.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { type Swtpm, startSwtpm } from '../../swtpm/swtpm.ts';
import { openTpm, type Tpm } from '../../tpm/context.ts';
import { openDaaKey } from '../../tpm/daa.ts';
import { PLATFORM_MAP } from '../../tpm/handles.ts';
import { prepareParent } from '../../tpm/parent.ts';
import { createDaaKey } from '../../tpm/personalise.ts';
import { probe } from '../../tpm/probe.ts';
import { wipeTpm } from '../../tpm/wipe.ts';
import { expectFailure, readManifest, scratch, someTrust } from './folders.ts';

const path = scratch();
const trust = someTrust();
const NONE = { authorities: [], required: false };
let [chip, group] = [undefined, undefined] as unknown as [Swtpm, Group];
let made = 0;

beforeEach(async () => {
  chip = await startSwtpm();
  group = await createGroup({ folder: path(`g${++made}`), name: 'March', basename: encodeUtf8('xaprcnet') });
});
afterEach(() => chip.stop());

async function withTpm<T>(work: (tpm: Tpm) => Promise<T>): Promise<T> {
  const tpm = await openTpm(chip.tcti);
  try {
    return await work(tpm);
  } finally {
    await tpm.close();
  }
}
const personalise = (into = group) =>
  withTpm(async (tpm) =>
    personaliseTpm({
      ...{ group: into, trust, tpm, placement: 'auto', endorsement: NONE, marks: { serial: 'S1' } },
      capabilities: await probe(tpm),
      issuerSecret: () => unlockIssuer(into, () => Promise.reject(new Error('nobody'))),
      progress: () => {},
    }),
  );
const tpm2 = (...args: string[]): string =>
  execFileSync(`tpm2_${args[0]}`, args.slice(1), {
    encoding: 'utf8',
    cwd: path('.'),
    env: { ...process.env, TPM2TOOLS_TCTI: chip.tcti, TSS2_LOG: 'all+NONE' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
const held = (): string => tpm2('getcap', 'handles-persistent') + tpm2('getcap', 'handles-nv-index');

describe('a TPM that others use', () => {
  test('keeps the storage root key of the host, which is used, and what others keep in it', async () => {
    // As systemd-tpm2-setup makes it at boot: the TCG's template, exempt from lockout.
    const attributes = 'restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda';
    tpm2(
      'createprimary',
      '-C',
      'o',
      '-G',
      'ecc256:aes128cfb',
      '-g',
      'sha256',
      '-a',
      attributes,
      '-c',
      'srk.ctx',
    );
    tpm2('evictcontrol', '-C', 'o', '-c', 'srk.ctx', '0x81000001');
    tpm2('flushcontext', '-t');
    // A store of tpm2-pkcs11 has its primary at another handle; systemd's NvPCRs are NV indexes of their own.
    tpm2('createprimary', '-C', 'o', '-G', 'rsa2048', '-c', 'pkcs11.ctx');
    tpm2('flushcontext', '-t');
    tpm2('evictcontrol', '-C', 'o', '-c', 'pkcs11.ctx', '0x81000000');
    tpm2('flushcontext', '-t');
    tpm2(
      'nvdefine',
      '-C',
      'o',
      '-s',
      '32',
      '-g',
      'sha256',
      '-a',
      'ownerread|ownerwrite|authread|authwrite|nt=extend',
      '0x01d10200',
    );
    const before = held();
    const srk = tpm2('readpublic', '-c', '0x81000001');
    await personalise();
    expect(tpm2('readpublic', '-c', '0x81000001')).toBe(srk);
    expect((await withTpm((tpm) => prepareParent(tpm, undefined))).handle).toBe(0x8100_0001);
    expect(tpm2('getcap', 'handles-persistent').trim().split('\n')).toHaveLength(3);
    await withTpm((tpm) => wipeTpm(tpm));
    expect(held()).toBe(before);
  });

  test('without room is refused before anything is written, or with nothing left of it', async () => {
    const full = (): string[] => {
      const defined: string[] = [];
      for (const size of [2_048, 512, 64]) {
        try {
          for (;;) {
            const index = `0x${(0x0180_0000 + defined.length).toString(16)}`;
            tpm2('nvdefine', '-C', 'o', '-s', String(size), index);
            defined.push(index);
          }
        } catch {
          // It is full for this size.
        }
      }
      return defined;
    };
    const first = full();
    const before = held();
    await expectFailure(personalise(), 'tpm.nv-full');
    expect(held()).toBe(before);
    // With more and more room, until the NV objects and the keys beside them have it.
    tpm2('nvundefine', '-C', 'o', first.pop()!);
    const index = first.shift()!;
    tpm2('nvundefine', '-C', 'o', index);
    let refused = 0;
    for (let size = 1_950; ; size -= 150) {
      tpm2('nvdefine', '-C', 'o', '-s', String(size), index);
      const small = held();
      const code = await personalise().then(
        () => undefined,
        (error: Failure) => error.code,
      );
      if (code === undefined) break;
      expect([code, held()]).toEqual(['tpm.nv-full', small]);
      refused++;
      tpm2('nvundefine', '-C', 'o', index);
    }
    expect(refused).toBeGreaterThan(2);
    await withTpm((tpm) => wipeTpm(tpm));
    tpm2('evictcontrol', '-C', 'o', '-c', '0x81000001');
    tpm2('nvundefine', '-C', 'o', index);
    for (const index of first) tpm2('nvundefine', '-C', 'o', index);
    // With the keys there, some of the NV objects fit, and not all.
    await withTpm(async (tpm) => {
      await createDaaKey(tpm, PLATFORM_MAP);
      await prepareParent(tpm, undefined);
    });
    tpm2('nvdefine', '-C', 'o', '-s', '300', '0x01900000');
    full();
    tpm2('nvundefine', '-C', 'o', '0x01900000');
    const some = held();
    await expectFailure(personalise(), 'tpm.nv-full');
    expect(held()).toBe(some);
    expect(await readManifest(group)).toHaveLength(1);
  });
});

describe('incoming inspection', () => {
  test('says of which batch a device is, and refuses what is not whole or not in it', async () => {
    await expectFailure(
      withTpm((tpm) => verifyDevice(tpm, NONE)),
      'tpm.not-personalised',
    );
    const device = await personalise();
    const found = await withTpm((tpm) => verifyDevice(tpm, NONE, group));
    expect(found).toMatchObject({
      gid: group.gid,
      member: device.member,
      ek: 'absent',
      entry: { serial: 'S1' },
    });
    const other = await createGroup({
      folder: path(`other-${made}`),
      name: 'April',
      basename: encodeUtf8('x'),
    });
    await expectFailure(
      withTpm((tpm) => verifyDevice(tpm, NONE, other)),
      'factory.wrong-batch',
    );
    const required = { authorities: [], required: true };
    await expectFailure(
      withTpm((tpm) => verifyDevice(tpm, required)),
      'factory.ek-absent',
    );
    // The same group elsewhere, where nobody has made this device.
    execFileSync('cp', ['-r', group.folder, path(`copy-${made}`)]);
    execFileSync('rm', [path(`copy-${made}/journal.jsonl`), path(`copy-${made}/journal.index`)]);
    const copy = { ...group, folder: path(`copy-${made}`) };
    await expectFailure(
      withTpm((tpm) => verifyDevice(tpm, NONE, copy)),
      'factory.not-in-batch',
    );
    tpm2('nvundefine', '-C', 'p', '0x01410002');
    await expectFailure(
      withTpm((tpm) => verifyDevice(tpm, NONE)),
      'factory.broken-credential',
    );
  });
});

describe('a wiped device', () => {
  test('is an empty TPM, and may become another device; half-made ones are wiped, too', async () => {
    const first = await personalise();
    expect(await withTpm((tpm) => wipeTpm(tpm))).toBe(7);
    expect(tpm2('getcap', 'handles-nv-index').trim()).toBe('');
    expect(tpm2('getcap', 'handles-persistent').trim()).toBe('- 0x81000001');
    const second = await personalise().catch(() => undefined);
    // The serial number is still that of the device that was.
    expect(second).toBeUndefined();
    expect(await withTpm((tpm) => wipeTpm(tpm))).toBe(7);
    expect(await withTpm((tpm) => wipeTpm(tpm))).toBe(0);
    expect((await readManifest(group)).map(({ member }) => member)).toEqual([first.member]);
  });

  test('has to be named', async () => {
    await personalise();
    const { publicPoint } = await withTpm((tpm) => openDaaKey(tpm, PLATFORM_MAP.daaKey));
    const name = memberName(publicPoint);
    requireConfirmed(name, name.slice(0, 8));
    requireConfirmed(undefined, 'none');
    for (const typed of ['', name.slice(0, 7), `${name}0`, 'none', 'yes'])
      expect(() => requireConfirmed(name, typed)).toThrow(/nothing was removed/);
    expect(() => requireConfirmed(undefined, '')).toThrow(/nothing was removed/);
  });
});
