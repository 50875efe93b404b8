import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { judgeEndorsementCertificate, readCertificates } from '../../crypto/endorsement-certificate.ts';
import { endorsementKeyObject, makeCredential } from '../../crypto/make-credential.ts';
import { primitives } from '../../crypto/primitives.ts';
import {
  type EndorsementPolicy,
  proveEndorsement,
  readAuthorities,
  readCertificateFile,
  type ShownKey,
} from '../../factory/device/endorsement.ts';
import { type Personalised, personaliseTpm } from '../../factory/device/personalise.ts';
import { createGroup, type Group, unlockIssuer } from '../../factory/group/group.ts';
import { equal } from '../../protocol/bytes.ts';
import type { EndorsementPublic } from '../../protocol/crypto/endorsement.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { type Swtpm, startSwtpm } from '../../swtpm/swtpm.ts';
import { openTpm, type Tpm } from '../../tpm/context.ts';
import { type EndorsementKind, nameOf, openChallenge, withEndorsementKey } from '../../tpm/endorsement.ts';
import { PLATFORM_MAP } from '../../tpm/handles.ts';
import { readNv } from '../../tpm/nv.ts';
import { findObject, lookup } from '../../tpm/objects.ts';
import { createDaaKey } from '../../tpm/personalise.ts';
import { probe } from '../../tpm/probe.ts';
import { expectFailure, readManifest, scratch, someTrust } from './folders.ts';
import { type CertificateChange, type Certifier, certifier, type Maker, maker } from './makers.ts';

const path = scratch();
const trust = someTrust();
const NONE: EndorsementPolicy = { authorities: [], required: false };
let [ours, others] = [undefined, undefined] as unknown as [Maker, Maker];
let chips: Swtpm[] = [];
let made = 0;

beforeAll(() => {
  ours = maker(path('ours'));
  others = maker(path('others'));
});
afterEach(async () => {
  for (const chip of chips) await chip.stop();
  chips = [];
});

async function chipOf(state?: string): Promise<Swtpm> {
  const chip = await startSwtpm(state === undefined ? {} : { state });
  chips.push(chip);
  return chip;
}
const genuine = (by = ours): Promise<Swtpm> => chipOf(by.chip(`chip-${++made}`));

async function withTpm<T>(chip: Swtpm, work: (tpm: Tpm) => Promise<T>): Promise<T> {
  const tpm = await openTpm(chip.tcti);
  try {
    return await work(tpm);
  } finally {
    await tpm.close();
  }
}

const freshGroup = (): Promise<Group> =>
  createGroup({ folder: path(`group-${++made}`), name: 'March', basename: encodeUtf8('xaprcnet') });

const personalise = (chip: Swtpm, group: Group, endorsement: EndorsementPolicy): Promise<Personalised> =>
  withTpm(chip, async (tpm) =>
    personaliseTpm({
      ...{ group, trust, tpm, placement: 'auto', endorsement },
      capabilities: await probe(tpm),
      issuerSecret: () => unlockIssuer(group, () => Promise.reject(new Error('nobody is to be asked'))),
      progress: () => {},
    }),
  );

const policyOf = async (by: Maker, required = true): Promise<EndorsementPolicy> => ({
  authorities: await readAuthorities(by.roots),
  required,
});

const publicOf = (chip: Swtpm, kind: EndorsementKind): Promise<EndorsementPublic> =>
  withTpm(chip, (tpm) => withEndorsementKey(tpm, kind, async (_, key) => key));
/** The member key as the TPM shows it. */
const keyOf = async (tpm: Tpm): Promise<ShownKey> => {
  const { daaKey: handle } = PLATFORM_MAP;
  return { handle, publicArea: (await findObject(tpm, handle))!.publicArea };
};
const pemOf = (key: EndorsementPublic): string =>
  endorsementKeyObject(key).export({ type: 'spki', format: 'pem' }) as string;

