import { describe, expect, test } from 'vitest';
import { primitives } from '../../crypto/primitives.ts';
import { issueCredential } from '../../protocol/crypto/issuer.ts';
import {
  checkMemberKey,
  generateMemberSecret,
  join,
  sign,
  softwareDaaKey,
  validateCredential,
} from '../../protocol/crypto/member.ts';
import { groupVerifier } from '../../protocol/crypto/verifier.ts';
import { objectOf } from '../../tpm/context.ts';
import { openDaaKey } from '../../tpm/daa.ts';
import { OWNER_MAP, PLATFORM_MAP } from '../../tpm/handles.ts';
import { createDaaKey } from '../../tpm/personalise.ts';
import { encodePoint, encodeScheme } from '../../tpm/structures.ts';
import { BASENAME, freshTpm, handlesIn, newGroup, personalise, swtpmForTest, TRANSIENT } from './fixture.ts';

const MESSAGE = new TextEncoder().encode('a message');

/** G1 of FP256BN is (1, 2). */
const BASE = Uint8Array.from({ length: 65 }, (_, i) => (i === 0 ? 4 : i === 32 ? 1 : i === 64 ? 2 : 0));

describe('the ECDAA key in a TPM', () => {
  test('joins: the proof holds for the nonce, and not for another', async () => {
    const { tpm } = await freshTpm();
    const { key } = await createDaaKey(tpm, PLATFORM_MAP);
    const nonce = primitives.random(32);
    const memberKey = await join(primitives, key, nonce);
    expect(() => checkMemberKey(primitives, memberKey, nonce)).not.toThrow();
    expect(() => checkMemberKey(primitives, memberKey, primitives.random(32))).toThrow();
  });

  test('signs for its group, with and without a basename; other messages and groups are refused', async () => {
    const { tpm } = await freshTpm();
    const group = newGroup();
    const { credential, credentialSignature } = await personalise(tpm, PLATFORM_MAP, group);
    const key = await openDaaKey(tpm, PLATFORM_MAP.daaKey);
    validateCredential(primitives, group.gpk, key.publicPoint, credential, credentialSignature);

    const linked = await sign(primitives, key, credential, MESSAGE, BASENAME);
    const verifier = groupVerifier(primitives, group.gpk, BASENAME);
    expect(linked.length).toBe(421);
    expect(await verifier.verify(linked, MESSAGE)).toBe(true);
    expect(await verifier.verify(linked, new Uint8Array(1))).toBe(false);
    expect(await groupVerifier(primitives, newGroup().gpk, BASENAME).verify(linked, MESSAGE)).toBe(false);

    const unlinked = await sign(primitives, key, credential, MESSAGE);
    expect(unlinked.length).toBe(356);
    expect(await groupVerifier(primitives, group.gpk).verify(unlinked, MESSAGE)).toBe(true);
  });

  test('does not sign with a credential of another key', async () => {
    const { tpm } = await freshTpm();
    const { key } = await createDaaKey(tpm, PLATFORM_MAP);
    const group = newGroup();
    const other = softwareDaaKey(primitives, generateMemberSecret(primitives));
    const { credential } = issueCredential(primitives, group.secret, other.publicPoint);
    await expect(sign(primitives, key, credential, MESSAGE, BASENAME)).rejects.toMatchObject({
      code: 'ecdaa.bad-response',
    });
  });

  test('a commit counter can be used once, in the key and in the TPM', async () => {
    const { tpm } = await freshTpm();
    const { key } = await createDaaKey(tpm, PLATFORM_MAP);
    const commitment = await key.commit(BASE);
    await commitment.sign(new Uint8Array(32).fill(1));
    await expect(commitment.sign(new Uint8Array(32).fill(2))).rejects.toMatchObject({ code: 'tpm.refused' });

    const object = objectOf(await tpm.call('lookup', [PLATFORM_MAP.daaKey]));
    const { numbers } = await tpm.call('commit', [0, object], [encodePoint(BASE), ...none(2)]);
    const scheme = encodeScheme({ algorithm: 0x1a, hash: 0x0b, count: numbers[0]! });
    const digest = new Uint8Array(32).fill(3);
    expect((await tpm.ask('sign', [0, object], [digest, scheme])).rc).toBe(0);
    expect((await tpm.ask('sign', [0, object], [digest, scheme])).rc & 0xff).toBe(0x84);
  });

  test('a wrong y2 is refused by the TPM', async () => {
    const { tpm } = await freshTpm();
    const { key } = await createDaaKey(tpm, PLATFORM_MAP);
    const wrong = { s2: new Uint8Array([0, 0, 0, 0, 1]), point: BASE };
    await expect(key.commit(BASE, wrong)).rejects.toMatchObject({ code: 'tpm.refused' });
  });

  test('signs again after a reset of the TPM; the pending commitment is lost', async () => {
    const { swtpm, tpm } = await freshTpm();
    const { key } = await createDaaKey(tpm, OWNER_MAP);
    const commitment = await key.commit(BASE);
    await swtpm.kill();
    await expect(commitment.sign(new Uint8Array(32))).rejects.toMatchObject({ remedy: 'retry' });
    await swtpmForTest({ state: swtpm.state, port: swtpm.port });
    const again = await key.commit(BASE);
    expect((await again.sign(new Uint8Array(32))).s.length).toBeLessThanOrEqual(32);
    await expect(commitment.sign(new Uint8Array(32))).rejects.toMatchObject({ code: 'tpm.lost' });
  });

  test('[C-29] two hundred signatures leave nothing loaded', async () => {
    const { tpm } = await freshTpm();
    const { key } = await createDaaKey(tpm, PLATFORM_MAP);
    for (let i = 0; i < 200; i++) await (await key.commit(BASE)).sign(new Uint8Array(32).fill(i));
    expect(await handlesIn(tpm, TRANSIENT)).toBe(0);
  });

  test('a TPM without the key is reported as not personalised', async () => {
    const { tpm } = await freshTpm();
    await expect(openDaaKey(tpm, PLATFORM_MAP.daaKey)).rejects.toMatchObject({
      code: 'tpm.not-personalised',
    });
  });
});

function none(count: number): Uint8Array[] {
  return Array.from({ length: count }, () => new Uint8Array());
}
