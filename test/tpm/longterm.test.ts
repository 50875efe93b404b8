import { createPublicKey, verify } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeTss2, parseTss2 } from '../../protocol/identity/key-file.ts';
import type { Tpm } from '../../tpm/context.ts';
import { COMMON_PARENT, OWN_PARENT } from '../../tpm/handles.ts';
import { inspect } from '../../tpm/inspect.ts';
import { createLongterm, loadLongterm } from '../../tpm/longterm.ts';
import { removeOwnParent } from '../../tpm/parent.ts';
import { probe } from '../../tpm/probe.ts';
import { freshTpm, handlesIn, openForTest, swtpmForTest, TRANSIENT, tpm2 } from './fixture.ts';

const MESSAGE = new TextEncoder().encode('a message');

describe('a longterm key', () => {
  test('signs what ordinary ECDSA verifies, and leaves nothing loaded', async () => {
    const { tpm } = await freshTpm();
    const { pem, publicKey } = await createLongterm(tpm);
    expect(pem).toMatch(/^-----BEGIN TSS2 PRIVATE KEY-----\n/);
    expect(parseTss2(pem).parent).toBe(COMMON_PARENT);
    expect(await handlesIn(tpm, TRANSIENT)).toBe(0);
    const key = await loadLongterm(tpm, pem);
    expect(key.publicKey).toEqual(publicKey);
    for (let i = 0; i < 20; i++) {
      const signature = await key.sign(MESSAGE);
      expect(signature.length).toBe(64);
      expect(verified(publicKey, MESSAGE, signature)).toBe(true);
      expect(verified(publicKey, new Uint8Array(1), signature)).toBe(false);
    }
    expect(await handlesIn(tpm, TRANSIENT)).toBe(1);
    await key.close();
    expect(await handlesIn(tpm, TRANSIENT)).toBe(0);
    await expect(key.sign(MESSAGE)).rejects.toThrow('closed');
  });

  test('loads again by itself after the TPM was reset', async () => {
    const { swtpm, tpm } = await freshTpm();
    const { pem, publicKey } = await createLongterm(tpm);
    const key = await loadLongterm(tpm, pem);
    await swtpm.kill();
    await swtpmForTest({ state: swtpm.state, port: swtpm.port });
    await expect(key.sign(MESSAGE)).rejects.toMatchObject({ code: 'tpm.lost', remedy: 'retry' });
    const [one, other] = await Promise.all([key.sign(MESSAGE), key.sign(MESSAGE)]);
    expect(verified(publicKey, MESSAGE, one)).toBe(true);
    expect(verified(publicKey, MESSAGE, other)).toBe(true);
    expect(await handlesIn(tpm, TRANSIENT)).toBe(1);
  });

  test('[C-22] [C-28] of another TPM, of a cleared one or with a flipped bit is a foreign key', async () => {
    const { swtpm, tpm } = await freshTpm();
    const { pem } = await createLongterm(tpm);
    const blob = parseTss2(pem);
    const flipped = Uint8Array.from(blob.privateBlob);
    flipped[flipped.length - 1]! ^= 1;
    await expect(loadLongterm(tpm, encodeTss2(blob.parent, blob.publicBlob, flipped))).rejects.toMatchObject({
      code: 'tpm.foreign-key',
      remedy: 'operator',
    });

    const other = await freshTpm();
    await expect(loadLongterm(other.tpm, pem)).rejects.toMatchObject({ code: 'tpm.foreign-key' });
    await createLongterm(other.tpm);
    await expect(loadLongterm(other.tpm, pem)).rejects.toMatchObject({ code: 'tpm.foreign-key' });

    await tpm.close();
    tpm2(swtpm, 'clear');
    const cleared = await openForTest(swtpm.tcti);
    await expect(loadLongterm(cleared, pem)).rejects.toMatchObject({ code: 'tpm.foreign-key' });
  });

  test('a damaged file is distinguished from a foreign key', async () => {
    const { tpm } = await freshTpm();
    await expect(loadLongterm(tpm, 'nonsense')).rejects.toMatchObject({ code: 'identity.bad-tss2-file' });
  });

  test("an unsuitable object at the common parent's handle stays, and ours gets its own handle", async () => {
    const swtpm = await swtpmForTest();
    tpm2(swtpm, 'createprimary', '-C', 'o', '-g', 'sha256', '-G', 'ecc', '-c', 'p.ctx');
    tpm2(swtpm, 'create', '-C', 'p.ctx', '-G', 'ecc256:ecdsa', '-u', 'k.pub', '-r', 'k.priv', '-c', 'k.ctx');
    tpm2(swtpm, 'flushcontext', '-t');
    tpm2(swtpm, 'evictcontrol', '-C', 'o', '-c', 'k.ctx', '0x81000001');
    const before = tpm2(swtpm, 'readpublic', '-c', '0x81000001');
    const tpm = await openForTest(swtpm.tcti);
    const { pem, publicKey } = await createLongterm(tpm);
    expect(parseTss2(pem).parent).toBe(OWN_PARENT);
    const key = await loadLongterm(tpm, pem);
    expect(verified(publicKey, MESSAGE, await key.sign(MESSAGE))).toBe(true);
    await tpm.close();
    expect(tpm2(swtpm, 'readpublic', '-c', '0x81000001')).toBe(before);
  });

  test('a storage key subject to lockout is not used, one that is exempt is', async () => {
    const swtpm = await swtpmForTest();
    tpm2(swtpm, 'createprimary', '-C', 'o', '-G', 'ecc', '-c', 'p.ctx');
    tpm2(swtpm, 'evictcontrol', '-C', 'o', '-c', 'p.ctx', '0x81000001');
    tpm2(swtpm, 'flushcontext', '-t');
    const tpm = await openForTest(swtpm.tcti);
    expect((await inspect(tpm)).parents).toEqual([
      { handle: COMMON_PARENT, storageKey: true, exempt: false },
    ]);
    expect(parseTss2((await createLongterm(tpm)).pem).parent).toBe(OWN_PARENT);
    const fresh = await freshTpm();
    await createLongterm(fresh.tpm);
    expect(parseTss2((await createLongterm(fresh.tpm)).pem).parent).toBe(COMMON_PARENT);
  });

  test('a storage key with a password is not used: ours gets its own handle', async () => {
    const swtpm = await swtpmForTest();
    const attributes = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt';
    tpm2(swtpm, 'createprimary', '-C', 'o', '-G', 'ecc', '-a', attributes, '-p', 'theirs', '-c', 'p.ctx');
    tpm2(swtpm, 'evictcontrol', '-C', 'o', '-c', 'p.ctx', '0x81000001');
    tpm2(swtpm, 'flushcontext', '-t');
    const tpm = await openForTest(swtpm.tcti);
    expect(parseTss2((await createLongterm(tpm)).pem).parent).toBe(OWN_PARENT);
  });

  test('our own storage key is removed where it can be made again; keys under it then load as before, and objects of others stay', async () => {
    const swtpm = await swtpmForTest();
    tpm2(swtpm, 'createprimary', '-C', 'o', '-G', 'ecc', '-c', 'p.ctx');
    tpm2(swtpm, 'evictcontrol', '-C', 'o', '-c', 'p.ctx', '0x81000001');
    tpm2(swtpm, 'flushcontext', '-t');
    const tpm = await openForTest(swtpm.tcti);
    expect(await removeOwnParent(tpm)).toBe(true);
    const { pem, publicKey } = await createLongterm(tpm);
    const parents = async (of: Tpm) => (await inspect(of)).parents.map(({ handle }) => handle);
    expect(await parents(tpm)).toEqual([COMMON_PARENT, OWN_PARENT]);
    expect(await removeOwnParent(tpm)).toBe(true);
    expect(await parents(tpm)).toEqual([COMMON_PARENT]);
    await tpm.close();
    const next = await openForTest(swtpm.tcti);
    await expect(loadLongterm(next, pem)).rejects.toMatchObject({ code: 'tpm.foreign-key' });
    await createLongterm(next);
    expect(verified(publicKey, MESSAGE, await (await loadLongterm(next, pem)).sign(MESSAGE))).toBe(true);
    await next.close();
    tpm2(swtpm, 'changeauth', '-c', 'owner', 'secret');
    const locked = await openForTest(swtpm.tcti);
    expect(await removeOwnParent(locked)).toBe(false);
    expect(await parents(locked)).toEqual([COMMON_PARENT, OWN_PARENT]);
  });

  test('[C-27] an owner password that was set must be given', async () => {
    const swtpm = await swtpmForTest();
    tpm2(swtpm, 'changeauth', '-c', 'owner', 'secret');
    const tpm = await openForTest(swtpm.tcti);
    await expect(createLongterm(tpm)).rejects.toMatchObject({ code: 'tpm.hierarchy-locked' });
    const wrong = new TextEncoder().encode('wrong');
    await expect(createLongterm(tpm, { ownerAuth: wrong })).rejects.toMatchObject({
      code: 'tpm.hierarchy-locked',
    });
    await createLongterm(tpm, { ownerAuth: new TextEncoder().encode('secret') });
    expect(await handlesIn(tpm, TRANSIENT)).toBe(0);
  });

  test('[C-26] three power cuts after its use do not increase the lockout counter', async () => {
    const { swtpm, tpm } = await freshTpm();
    const { pem, publicKey } = await createLongterm(tpm);
    let [open, running] = [tpm, swtpm];
    for (let cut = 0; cut < 3; cut++) {
      const key = await loadLongterm(open, pem);
      expect(verified(publicKey, MESSAGE, await key.sign(MESSAGE))).toBe(true);
      await running.kill();
      running = await swtpmForTest({ state: swtpm.state, port: swtpm.port });
      open = await openForTest(swtpm.tcti);
    }
    expect((await probe(open)).lockout.counter).toBe(0);
    await loadLongterm(open, pem);
  });
});

/** Verifies with OpenSSL through Node, not with our own code. */
function verified(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    x: text(publicKey.subarray(1, 33)),
    y: text(publicKey.subarray(33)),
  };
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  return verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature);
}
