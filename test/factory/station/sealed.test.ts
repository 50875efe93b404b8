import { describe, expect, test } from 'vitest';
import { drawMemberSecret, memberPoint } from '../../../crypto/member-secret.ts';
import { primitives } from '../../../crypto/primitives.ts';
import { readAuthorities } from '../../../factory/device/endorsement.ts';
import { generateMemberSecret, join, softwareDaaKey } from '../../../protocol/crypto/member.ts';
import type { Swtpm } from '../../../swtpm/swtpm.ts';
import { PLATFORM_MAP } from '../../../tpm/handles.ts';
import { findObject } from '../../../tpm/objects.ts';
import { createSealedSecret } from '../../../tpm/sealed-secret.ts';
import { withoutEcdaa } from '../../tpm/without-ecdaa.ts';
import { expectFailure, readManifest } from '../folders.ts';
import { maker } from '../makers.ts';
import { HERE, stationPlace, withTpm } from './place.ts';

const at = stationPlace();
const { path, station, chip, personalise, tokenFor, token, tally } = at;

/** A board whose TPM cannot do ECDAA. */
const board = async (state?: string): Promise<Pick<Swtpm, 'tcti'>> => withoutEcdaa(await chip(state));

describe('a board whose TPM cannot do ECDAA', () => {
  test('is refused by itself, then by the station, before anything is made; and is a device where both allow it', async () => {
    const one = await board();
    const token = await tokenFor(3);
    const plain = await station();
    await expectFailure(personalise(one, plain.url, token), 'tpm.no-ecdaa');
    const allowed = { allowSealed: true };
    await expectFailure(personalise(one, plain.url, token, allowed), 'factory.sealed-refused');
    expect(await withTpm(one, (tpm) => findObject(tpm, PLATFORM_MAP.daaKey))).toBeUndefined();
    const open = await station(allowed);
    await expectFailure(personalise(one, open.url, token), 'tpm.no-ecdaa');
    const device = await personalise(one, open.url, token, { ...allowed, serial: { serial: 'S1' } });
    expect(device).toMatchObject({ resident: false, already: false });
    expect(await personalise(one, open.url, token, allowed)).toMatchObject({
      ...{ member: device.member, resident: false, already: true },
    });
    expect(await readManifest(at.group)).toMatchObject([
      { member: device.member, resident: false, serial: 'S1' },
    ]);
    // Beside it, others are as they were.
    expect(await personalise(await chip(), open.url, token)).toMatchObject({ resident: true });
    expect((await readManifest(at.group)).map(({ resident }) => resident)).toEqual([false, true]);
  });

  test('is proved genuine like others', async () => {
    const by = maker(path('makers'));
    const endorsement = { authorities: await readAuthorities(by.roots), required: true };
    const { url } = await station({ allowSealed: true, endorsement });
    const one = await board(by.chip('board'));
    await personalise(one, url, await tokenFor(1), { allowSealed: true });
    expect(await readManifest(at.group)).toMatchObject([{ ek: 'verified', resident: false }]);
    await expectFailure(
      personalise(await board(), url, await tokenFor(1), { allowSealed: true }),
      'factory.ek-absent',
    );
  });

  test('gets no credential by showing a sealed secret to a station that does not allow it, or one of another', async () => {
    const maker = { draw: () => drawMemberSecret(primitives), pointOf: memberPoint };
    const one = await board();
    const { publicArea } = await withTpm(one, (tpm) => createSealedSecret(tpm, PLATFORM_MAP, maker));
    const asked = async (allowSealed: boolean, area: Uint8Array, over?: Uint8Array) => {
      const { enrolment } = await station({ allowSealed });
      const { session, nonce } = await enrolment.begin({ ...HERE, token: await token(1) });
      const key = softwareDaaKey(primitives, generateMemberSecret(primitives));
      const memberKey = await join(primitives, key, over ?? nonce, at.group.basename);
      return enrolment.join(session, { publicArea: area, memberKey, holds: false, certificate: undefined });
    };
    await expectFailure(asked(false, publicArea), 'factory.sealed-refused');
    await expectFailure(asked(true, publicArea, new Uint8Array(32)), 'ecdaa.bad-member-key');
    // Another kind of object, or a policy that is not ours.
    for (const at of [7, 20]) {
      const bent = publicArea.map((byte, i) => (i === at ? byte ^ 0x40 : byte));
      await expectFailure(asked(true, bent), 'tpm.bad-public-area');
    }
    expect(await asked(true, publicArea)).toHaveProperty('credential');
    expect(await tally()).toMatchObject({ issued: 1 });
  });
});