describe('a chip with its maker’s certificate', () => {
  test('is proved genuine before anything is issued, and the manifest says so', async () => {
    const [chip, group] = [await genuine(), await freshGroup()];
    const policy = await policyOf(ours);
    expect(await personalise(chip, group, policy)).toMatchObject({ ek: 'verified', already: false });
    expect(await readManifest(group)).toMatchObject([{ ek: 'verified' }]);
    expect(await personalise(chip, group, policy)).toMatchObject({ ek: 'verified', already: true });
    expect(await readManifest(group)).toHaveLength(1);
    const again = withTpm(chip, async (tpm) => proveEndorsement(tpm, await keyOf(tpm), policy));
    expect((await again).text).toMatch(/^id:00001014 swtpm, certified under CN=swtpm-localca-rootca/);
  });

  test('is untrusted without roots, and with those of another maker; then nothing is issued if it is required', async () => {
    const [chip, group] = [await genuine(), await freshGroup()];
    const foreign = await policyOf(others);
    const failure = await expectFailure(personalise(chip, group, foreign), 'factory.ek-untrusted');
    expect(failure.message).toContain('no authority among those given has signed it');
    expect(await readManifest(group)).toEqual([]);
    expect(await withTpm(chip, (tpm) => readNv(tpm, PLATFORM_MAP.nv.credential))).toBeUndefined();
    expect(await personalise(chip, group, { ...foreign, required: false })).toMatchObject({
      ek: 'untrusted',
    });
    expect(await personalise(chip, group, NONE)).toMatchObject({ ek: 'untrusted', already: true });
    // The root alone is not enough: the authority between is missing.
    const alone = readCertificates(readFileSync(join(ours.roots, 'root.pem')), 'root');
    const incomplete = personalise(chip, group, { authorities: alone, required: true });
    await expectFailure(incomplete, 'factory.ek-untrusted');
  });

  test('is refused with the certificate of another chip', async () => {
    const [chip, other] = [await genuine(), await genuine()];
    const file = path('other.der');
    execFileSync('tpm2_nvread', ['-T', other.tcti, '-o', file, '0x1c00002'], { stdio: 'pipe' });
    const certificate = await readCertificateFile(file);
    const policy = { ...(await policyOf(ours)), certificate };
    expect(certificate.kind).toBe('rsa');
    const failure = await expectFailure(
      personalise(chip, await freshGroup(), policy),
      'factory.ek-untrusted',
    );
    expect(failure.message).toContain('another endorsement key');
  });
});

test('a chip without a certificate is absent, and refused if one is required', async () => {
  const [chip, group] = [await chipOf(), await freshGroup()];
  await expectFailure(personalise(chip, group, await policyOf(ours)), 'factory.ek-absent');
  expect(await personalise(chip, group, await policyOf(ours, false))).toMatchObject({ ek: 'absent' });
});

