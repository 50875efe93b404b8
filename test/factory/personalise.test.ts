import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { primitives } from '../../crypto/primitives.ts';
import { readMember } from '../../factory/device/member.ts';
import { type Personalisation, type Personalised, personaliseTpm } from '../../factory/device/personalise.ts';
import { createGroup, type Group, unlockIssuer } from '../../factory/group/group.ts';
import { memberName } from '../../factory/group/names.ts';
import { inspectTpm } from '../../factory/inspect/chip.ts';
import { sign } from '../../protocol/crypto/member.ts';
import { groupVerifier } from '../../protocol/crypto/verifier.ts';
import type { Failure } from '../../protocol/failure.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { type Swtpm, startSwtpm } from '../../swtpm/swtpm.ts';
import { openTpm, type Tpm } from '../../tpm/context.ts';
import { openDaaKey } from '../../tpm/daa.ts';
import { OWNER_MAP, PLATFORM_MAP } from '../../tpm/handles.ts';
import { probe } from '../../tpm/probe.ts';
import { expectFailure, readManifest, scratch, someTrust } from './folders.ts';
import { powerCut } from './power-cut.ts';

const path = scratch();
const basename = encodeUtf8('xaprcnet');
const message = encodeUtf8('who are you');
const trust = someTrust();
let chips: Swtpm[] = [];
let [group, other] = [undefined, undefined] as unknown as [Group, Group];
let made = 0;

beforeAll(async () => {
  group = await createGroup({ folder: path('group'), name: 'March', basename });
  other = await createGroup({ folder: path('other'), name: 'April', basename });
});

afterEach(async () => {
  for (const chip of chips) await chip.stop();
  chips = [];
});

async function freshChip(): Promise<Swtpm> {
  const chip = await startSwtpm();
  chips.push(chip);
  return chip;
}

/** A group of its own, so that a test can count its devices. */
function freshGroup(): Promise<Group> {
  return createGroup({ folder: path(`group-${++made}`), name: 'Own', basename });
}

/** swtpm serves one connection at a time: each step opens its own. */
async function withTpm<T>(chip: Swtpm, work: (tpm: Tpm) => Promise<T>): Promise<T> {
  const tpm = await openTpm(chip.tcti);
  try {
    return await work(tpm);
  } finally {
    await tpm.close();
  }
}

function personalise(chip: Swtpm, change: Partial<Personalisation> = {}): Promise<Personalised> {
  const into = change.group ?? group;
  const run = async (tpm: Tpm): Promise<Personalised> =>
    personaliseTpm({
      group: into,
      trust,
      tpm,
      capabilities: change.capabilities ?? (await probe(tpm)),
      placement: 'auto',
      endorsement: { authorities: [], required: false },
      issuerSecret: () => unlockIssuer(into, () => Promise.reject(new Error('nobody is to be asked'))),
      progress: () => {},
      ...change,
    });
  return change.tpm ? run(change.tpm) : withTpm(chip, run);
}

