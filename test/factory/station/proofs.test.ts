import { beforeAll, describe, expect, test } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import type { EndorsementPolicy } from '../../../factory/device/endorsement.ts';
import { readAuthorities, readEndorsementHash } from '../../../factory/device/endorsement.ts';
import type { Enrolment } from '../../../factory/station/enrolment.ts';
import { generateMemberSecret, join, sign, softwareDaaKey } from '../../../protocol/crypto/member.ts';
import { readEndorsementCertificate } from '../../../tpm/endorsement.ts';
import { PLATFORM_MAP } from '../../../tpm/handles.ts';
import { createDaaKey } from '../../../tpm/personalise.ts';
import { expectFailure, readManifest } from '../folders.ts';
import { type Maker, maker } from '../makers.ts';
import { HERE, stationPlace, withTpm } from './place.ts';

const at = stationPlace();
const { path, station, chip, personalise, tokenFor, token, tally } = at;

describe('boards with their makers’ certificates', () => {
  let by: Maker;
  beforeAll(() => {
    by = maker(path('maker-of-chips'));
  });
  const policy = async (): Promise<EndorsementPolicy> => ({
    authorities: await readAuthorities(by.roots),
    required: true,
  });

  test('are proved genuine before anything is issued; others are refused', async () => {
    const { url } = await station({ endorsement: await policy() });
    const token = await tokenFor(2);
    const board = await chip(by.chip('board'));
    await personalise(board, url, token);
    expect(await readManifest(at.group)).toMatchObject([
      { ek: 'verified', ekHash: await withTpm(board, readEndorsementHash) },
    ]);
    await expectFailure(personalise(await chip(), url, token), 'factory.ek-absent');
    const foreign = await chip(maker(path('other-maker')).chip('board'));
    await expectFailure(personalise(foreign, url, token), 'factory.ek-untrusted');
    expect(await tally()).toMatchObject({
      passed: 1,
      issued: 0,
      failed: { 'factory.ek-absent': 1, 'factory.ek-untrusted': 1 },
    });
  });

  test('a board that shows the certificate of another chip gets nothing', async () => {
    const { url, enrolment } = await station({ endorsement: await policy() });
    const genuine = await chip(by.chip('genuine'));
    const der = (await withTpm(genuine, (tpm) => readEndorsementCertificate(tpm, 'rsa')))!;
    const board = await chip();
    const certificate = { kind: 'rsa', der } as const;
    // An honest board finds out itself.
    await expectFailure(personalise(board, url, await tokenFor(1), { certificate }), 'factory.key-elsewhere');
    // Of a dishonest one the station does not get the secret.
    const { session, nonce } = await enrolment.begin({ ...HERE, token: await token(1) });
    const { publicArea, memberKey } = await withTpm(board, async (tpm) => {
      const made = await createDaaKey(tpm, PLATFORM_MAP);
      return { ...made, memberKey: await join(primitives, made.key, nonce, at.group.basename) };
    });
    const reply = await enrolment.join(session, { publicArea, memberKey, holds: false, certificate: der });
    expect(Object.keys(reply)).toEqual(['challenge']);
    await expectFailure(enrolment.prove(session, new Uint8Array(32)), 'factory.key-elsewhere');
    await expectFailure(enrolment.prove(session, new Uint8Array(32)), 'factory.no-session');
    expect(await tally()).toMatchObject({ passed: 0, issued: 0, tokens: {} });
  });
});

describe('a board that lies', () => {
  test('has to show a key of its own, in a TPM, and to sign with its credential', async () => {
    const { enrolment } = await station();
    const [secret, other] = [generateMemberSecret(primitives), generateMemberSecret(primitives)];
    const key = softwareDaaKey(primitives, secret);
    const publicArea = await withTpm(
      await chip(),
      async (tpm) => (await createDaaKey(tpm, PLATFORM_MAP)).publicArea,
    );
    const begun = (): ReturnType<Enrolment['begin']> =>
      token(9).then((each) => enrolment.begin({ ...HERE, token: each }));
    const joined = async (area: Uint8Array, made: Uint8Array, over?: Uint8Array) => {
      const { session, nonce } = await begun();
      const memberKey = await join(
        primitives,
        softwareDaaKey(primitives, made),
        over ?? nonce,
        at.group.basename,
      );
      return {
        session,
        reply: enrolment.join(session, { publicArea: area, memberKey, holds: false, certificate: undefined }),
      };
    };
    // The public area of a chip, the proof of another key.
    await expectFailure((await joined(publicArea, secret)).reply, 'factory.key-elsewhere');
    // A proof of before.
    await expectFailure((await joined(publicArea, secret, new Uint8Array(32))).reply, 'ecdaa.bad-member-key');
    // A key in software that says it is in a TPM: only an endorsement certificate tells. It has to sign all the same.
    const claimed = publicArea.slice();
    claimed.set(key.publicPoint.subarray(1, 33), claimed.length - 66);
    claimed.set(key.publicPoint.subarray(33), claimed.length - 32);
    const { session, reply } = await joined(claimed, secret);
    const { message, credential } = (await reply) as { message: Uint8Array; credential: Uint8Array };
    const forged = await sign(
      primitives,
      softwareDaaKey(primitives, other),
      credential,
      message,
      at.group.basename,
    ).catch(() => new Uint8Array(421));
    await expectFailure(enrolment.done(session, forged), 'factory.board-not-proved');
    expect(await readManifest(at.group)).toEqual([]);
    // It has a credential all the same.
    expect(await tally()).toMatchObject({ passed: 0, issued: 1, failed: { 'factory.key-elsewhere': 1 } });
  });
});