describe('the secret', () => {
  test.each(['rsa', 'ecc'] as const)(
    'is opened by the chip with the %s endorsement key, for the key that it names only',
    async (kind) => {
      const chip = await chipOf();
      await withTpm(chip, async (tpm) => {
        const { publicArea } = await createDaaKey(tpm, PLATFORM_MAP);
        const key = (await findObject(tpm, PLATFORM_MAP.daaKey))!;
        const secret = primitives.random(32);
        const name = nameOf(publicArea, primitives.sha256);
        const stranger = nameOf(
          publicArea.map((byte, i) => byte ^ (i === 40 ? 1 : 0)),
          primitives.sha256,
        );
        await withEndorsementKey(tpm, kind, async (endorsementKey, publicKey) => {
          const open = (challenge: ReturnType<typeof makeCredential>) =>
            openChallenge(tpm, key.object, endorsementKey, challenge);
          const challenge = makeCredential(publicKey, name, secret);
          expect(equal((await open(challenge))!, secret)).toBe(true);
          expect(await open(makeCredential(publicKey, stranger, secret))).toBeUndefined();
          // swtpm ends in failure mode of an RSA seed that it cannot decrypt.
          for (const part of kind === 'rsa' ? (['credential'] as const) : (['credential', 'seed'] as const)) {
            const bent = { ...challenge, [part]: challenge[part].slice() };
            bent[part][bent[part].length - 1]! ^= 1;
            expect(await open(bent)).toBeUndefined();
          }
        });
      });
    },
  );

  test('made for another chip’s endorsement key stays shut', async () => {
    const [chip, other] = [await chipOf(), await chipOf()];
    const publicKey = await publicOf(other, 'ecc');
    await withTpm(chip, async (tpm) => {
      const { publicArea } = await createDaaKey(tpm, PLATFORM_MAP);
      const key = (await findObject(tpm, PLATFORM_MAP.daaKey))!;
      const challenge = makeCredential(
        publicKey,
        nameOf(publicArea, primitives.sha256),
        primitives.random(32),
      );
      await withEndorsementKey(tpm, 'ecc', async (endorsementKey) =>
        expect(await openChallenge(tpm, key.object, endorsementKey, challenge)).toBeUndefined(),
      );
    });
  });

  /** A genuine chip, and another whose key something between shows instead, from its `from`th look-up on. */
  async function between(from: number, work: (tpm: Tpm, shown: ShownKey, own: ShownKey) => Promise<void>) {
    const [chip, other] = [await genuine(), await chipOf()];
    const [elsewhere, shown] = await withTpm(other, async (tpm) => {
      await createDaaKey(tpm, PLATFORM_MAP);
      return [(await lookup(tpm, PLATFORM_MAP.daaKey))!.wire, await keyOf(tpm)] as const;
    });
    await withTpm(chip, async (tpm) => {
      await createDaaKey(tpm, PLATFORM_MAP);
      const own = await keyOf(tpm);
      let looks = 0;
      const lying: Tpm = Object.create(tpm, {
        ask: {
          value: async (...call: Parameters<Tpm['ask']>) => {
            const answer = await tpm.ask(...call);
            const shows = call[0] === 'lookup' && call[1]?.[0] === PLATFORM_MAP.daaKey && looks++ >= from;
            return shows ? { ...answer, buffers: [elsewhere] } : answer;
          },
        },
        call: { value: tpm.call.bind(tpm) },
        alive: { get: () => tpm.alive },
        generation: { get: () => tpm.generation },
      });
      await work(lying, shown, own);
    });
  }

  test('a genuine chip that shows the key of another chip is refused, whether it is required or not', () =>
    between(0, async (tpm, shown) => {
      for (const required of [true, false])
        await expectFailure(
          proveEndorsement(tpm, shown, await policyOf(ours, required)),
          'factory.key-elsewhere',
        );
    }));

  test('a key that is shown to be certified, and is not the one that is proved, is refused', () =>
    between(Number.POSITIVE_INFINITY, async (tpm, shown, own) => {
      const policy = await policyOf(ours, false);
      expect(await proveEndorsement(tpm, own, policy)).toMatchObject({ state: 'verified' });
      await expectFailure(proveEndorsement(tpm, shown, policy), 'factory.key-elsewhere');
    }));

  test('is not asked of a TPM whose endorsement hierarchy has a password, unless it is required', async () => {
    const [chip, group] = [await genuine(), await freshGroup()];
    execFileSync('tpm2_changeauth', ['-T', chip.tcti, '-c', 'e', 'a password'], { stdio: 'pipe' });
    await expectFailure(personalise(chip, group, await policyOf(ours)), 'tpm.hierarchy-locked');
    expect(await personalise(chip, group, await policyOf(ours, false))).toMatchObject({ ek: 'untrusted' });
  });

  test.each(['rsa', 'ecc'] as const)('is understood by tpm2-tools, and theirs here (%s)', async (kind) => {
    const chip = await chipOf();
    const tool = (name: string, ...args: string[]): string =>
      execFileSync(`tpm2_${name}`, ['-T', chip.tcti, ...args], {
        ...{ cwd: path('.'), encoding: 'utf8', stdio: 'pipe' },
        env: { ...process.env, LD_PRELOAD: '' },
      });
    const publicArea = await withTpm(chip, async (tpm) => (await createDaaKey(tpm, PLATFORM_MAP)).publicArea);
    const name = nameOf(publicArea, primitives.sha256);
    const handle = `0x${PLATFORM_MAP.daaKey.toString(16)}`;
    tool('createek', '-c', '0x81010005', '-G', kind, '-u', 'ek.pub');
    const readsName = tool('readpublic', '-c', handle).match(/name: ([0-9a-f]+)/)?.[1];
    expect(readsName).toBe(Buffer.from(name).toString('hex'));
    const [secret, file] = [primitives.random(32), 'blob'];
    writeFileSync(path('secret'), secret);
    // Theirs, opened here.
    tool('makecredential', '-e', 'ek.pub', '-s', 'secret', '-n', readsName!, '-o', file);
    const theirs = split(readFileSync(path(file)));
    await withTpm(chip, async (tpm) => {
      const key = (await findObject(tpm, PLATFORM_MAP.daaKey))!;
      await withEndorsementKey(tpm, kind, async (endorsementKey) =>
        expect(await openChallenge(tpm, key.object, endorsementKey, theirs)).toEqual(secret),
      );
    });
    // Ours, opened by them.
    const { credential, seed } = makeCredential(await publicOf(chip, kind), name, secret);
    writeFileSync(path(file), Buffer.concat([Buffer.from('badcc0de00000001', 'hex'), credential, seed]));
    tool('startauthsession', '--policy-session', '-S', 'session');
    tool('policysecret', '-S', 'session', '-c', 'e');
    tool(
      'activatecredential',
      '-c',
      handle,
      '-C',
      '0x81010005',
      '-i',
      file,
      '-o',
      'opened',
      '-P',
      'session:session',
    );
    expect(new Uint8Array(readFileSync(path('opened')))).toEqual(secret);
  });
});