/** Another program at the same TPM: tpm2-tools. */
function tpm2(chip: Swtpm, ...args: string[]): string {
  return execFileSync(`tpm2_${args[0]}`, args.slice(1), {
    encoding: 'utf8',
    cwd: path('.'),
    env: { ...process.env, TPM2TOOLS_TCTI: chip.tcti, TSS2_LOG: 'all+NONE' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

const held = (chip: Swtpm): string =>
  tpm2(chip, 'getcap', 'handles-persistent') + tpm2(chip, 'getcap', 'handles-nv-index');

/** The TPM proves membership as an agent would have it do. */
function proves(chip: Swtpm): Promise<boolean> {
  return withTpm(chip, async (tpm) => {
    const member = await readMember(tpm);
    const key = await openDaaKey(tpm, member.map.daaKey);
    const signature = await sign(primitives, key, member.credential, message, member.basename);
    return groupVerifier(primitives, group.gpk, basename).verify(signature, message);
  });
}

describe('device personalise', () => {
  test.each(['platform', 'owner'] as const)(
    'makes a TPM a member, in the %s hierarchy',
    async (placement) => {
      const chip = await freshChip();
      const steps: string[] = [];
      const record = await personalise(chip, { placement, progress: (step) => steps.push(step) });
      expect(record).toMatchObject({ gid: group.gid, tpm: 'IBM', hierarchy: placement, already: false });
      expect(await proves(chip)).toBe(true);
      const member = await withTpm(chip, readMember);
      expect(member).toMatchObject({
        map: placement === 'platform' ? PLATFORM_MAP : OWNER_MAP,
        gpk: group.gpk,
        basename,
        xttRoot: trust.xttRoot,
        tlsRoot: trust.tlsRoot,
      });
      expect(record.member).toBe(memberName(member.publicPoint));
      expect((await readManifest(group)).at(-1)?.member).toBe(record.member);
      expect(steps.length).toBeGreaterThanOrEqual(5);
      expect(await withTpm(chip, inspectTpm)).toMatchObject({
        problems: [],
        facts: { personalised: `yes, ${placement} hierarchy` },
      });
    },
  );

  test('a second run reports the membership and writes nothing; a lost manifest line is added again', async () => {
    const chip = await freshChip();
    const own = await freshGroup();
    const first = await personalise(chip, { group: own });
    const before = held(chip);
    const asked = (): Promise<Uint8Array> => Promise.reject(new Error('no secret is needed'));
    expect(await personalise(chip, { group: own, issuerSecret: asked })).toEqual({
      ...first,
      already: true,
      known: true,
    });
    expect(await readManifest(own)).toHaveLength(1);
    rmSync(join(own.folder, 'journal.jsonl'));
    for (const placement of ['auto', 'owner', 'platform'] as const)
      expect(await personalise(chip, { group: own, placement, issuerSecret: asked })).toMatchObject({
        member: first.member,
        already: true,
      });
    expect(await readManifest(own)).toHaveLength(1);
    expect(held(chip)).toBe(before);
  });

  test('a TPM of another group, or of another fabric, is refused and stays as it is', async () => {
    const chip = await freshChip();
    await personalise(chip);
    const shown = async () => {
      const { key, ...rest } = await withTpm(chip, readMember);
      return { ...rest, publicArea: key.publicArea, resident: key.resident };
    };
    const before = await shown();
    await expectFailure(personalise(chip, { group: other }), 'factory.already-personalised');
    await expectFailure(
      personalise(chip, { group: other, placement: 'owner' }),
      'factory.already-personalised',
    );
    const foreign = await expectFailure(
      personalise(chip, { trust: someTrust() }),
      'factory.already-personalised',
    );
    expect(foreign.message).toContain('another fabric');
    expect(await shown()).toEqual(before);
    expect(await readManifest(other)).toEqual([]);
  });

  test('a TPM without ECDAA is refused before anything is done', async () => {
    const chip = await freshChip();
    const capabilities = { ...(await withTpm(chip, probe)), commit: false, bnP256: false };
    const before = held(chip);
    const asked = (): Promise<Uint8Array> => Promise.reject(new Error('not to be asked'));
    const failure = await expectFailure(
      personalise(chip, { capabilities, issuerSecret: asked }),
      'tpm.no-ecdaa',
    );
    expect(failure.message).toMatch(/BN_P256.*TPM2_Commit/);
    expect(held(chip)).toBe(before);
  });

  test('a trust bundle too large for the TPM is refused before anything is done', async () => {
    const chip = await freshChip();
    const body = 'A'.repeat(2100);
    const large = { ...trust, tlsRoot: `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n` };
    const before = held(chip);
    await expectFailure(personalise(chip, { trust: large }), 'factory.trust-too-large');
    expect(held(chip)).toBe(before);
  });

  test('a chip whose serial number is taken, or whose batch is closed meanwhile, gets no credential', async () => {
    const own = await freshGroup();
    await personalise(await freshChip(), { group: own, marks: { serial: 'S1' } });
    const chip = await freshChip();
    await expectFailure(personalise(chip, { group: own, marks: { serial: 'S1' } }), 'factory.serial-taken');
    await expectFailure(withTpm(chip, readMember), 'tpm.not-personalised');
    const closing = async (): Promise<Uint8Array> => {
      mkdirSync(join(own.folder, 'manifest'));
      return unlockIssuer(own, () => Promise.reject(new Error('no')));
    };
    await expectFailure(personalise(chip, { group: own, issuerSecret: closing }), 'factory.batch-closed');
    await expectFailure(withTpm(chip, readMember), 'tpm.not-personalised');
    rmSync(join(own.folder, 'manifest'), { recursive: true });
    expect(await personalise(chip, { group: own, marks: { serial: 'S2' } })).toMatchObject({
      already: false,
      serial: 'S2',
    });
    expect(await readManifest(own)).toHaveLength(2);
  });

  test('the issuer key of another group leaves no credential, and the right one then completes it', async () => {
    const chip = await freshChip();
    const own = await freshGroup();
    const wrong = (): Promise<Uint8Array> => unlockIssuer(other, () => Promise.reject(new Error('no')));
    await expectFailure(personalise(chip, { group: own, issuerSecret: wrong }), 'factory.key-mismatch');
    await expectFailure(withTpm(chip, readMember), 'tpm.not-personalised');
    expect(await readManifest(own)).toEqual([]);
    expect(await personalise(chip, { group: own })).toMatchObject({ already: false });
  });
});

describe('a locked hierarchy', () => {
  const password = encodeUtf8('geheim');

  test('platform: auto uses the owner hierarchy, platform alone is refused, its password is accepted', async () => {
    const chip = await freshChip();
    tpm2(chip, 'changeauth', '-c', 'p', 'geheim');
    await expectFailure(personalise(chip, { placement: 'platform' }), 'tpm.hierarchy-locked');
    await expectFailure(
      personalise(chip, { placement: 'platform', hierarchyAuth: encodeUtf8('falsch') }),
      'tpm.hierarchy-locked',
    );
    expect(await personalise(chip)).toMatchObject({ hierarchy: 'owner' });
    expect(await proves(chip)).toBe(true);

    const second = await freshChip();
    tpm2(second, 'changeauth', '-c', 'p', 'geheim');
    expect(await personalise(second, { placement: 'platform', hierarchyAuth: password })).toMatchObject({
      hierarchy: 'platform',
    });
    expect(await proves(second)).toBe(true);
  });

  test('owner, with the platform disabled as firmware does: the password from a file is accepted', async () => {
    const chip = await freshChip();
    tpm2(chip, 'changeauth', '-c', 'o', 'geheim');
    tpm2(chip, 'hierarchycontrol', '-C', 'p', 'phEnable', 'clear');
    const before = held(chip);
    await expectFailure(personalise(chip), 'tpm.hierarchy-locked');
    expect(held(chip)).toBe(before);
    expect(await personalise(chip, { hierarchyAuth: password })).toMatchObject({ hierarchy: 'owner' });
    // At run time no password is needed.
    expect(await proves(chip)).toBe(true);
  });
});

describe('objects of other programs in the TPM', () => {
  test('an NV index in our range stays, and nothing is written beside it', async () => {
    const chip = await freshChip();
    tpm2(chip, 'nvdefine', '-C', 'p', '-s', '8', '-a', 'ppwrite|authread|platformcreate', '0x01410007');
    await expectFailure(personalise(chip, { placement: 'platform' }), 'tpm.occupied');
    expect(tpm2(chip, 'getcap', 'handles-nv-index').trim()).toBe('- 0x1410007');
    expect((await withTpm(chip, inspectTpm)).problems.join()).toContain('tpm.not-personalised');
    // The other map is free.
    expect(await personalise(chip, { placement: 'owner' })).toMatchObject({ hierarchy: 'owner' });
  });

  test('a key at our handle stays', async () => {
    const chip = await freshChip();
    tpm2(chip, 'createprimary', '-C', 'o', '-G', 'ecc', '-c', 'foreign.ctx');
    tpm2(chip, 'evictcontrol', '-C', 'o', '-c', 'foreign.ctx', `0x${OWNER_MAP.daaKey.toString(16)}`);
    const before = tpm2(chip, 'readpublic', '-c', `0x${OWNER_MAP.daaKey.toString(16)}`);
    await expectFailure(personalise(chip, { placement: 'owner' }), 'tpm.occupied');
    expect(tpm2(chip, 'readpublic', '-c', `0x${OWNER_MAP.daaKey.toString(16)}`)).toBe(before);
    const { problems } = await withTpm(chip, inspectTpm);
    expect(problems.join()).toContain('not a usable ECDAA key');
  });

  test('a damaged credential is reported', async () => {
    const chip = await freshChip();
    await personalise(chip, { placement: 'platform' });
    const credential = execFileSync('head', ['-c', '260', '/dev/zero']);
    tpm2File(chip, credential);
    await expectFailure(personalise(chip), 'factory.broken-credential');
    const { problems } = await withTpm(chip, inspectTpm);
    expect(problems.join()).toContain('factory.broken-credential');
  });

  function tpm2File(chip: Swtpm, content: Uint8Array): void {
    execFileSync('tpm2_nvwrite', ['-C', 'p', '-i', '-', '0x01410001'], {
      input: content,
      env: { ...process.env, TPM2TOOLS_TCTI: chip.tcti, TSS2_LOG: 'all+NONE' },
    });
  }
});

describe('interrupted', () => {
  test('after each change to the TPM, the next run completes it, with one device in the manifest', async () => {
    const own = await freshGroup();
    let devices = 0;
    for (let budget = 0; ; budget++) {
      const chip = await startSwtpm({ state: path(`state-${budget}`) });
      const cut = await withTpm(chip, async (tpm) => {
        const capabilities = await probe(tpm);
        return personalise(chip, { group: own, tpm: powerCut(tpm, budget), capabilities }).then(
          () => undefined,
          (error: Failure) => error.code,
        );
      });
      await chip.kill();
      await chip.stop();
      const again = await startSwtpm({ state: chip.state });
      if (cut !== undefined) {
        expect(cut).toBe('test.power-cut');
        expect(await readManifest(own)).toHaveLength(devices);
        expect((await withTpm(again, inspectTpm)).facts.personalised).toBe(
          budget === 0 ? 'no' : 'not completely',
        );
      }
      expect(await personalise(again, { group: own })).toMatchObject({ already: cut === undefined });
      devices++;
      expect(await readManifest(own)).toHaveLength(devices);
      expect((await withTpm(again, inspectTpm)).problems).toEqual([]);
      expect(tpm2(again, 'getcap', 'handles-persistent').trim()).toBe('- 0x81000001\n- 0x81800000');
      expect(tpm2(again, 'getcap', 'handles-nv-index').trim().split('\n')).toHaveLength(6);
      expect(tpm2(again, 'getcap', 'handles-transient').trim()).toBe('');
      await again.stop();
      if (cut === undefined) {
        // The key, the storage key, and six indexes each defined and written.
        expect(budget).toBe(14);
        return;
      }
    }
  });
});
