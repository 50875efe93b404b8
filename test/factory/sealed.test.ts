import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { closeBatch } from '../../factory/batch/close.ts';
import { exportLines } from '../../factory/batch/export.ts';
import { readAuthorities } from '../../factory/device/endorsement.ts';
import { readMember } from '../../factory/device/member.ts';
import { type Personalisation, type Personalised, personaliseTpm } from '../../factory/device/personalise.ts';
import { personaliseSoftware } from '../../factory/device/software.ts';
import { verifyDevice } from '../../factory/device/verify.ts';
import { createGroup, type Group, unlockIssuer } from '../../factory/group/group.ts';
import { inspectTpm } from '../../factory/inspect/chip.ts';
import { createMaker, openMaker } from '../../factory/maker/maker.ts';
import type { Failure } from '../../protocol/failure.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { type Swtpm, startSwtpm } from '../../swtpm/swtpm.ts';
import { openTpm, type Tpm } from '../../tpm/context.ts';
import { OWNER_MAP, PLATFORM_MAP } from '../../tpm/handles.ts';
import { probe } from '../../tpm/probe.ts';
import { openSealedSecret } from '../../tpm/sealed-secret.ts';
import { wipeTpm } from '../../tpm/wipe.ts';
import { withoutEcdaa } from '../tpm/without-ecdaa.ts';
import { expectFailure, readManifest, scratch, someTrust } from './folders.ts';
import { maker } from './makers.ts';
import { powerCut } from './power-cut.ts';

const path = scratch();
const trust = someTrust();
const NONE = { authorities: [], required: false };
let [chip, group] = [undefined, undefined] as unknown as [Swtpm, Group];
let made = 0;

const nobody = (): Promise<Uint8Array> => Promise.reject(new Error('nobody is to be asked'));

beforeEach(async () => {
  chip = await startSwtpm();
  group = await createGroup({ folder: path(`g${++made}`), name: 'March', basename: encodeUtf8('xaprcnet') });
});
afterEach(() => chip.stop());

/** The chip, as one that cannot do ECDAA. */
async function withTpm<T>(work: (tpm: Tpm) => Promise<T>, at: Pick<Swtpm, 'port'> = chip): Promise<T> {
  const proxy = await withoutEcdaa(at);
  const tpm = await openTpm(proxy.tcti);
  try {
    return await work(tpm);
  } finally {
    await tpm.close();
  }
}

const request = async (tpm: Tpm, change: Partial<Personalisation>): Promise<Personalisation> => ({
  ...{ group, trust, tpm, placement: 'auto', endorsement: NONE, marks: { serial: 'S1' }, allowSealed: true },
  capabilities: await probe(tpm),
  issuerSecret: () => unlockIssuer(group, nobody),
  progress: () => {},
  ...change,
});
const personalise = (change: Partial<Personalisation> = {}): Promise<Personalised> =>
  withTpm(async (tpm) => personaliseTpm(await request(tpm, change)));

// Not synchronously: what stands before the chip is in this process.
const held = async (): Promise<string> => {
  let text = '';
  for (const what of ['handles-persistent', 'handles-nv-index'])
    text += (await promisify(execFile)('tpm2_getcap', ['-T', chip.tcti, what])).stdout;
  return text;
};