/** The two structures of tpm2-tools' file, behind a header of 8 bytes. */
function split(file: Buffer): { credential: Uint8Array; seed: Uint8Array } {
  const end = 8 + 2 + file.readUInt16BE(8);
  return { credential: new Uint8Array(file.subarray(8, end)), seed: new Uint8Array(file.subarray(end)) };
}

describe('a certificate', () => {
  let key: EndorsementPublic;
  let authority: Certifier;
  beforeAll(async () => {
    const chip = await startSwtpm();
    key = await publicOf(chip, 'ecc');
    await chip.stop();
    authority = certifier(path('authority'));
  });
  const judge = (change?: CertificateChange, by = authority, now?: Date) => {
    const certificate = by.certify(pemOf(key), change);
    const roots = readCertificates(readFileSync(by.root), 'root');
    return judgeEndorsementCertificate(certificate, key, roots, now ?? new Date());
  };

  test('of a maker holds, also with bytes behind it', () => {
    const found = judge();
    expect(found).toEqual({
      trusted: true,
      manufacturer: 'id:FFFFF1D0',
      model: 'test',
      root: 'CN=authority',
    });
    const padded = new Uint8Array(2_048).fill(0xff);
    padded.set(authority.certify(pemOf(key)));
    const roots = readCertificates(readFileSync(authority.root), 'root');
    expect(judgeEndorsementCertificate(padded, key, roots, new Date()).trusted).toBe(true);
  });

  test.each<[string, CertificateChange, RegExp]>([
    ['of an authority', { extensions: 'basicConstraints = critical, CA:TRUE\n' }, /certification authority/],
    ['for signatures', { extensions: 'keyUsage = critical, digitalSignature\n' }, /key usage/],
    ['for servers', { extensions: 'extendedKeyUsage = serverAuth\n' }, /extended key usage/],
    [
      'with a critical extension of unknown meaning',
      { extensions: '1.2.3.4 = critical, ASN1:NULL\n' },
      /1\.2\.3\.4, which is not understood/,
    ],
    [
      'without the TPM’s names',
      { names: '1.2.23.133.2.1 = id:1\n2.2.23.133.2.2 = test\n' },
      /2\.23\.133\.2\.3/,
    ],
  ])('%s is refused, and it is said why', (_, change, why) => {
    const found = judge(change);
    expect(found).toMatchObject({ trusted: false });
    expect('why' in found ? found.why : '').toMatch(why);
  });

  test('of another time is refused, and one whose root has ended', () => {
    const at = (year: number, change = {}) => judge(change, authority, new Date(`${year}-01-01`));
    expect(at(2020)).toMatchObject({ trusted: false, why: expect.stringContaining('CN=ek-') });
    expect(at(2020)).toMatchObject({ why: expect.stringContaining('is not valid before') });
    expect(at(2040)).toMatchObject({ trusted: false, why: expect.stringContaining('was valid until') });
    expect(at(2150, { days: 73_000 })).toMatchObject({
      trusted: false,
      why: expect.stringContaining('CN=authority was valid until'),
    });
  });

  test('under a root that is no authority is refused', () => {
    expect(judge({}, certifier(path('no-authority'), 'critical, CA:FALSE'))).toMatchObject({
      trusted: false,
    });
  });

  test('whose bytes are cut or changed anywhere is never trusted', () => {
    const good = authority.certify(pemOf(key));
    const roots = readCertificates(readFileSync(authority.root), 'root');
    for (let i = 0; i < good.length; i++) {
      expect(judgeEndorsementCertificate(good.subarray(0, i), key, roots, new Date()).trusted).toBe(false);
      const bent = good.slice();
      bent[i]! ^= 0x41;
      expect(judgeEndorsementCertificate(bent, key, roots, new Date()).trusted).toBe(false);
    }
  });

  test('files that hold none are named', async () => {
    writeFileSync(path('empty.pem'), 'nothing');
    await expectFailure(readCertificateFile(path('empty.pem')), 'factory.bad-certificate');
    await expectFailure(readAuthorities(path('nowhere')), 'os.no-file');
  });
});
