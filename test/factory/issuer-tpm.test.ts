import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { primitives } from '../../crypto/primitives.ts';
import { personaliseTpm } from '../../factory/device/personalise.ts';
import { createGroup, type Group, openGroup, unlockIssuer } from '../../factory/group/group.ts';
import { type SealRequest, sealGroup } from '../../factory/group/seal.ts';
import { recognise } from '../../factory/inspect/artifact.ts';
import { showGroup, unlockOpenBatch } from '../../factory/operations.ts';
import { concat, equal, fromHex, toHex } from '../../protocol/bytes.ts';
import { encodeBase64 } from '../../protocol/identity/base64.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { type Swtpm, startSwtpm } from '../../swtpm/swtpm.ts';
import { openTpm } from '../../tpm/context.ts';
import { probe } from '../../tpm/probe.ts';
import { CC, faultyTpm } from '../tpm/proxy.ts';
import { expectFailure, readManifest, scratch, someTrust } from './folders.ts';

const path = scratch();
const PHRASE = encodeUtf8('of the key in the file');
const TPM_PHRASE = encodeUtf8('of the key in the TPM');
let [station, group, secret] = [undefined, undefined, undefined] as unknown as [Swtpm, Group, Uint8Array];
let made = 0;

const nobody = (): Promise<Uint8Array> => Promise.reject(new Error('nobody is to be asked'));
const typing = (phrase: Uint8Array) => async (): Promise<Uint8Array> => phrase.slice();

beforeEach(async () => {
  station = await startSwtpm();
  const folder = path(`g${++made}`);
  group = await createGroup({
    ...{ folder, name: 'March', basename: encodeUtf8('xaprcnet'), passphrase: PHRASE },
  });
  secret = await unlockIssuer(group, typing(PHRASE));
});
afterEach(() => station.stop());

const recovery = (): string => path(`copy-${made}`);
const sealIt = (change: Partial<SealRequest> = {}): Promise<void> =>
  sealGroup({
    ...{ group, stationTpm: station.tcti, recovery: recovery(), pcrs: [] },
    ...{ passphrase: typing(PHRASE), tpmPassphrase: TPM_PHRASE },
    ...change,
  });
const unlock = (phrase = typing(TPM_PHRASE), at = station): Promise<Uint8Array> =>
  unlockIssuer(group, phrase, at.tcti);