describe('a chip that cannot do ECDAA', () => {
  test('says so before a batch begins, with maker and firmware', async () => {
    const { facts, problems } = await withTpm(inspectTpm);
    expect(facts).toMatchObject({
      ...{ manufacturer: 'IBM', personalised: 'no' },
      firmware: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/),
      ecdaa: 'no: without the curve BN_P256, the algorithm ECDAA, the command TPM2_Commit',
    });
    expect(problems).toEqual([
      expect.stringMatching(/^this TPM \(IBM, firmware [\d.]+\) lacks the curve BN_P256.*\[tpm\.no-ecdaa\]$/),
    ]);
  });

  test('is refused unless it is allowed, and nothing is written into it', async () => {
    const before = await held();
    const { action } = await expectFailure(personalise({ allowSealed: false }), 'tpm.no-ecdaa');
    expect(action).toContain('--allow-sealed');
    expect(await held()).toBe(before);
  });

  test.each(['platform', 'owner'] as const)('becomes a device, in the %s hierarchy', async (placement) => {
    const steps: string[] = [];
    const device = await personalise({ placement, progress: (step) => steps.push(step) });
    expect(device).toMatchObject({ resident: false, hierarchy: placement, tpm: 'IBM', already: false });
    expect(steps.join('\n')).toContain("keeps the member's secret sealed");
    expect(await readManifest(group)).toMatchObject([{ resident: false, serial: 'S1', result: 'pass' }]);
    // Again: the same device.
    expect(await personalise({ placement })).toMatchObject({ member: device.member, already: true });
    await expectFailure(personalise({ placement, allowSealed: false }), 'tpm.no-ecdaa');
    expect(await withTpm((tpm) => verifyDevice(tpm, NONE, group))).toMatchObject({
      ...{ resident: false, member: device.member, hierarchy: placement },
      entry: { resident: false },
    });
    const { facts, problems, findings } = await withTpm(inspectTpm);
    expect(problems).toEqual([]);
    expect(facts).toMatchObject({ resident: 'no', personalised: `yes, ${placement} hierarchy` });
    expect(findings.map(({ kind }) => kind)).toContain('sealed secret of a member');
    // The storage key for what the device makes itself stays.
    expect(await withTpm((tpm) => wipeTpm(tpm))).toBe(8);
    const map = placement === 'owner' ? OWNER_MAP : PLATFORM_MAP;
    await expectFailure(
      withTpm((tpm) => openSealedSecret(tpm, map.daaKey)),
      'tpm.not-personalised',
    );
    expect((await held()).trim().split('\n')).toEqual(['- 0x81000001']);
  });

  test('a chip that can do it uses it, also where a sealed secret is allowed', async () => {
    const tpm = await openTpm(chip.tcti);
    const device = await personaliseTpm(await request(tpm, {}));
    await tpm.close();
    expect(device).toMatchObject({ resident: true });
    expect(await readManifest(group)).toMatchObject([{ resident: true }]);
  });

  test('a power cut at any point: the same chip is the same device', async () => {
    let [cuts, member] = [0, undefined as string | undefined];
    // Each run goes on where the one before was cut, and gets further.
    for (let budget = 0; ; budget++) {
      const done = await withTpm(async (tpm) =>
        personaliseTpm(await request(powerCut(tpm, budget), {})).catch((error: Failure) => error),
      );
      const [first] = (await readManifest(group)) as { member: string }[];
      if ('resident' in done) {
        expect(done.member).toBe(member ?? done.member);
        expect(first).toMatchObject({ member: done.member });
        break;
      }
      expect(done.code).toBe('test.power-cut');
      cuts++;
      // From the moment on at which the secret is in the chip and its point is written, its name is known.
      const { findings } = await withTpm(inspectTpm);
      const name = findings.find(({ kind }) => kind === 'sealed secret of a member')?.facts.member;
      if (member !== undefined) expect(name).toBe(member);
      member ??= name;
    }
    expect(cuts).toBeGreaterThan(4);
    expect(await readManifest(group)).toHaveLength(1);
  });

  test('is proved genuine as others are: the certified chip holds the sealed secret', async () => {
    const by = maker(path(`makers-${made}`));
    const genuine = await startSwtpm({ state: by.chip('chip') });
    try {
      const endorsement = { authorities: await readAuthorities(by.roots), required: true };
      const device = await withTpm(
        async (tpm) => personaliseTpm(await request(tpm, { endorsement })),
        genuine,
      );
      expect(device).toMatchObject({ ek: 'verified', resident: false });
      // What is shown has to be what is there.
      const shown = await withTpm(async (tpm) => {
        const { key } = await readMember(tpm);
        const other = {
          ...key,
          publicArea: key.publicArea.map((byte, i, { length }) => byte ^ +(i === length - 1)),
        };
        const { proveEndorsement } = await import('../../factory/device/endorsement.ts');
        await proveEndorsement(tpm, key, endorsement);
        return proveEndorsement(tpm, other, endorsement).catch((error: Failure) => error.code);
      }, genuine);
      expect(shown).toBe('factory.key-elsewhere');
    } finally {
      await genuine.stop();
    }
  });
});

test('manifest and export say of each device whether its key is in the TPM', async () => {
  const sealed = await personalise();
  const issuerSecret = await unlockIssuer(group, nobody);
  const software = { group, issuerSecret, trust, marks: { serial: 'S2' }, folder: path(`d${made}`) };
  await personaliseSoftware({ ...software, progress: () => {} });
  const csv: string[] = [];
  for await (const line of exportLines(group, 'csv', 'passed')) csv.push(line.trim());
  const column = csv[0]!.split(',').indexOf('resident');
  expect(csv.slice(1).map((line) => line.split(',')[column])).toEqual(['false', 'false']);
  await createMaker(path(`m${made}`), undefined);
  const { folder } = await closeBatch({
    ...{ group, passphrase: nobody, leaveIssued: false },
    maker: await openMaker(path(`m${made}`)),
  });
  const lines = readFileSync(`${folder}/devices.jsonl`, 'utf8').trim().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { serial: 'S1', member: sealed.member, resident: false, tpm: 'IBM' },
    { serial: 'S2', resident: false, tpm: 'software' },
  ]);
});