const failedAttempts = async (): Promise<number> => {
  const tpm = await openTpm(station.tcti);
  try {
    return (await probe(tpm)).lockout.counter;
  } finally {
    await tpm.close();
  }
};
/** Also sets what is tested beside our own numbers. */
const tpm2 = (...args: string[]): string =>
  execFileSync(`tpm2_${args[0]}`, ['-T', station.tcti, ...args.slice(1)], {
    encoding: 'utf8',
    cwd: path('.'),
    env: { ...process.env, LD_PRELOAD: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });

test('the issuer’s key moves into the station’s TPM, and makes devices from there', async () => {
  const proxy = await faultyTpm(station.port);
  await sealIt({ stationTpm: proxy.tcti });
  const files = readdirSync(group.folder);
  expect(files).toContain('isk.tpm');
  expect(files.filter((name) => /^isk\.(bin|enc)$/.test(name))).toEqual([]);
  expect((await showGroup(group.folder)).issuerSecret).toBe('tpm');
  expect(equal(await unlockIssuer(group, typing(TPM_PHRASE), proxy.tcti), secret)).toBe(true);
  // Neither the key nor the passphrase is on the disk or on the bus.
  const disk = Buffer.concat(files.map((name) => readFileSync(`${group.folder}/${name}`)));
  const bus = Buffer.concat(proxy.bus);
  for (const each of [secret.subarray(0, 32), secret.subarray(32), TPM_PHRASE]) {
    for (const form of [Buffer.from(each), toHex(each), encodeBase64(each).slice(0, 40)])
      expect([disk.includes(form), bus.includes(form)]).toEqual([false, false]);
  }
  expect(recognise('isk.tpm', readFileSync(`${group.folder}/isk.tpm`))).toMatchObject({
    kind: 'issuer secret key, sealed in a TPM',
    facts: { passphrase: 'yes', pcrs: 'none' },
  });

  const chip = await startSwtpm();
  const tpm = await openTpm(chip.tcti);
  await personaliseTpm({
    ...{ group, trust: someTrust(), tpm, placement: 'auto', progress: () => {} },
    endorsement: { authorities: [], required: false },
    capabilities: await probe(tpm),
    issuerSecret: () => unlockOpenBatch(group, typing(TPM_PHRASE), station.tcti),
  });
  await tpm.close();
  await chip.stop();
  expect(await readManifest(group)).toHaveLength(1);
  // Nothing stays loaded, nothing but the storage key is kept.
  expect(tpm2('getcap', 'handles-persistent').trim()).toBe('- 0x81000001');
  expect(tpm2('getcap', 'handles-transient').trim() + tpm2('getcap', 'handles-loaded-session').trim()).toBe(
    '',
  );
});

test('a wrong passphrase is refused and counts, until the TPM locks itself', async () => {
  await sealIt();
  expect(await failedAttempts()).toBe(0);
  const { message } = await expectFailure(unlock(typing(PHRASE)), 'os.wrong-passphrase');
  expect(message).toContain('it counts 1 of ');
  expect(await failedAttempts()).toBe(1);
  tpm2('dictionarylockout', '--setup-parameters', '--max-tries=2', '--recovery-time=1000');
  await expectFailure(unlock(typing(PHRASE)), 'os.wrong-passphrase');
  await expectFailure(unlock(), 'tpm.lockout');
  tpm2('dictionarylockout', '--clear-lockout');
  expect(equal(await unlock(), secret)).toBe(true);
});

test('another TPM is refused, and so is the same one after it was cleared', async () => {
  await sealIt();
  const other = await startSwtpm();
  try {
    const { action } = await expectFailure(unlock(typing(TPM_PHRASE), other), 'factory.issuer-elsewhere');
    expect(action).toContain('isk.enc');
    // One that has a storage key, too.
    const elsewhere = { ...group, folder: path(`o${made}`) };
    await createGroup({ folder: elsewhere.folder, name: 'O', basename: group.basename, passphrase: PHRASE });
    await sealIt({
      group: await openGroup(elsewhere.folder),
      stationTpm: other.tcti,
      recovery: path(`oc${made}`),
    });
    await expectFailure(unlock(typing(TPM_PHRASE), other), 'factory.issuer-elsewhere');
  } finally {
    await other.stop();
  }
  tpm2('clear', '-c', 'l');
  await expectFailure(unlock(), 'factory.issuer-elsewhere');
  // The copy makes it whole again.
  rmSync(`${group.folder}/isk.tpm`);
  renameSync(recovery(), `${group.folder}/isk.enc`);
  expect(equal(await unlock(typing(PHRASE)), secret)).toBe(true);
  await sealIt();
  expect(equal(await unlock(), secret)).toBe(true);
});

test('with registers it opens only while they are as they were', async () => {
  await sealIt({ pcrs: [7, 16], tpmPassphrase: undefined });
  // Nobody is asked for a passphrase.
  expect(equal(await unlock(nobody), secret)).toBe(true);
  tpm2('pcrextend', `23:sha256=${'11'.repeat(32)}`);
  expect(equal(await unlock(nobody), secret)).toBe(true);
  tpm2('pcrextend', `16:sha256=${'11'.repeat(32)}`);
  const { message } = await expectFailure(unlock(nobody), 'factory.issuer-pcrs');
  expect(message).toContain('7, 16');
  // That is no guess.
  expect(await failedAttempts()).toBe(0);
  tpm2('pcrreset', '16');
  expect(equal(await unlock(nobody), secret)).toBe(true);
});

test('registers that the TPM does not have are refused: they would protect nothing', async () => {
  // The SHA-1 bank alone is switched on.
  const banks = fromHex('80010000001900000000000000000500000001000403ffffff');
  const proxy = await faultyTpm(station.port, (command) =>
    command.readUInt32BE(6) === CC.getCapability && command.readUInt32BE(10) === 5
      ? { kind: 'bytes', bytes: banks }
      : undefined,
  );
  const { message } = await expectFailure(sealIt({ pcrs: [0, 7], stationTpm: proxy.tcti }), 'tpm.no-pcrs');
  expect(message).toContain('0, 7');
  expect([existsSync(recovery()), existsSync(`${group.folder}/isk.tpm`)]).toEqual([false, false]);
  await sealIt({ stationTpm: proxy.tcti });
});

test('nothing is lost by what goes wrong, and nothing is written over', async () => {
  await expectFailure(sealIt({ passphrase: typing(TPM_PHRASE) }), 'os.wrong-passphrase');
  writeFileSync(recovery(), 'something else');
  await expectFailure(sealIt(), 'os.exists');
  expect(readFileSync(recovery(), 'utf8')).toBe('something else');
  expect(equal(await unlock(typing(PHRASE)), secret)).toBe(true);
  expect(existsSync(`${group.folder}/isk.tpm`)).toBe(false);
  rmSync(recovery());
  await sealIt();
  await expectFailure(sealIt({ recovery: path(`again-${made}`) }), 'factory.already-sealed');
  for (const text of ['', '{}', '[]', '{"format":"enf-issuer-tpm-1"}'])
    expect(recognise('isk.tpm', encodeUtf8(text)).problem).toBeDefined();
  const whole = JSON.parse(readFileSync(`${group.folder}/isk.tpm`, 'utf8'));
  const bad = { parent: '0x1', pcrs: [24], passphrase: 1, public: '?', private: 'AAUA' };
  for (const [name, value] of Object.entries(bad)) {
    writeFileSync(`${group.folder}/isk.tpm`, JSON.stringify({ ...whole, [name]: value }));
    await expectFailure(unlock(), 'factory.bad-sealed-issuer');
  }
  // Well-formed, and not of this TPM.
  const damaged = { ...whole, private: encodeBase64(concat(Uint8Array.of(0, 100), primitives.random(100))) };
  writeFileSync(`${group.folder}/isk.tpm`, JSON.stringify(damaged));
  await expectFailure(unlock(), 'factory.issuer-elsewhere');
});

test('a key that was not encrypted gets a passphrase for its copy', async () => {
  const plain = await createGroup({ folder: path(`p${made}`), name: 'P', basename: encodeUtf8('b') });
  const key = await unlockIssuer(plain, nobody);
  await sealIt({ group: plain, recovery: path(`pc${made}`) });
  expect(existsSync(`${plain.folder}/isk.bin`)).toBe(false);
  expect(equal(await unlockIssuer(plain, typing(TPM_PHRASE), station.tcti), key)).toBe(true);
  rmSync(`${plain.folder}/isk.tpm`);
  renameSync(path(`pc${made}`), `${plain.folder}/isk.enc`);
  expect(equal(await unlockIssuer(plain, typing(PHRASE)), key)).toBe(true);
});
