import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  checkMemberKey,
  ecdaaCore,
  groupVerifier,
  issueCredential,
  join,
  sign,
  softwareDaaKey,
  validateCredential,
  verificationQueue,
} from '../../crypto/ecdaa.ts';
import { primitives } from '../../crypto/primitives.ts';
import type { EcdaaFace, NativeGroup } from '../../native/ecdaa/ecdaa.ts';
import { toHex } from '../../protocol/bytes.ts';
import { decodeG1, encodeG1 } from '../../protocol/crypto/encoding.ts';
import { generateIssuer, groupPublicKey } from '../../protocol/crypto/issuer.ts';
import * as member from '../../protocol/crypto/member.ts';
import * as verifier from '../../protocol/crypto/verifier.ts';

const issuer = generateIssuer(primitives);
const gpk = groupPublicKey(issuer.publicKey);
const basename = new TextEncoder().encode('a queue');
const text = (value: string) => new TextEncoder().encode(value);

function newMember() {
  const key = softwareDaaKey(primitives, member.generateMemberSecret(primitives));
  return { key, ...issueCredential(primitives, issuer.secret, key.publicPoint) };
}

describe('the addon and protocol/crypto', () => {
  it('accept each other’s signatures and credentials', async () => {
    const { key, credential, signature } = newMember();
    member.validateCredential(primitives, gpk, key.publicPoint, credential, signature);
    const fast = await sign(primitives, key, credential, text('m'), basename);
    const slow = await member.sign(primitives, key, credential, text('m'), basename);
    for (const verify of [groupVerifier, verifier.groupVerifier]) {
      const { verify: ask } = verify(primitives, gpk, basename);
      expect(await ask(fast, text('m'))).toBe(true);
      expect(await ask(slow, text('m'))).toBe(true);
      expect(await ask(fast, text('n'))).toBe(false);
    }
    expect(toHex(verifier.pseudonymOf(fast))).toBe(toHex(verifier.pseudonymOf(slow)));
  });

  it('fail with the same codes', async () => {
    const { key, credential } = newMember();
    const short = new Uint8Array(5);
    const revoked = (secretKeys: Uint8Array[], pseudonyms: Uint8Array[]) => ({ secretKeys, pseudonyms });
    const code = (name: string) => expect.objectContaining({ code: name });
    const throws = (of: () => unknown, name: string) => expect(of).toThrow(code(name));
    throws(() => groupVerifier(primitives, short), 'ecdaa.bad-group-key');
    throws(() => groupVerifier(primitives, new Uint8Array(258), basename), 'ecdaa.bad-group-key');
    for (const bad of [short, new Uint8Array(32), new Uint8Array(32).fill(0xff)]) {
      throws(() => groupVerifier(primitives, gpk, basename, revoked([bad], [])), 'ecdaa.bad-revocation');
      throws(() => softwareDaaKey(primitives, bad), 'ecdaa.bad-member-secret');
    }
    throws(() => groupVerifier(primitives, gpk, basename, revoked([], [short])), 'ecdaa.bad-revocation');
    throws(
      () => groupVerifier(primitives, gpk, undefined, revoked([], [key.publicPoint])),
      'ecdaa.bad-revocation',
    );
    throws(() => issueCredential(primitives, short, key.publicPoint), 'ecdaa.bad-issuer-secret');
    throws(() => issueCredential(primitives, issuer.secret, short), 'ecdaa.bad-point');
    const other = newMember();
    await expect(sign(primitives, key, short, text('m'), basename)).rejects.toThrow(
      code('ecdaa.bad-credential'),
    );
    await expect(sign(primitives, other.key, credential, text('m'), basename)).rejects.toThrow(
      code('ecdaa.bad-response'),
    );
  });

  it('accept each other’s member keys, and refuse the same ones', async () => {
    const { key } = newMember();
    const nonce = primitives.random(32);
    for (const make of [join, member.join]) {
      for (const name of [basename, undefined]) {
        const made = await make(primitives, key, nonce, name);
        for (const check of [checkMemberKey, member.checkMemberKey]) {
          const refused = (bytes: Uint8Array, over = nonce): void =>
            expect(() => check(primitives, bytes, over, name)).toThrow(
              expect.objectContaining({ code: 'ecdaa.bad-member-key' }),
            );
          expect(() => check(primitives, made, nonce, name)).not.toThrow();
          refused(made, primitives.random(32));
          refused(made.subarray(1));
          // The point, the challenge, the answer, the nonce, the pseudonym.
          for (const at of [1, 70, 100, 130, ...(name === undefined ? [] : [200])]) {
            const changed = made.slice();
            changed[at]! ^= 1;
            refused(changed);
          }
        }
        if (name === undefined) continue;
        // The pseudonym of another key.
        const other = made.slice();
        other.set((await make(primitives, newMember().key, nonce, name)).subarray(161), 161);
        for (const check of [checkMemberKey, member.checkMemberKey])
          expect(() => check(primitives, other, nonce, name)).toThrow(
            expect.objectContaining({ code: 'ecdaa.bad-member-key' }),
          );
      }
    }
  });

  it('accept each other’s credentials, and refuse the same ones', () => {
    const [one, two] = [newMember(), newMember()];
    const otherGpk = groupPublicKey(generateIssuer(primitives).publicKey);
    const point = one.key.publicPoint;
    for (const validate of [validateCredential, member.validateCredential]) {
      const { credential, signature } = one;
      const valid = (c = credential, s = signature, Q = point, by = gpk): void =>
        validate(primitives, by, Q, c, s);
      const refused = (of: () => void, code = 'ecdaa.bad-credential'): void =>
        expect(of).toThrow(expect.objectContaining({ code }));
      expect(() => valid()).not.toThrow();
      refused(() => valid(credential, signature, two.key.publicPoint));
      refused(() => valid(credential, two.signature));
      refused(() => valid(credential, signature, point, otherGpk));
      // Each point that of another credential; the signature does not cover the first and the third.
      for (const at of [0, 65, 130, 195]) {
        const mixed = credential.slice();
        mixed.set(two.credential.subarray(at, at + 65), at);
        refused(() => valid(mixed));
      }
      // D is −A: their sum has no encoding.
      const opposite = credential.slice();
      opposite.set(encodeG1(decodeG1(credential.subarray(0, 65)).negate()), 195);
      refused(() => valid(opposite));
      refused(() => valid(credential, signature, point, gpk.subarray(1)), 'ecdaa.bad-group-key');
      refused(() => valid(credential, signature, point, new Uint8Array(258)), 'ecdaa.bad-group-key');
    }
  });

  it('sign with a key that is not in software', async () => {
    const secret = member.generateMemberSecret(primitives);
    const elsewhere = member.softwareDaaKey(primitives, secret);
    const { credential } = issueCredential(primitives, issuer.secret, elsewhere.publicPoint);
    const signature = await sign(primitives, elsewhere, credential, text('m'), basename);
    expect(await groupVerifier(primitives, gpk, basename).verify(signature, text('m'))).toBe(true);
  });

  it('distinguish signatures with and without a basename', async () => {
    const { key, credential } = newMember();
    const signature = await sign(primitives, key, credential, text('m'));
    expect(signature.length).toBe(356);
    expect(await groupVerifier(primitives, gpk).verify(signature, text('m'))).toBe(true);
    expect(await groupVerifier(primitives, gpk, new Uint8Array(0)).verify(signature, text('m'))).toBe(true);
    expect(await groupVerifier(primitives, gpk, basename).verify(signature, text('m'))).toBe(false);
  });

  it('revoke the same members', async () => {
    const secret = member.generateMemberSecret(primitives);
    const key = softwareDaaKey(primitives, secret);
    const { credential } = issueCredential(primitives, issuer.secret, key.publicPoint);
    const linked = await sign(primitives, key, credential, text('m'), basename);
    const unlinked = await sign(primitives, key, credential, text('m'));
    const bySecret = { secretKeys: [secret], pseudonyms: [] };
    const byPseudonym = { secretKeys: [], pseudonyms: [verifier.pseudonymOf(linked)] };
    expect(await groupVerifier(primitives, gpk, basename, bySecret).verify(linked, text('m'))).toBe(false);
    expect(await groupVerifier(primitives, gpk, basename, byPseudonym).verify(linked, text('m'))).toBe(false);
    expect(await groupVerifier(primitives, gpk, undefined, bySecret).verify(unlinked, text('m'))).toBe(false);
    expect(await groupVerifier(primitives, gpk).verify(unlinked, text('m'))).toBe(true);
  });

  it('verify the bytes as they were at the call', async () => {
    const { key, credential } = newMember();
    const [signature, message] = [await sign(primitives, key, credential, text('m'), basename), text('m')];
    const asked = groupVerifier(primitives, gpk, basename).verify(signature, message);
    signature.fill(0);
    message.fill(0);
    expect(await asked).toBe(true);
  });
});

describe('a verification queue', () => {
  /** An addon whose batches end when the test says so; it accepts what starts with 1. */
  function slowAddon() {
    const batches: { group: NativeGroup; signatures: readonly Uint8Array[]; end(error?: Error): void }[] = [];
    const ecdaaVerify: EcdaaFace['ecdaaVerify'] = (group, signatures) =>
      new Promise((resolve, reject) => {
        const end = (error?: Error) =>
          error ? reject(error) : resolve(Uint8Array.from(signatures, ([first]) => (first === 1 ? 1 : 0)));
        batches.push({ group, signatures, end });
      });
    return { batches, ecdaaVerify };
  }
  const [a, b] = [{}, {}] as unknown as [NativeGroup, NativeGroup];
  const one = Uint8Array.of(1);
  /** Two turns of the event loop: what ends in one begins the next batch at its end. */
  const settled = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

  it('starts a single signature at the end of the event loop’s turn, together with the others of that turn', async () => {
    const slow = slowAddon();
    const queue = verificationQueue(slow, 1);
    void queue.verify(a, one, one);
    await settled();
    expect(slow.batches.map(({ signatures }) => signatures.length)).toEqual([1]);
    slow.batches[0]!.end();
    await settled();
    void queue.verify(a, one, one);
    void queue.verify(a, one, one);
    await settled();
    expect(slow.batches.map(({ signatures }) => signatures.length)).toEqual([1, 2]);
  });

  it('verifies in one batch what waited for a worker, 64 at most', async () => {
    const slow = slowAddon();
    const queue = verificationQueue(slow, 1);
    const first = queue.verify(a, one, one);
    await settled();
    const rest = Array.from({ length: 100 }, (_, i) => queue.verify(a, Uint8Array.of(i % 2), one));
    slow.batches[0]!.end();
    expect(await first).toBe(true);
    await settled();
    slow.batches[1]!.end();
    await settled();
    slow.batches[2]!.end();
    expect(await Promise.all(rest)).toEqual(Array.from({ length: 100 }, (_, i) => i % 2 === 1));
    expect(slow.batches.map(({ signatures }) => signatures.length)).toEqual([1, 64, 36]);
  });

  it('serves groups in turn', async () => {
    const slow = slowAddon();
    const queue = verificationQueue(slow, 1);
    void queue.verify(a, one, one);
    await settled();
    for (let i = 0; i < 130; i++) void queue.verify(a, one, one);
    void queue.verify(b, one, one);
    for (let i = 0; i < 4; i++) {
      slow.batches[i]!.end();
      await settled();
    }
    expect(slow.batches.map(({ group }) => (group === a ? 'a' : 'b')).join('')).toBe('aabaa');
  });

  it('runs as many batches at a time as it has workers', async () => {
    const slow = slowAddon();
    const queue = verificationQueue(slow, 2);
    for (let i = 0; i < 5; i++) {
      void queue.verify(a, one, one);
      if (i < 3) await settled();
    }
    expect(slow.batches.length).toBe(2);
    slow.batches[1]!.end();
    await settled();
    expect(slow.batches.map(({ signatures }) => signatures.length)).toEqual([1, 1, 3]);
  });

  it('continues after a batch that could not be verified', async () => {
    const slow = slowAddon();
    const queue = verificationQueue(slow, 1);
    const failed = queue.verify(a, one, one);
    await settled();
    const next = queue.verify(a, one, one);
    slow.batches[0]!.end(new Error('out of memory'));
    await expect(failed).rejects.toThrow('out of memory');
    await settled();
    slow.batches[1]!.end();
    expect(await next).toBe(true);
  });

  it('leaves the event loop free', async () => {
    const { key, credential } = newMember();
    const signature = await sign(primitives, key, credential, text('m'), basename);
    const { verify } = groupVerifier(primitives, gpk, basename);
    let turns = 0;
    const count = () => {
      turns++;
      immediate = setImmediate(count);
    };
    let immediate = setImmediate(count);
    // Computed on this thread, each round would leave a turn or two: to gather them, and to answer.
    const rounds = 32;
    for (let i = 0; i < rounds; i++)
      await Promise.all(Array.from({ length: 64 }, () => verify(signature, text('m'))));
    clearImmediate(immediate);
    expect(turns).toBeGreaterThan(4 * rounds);
  });
});

describe('without the native part', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.resetModules();
    vi.doUnmock('../../native/index.ts');
  });

  it('the core of this build is native', () => {
    expect(ecdaaCore().name).toMatch(/^native \((lanes|adx|portable)\)$/);
  });

  async function worksSlowly(fresh: typeof import('../../crypto/ecdaa.ts')) {
    const key = fresh.softwareDaaKey(primitives, member.generateMemberSecret(primitives));
    const { credential } = fresh.issueCredential(primitives, issuer.secret, key.publicPoint);
    const signature = await fresh.sign(primitives, key, credential, text('m'), basename);
    const { verify } = fresh.groupVerifier(primitives, gpk, basename);
    const verdicts = await Promise.all([verify(signature, text('m')), verify(signature, text('n'))]);
    expect(verdicts).toEqual([true, false]);
  }

  it('noble is used, and the reason is reported', async () => {
    vi.resetModules();
    vi.stubEnv('ENF_ADDON', '/nowhere/enf.node');
    const fresh = await import('../../crypto/ecdaa.ts');
    expect(fresh.ecdaaCore()).toEqual({
      name: 'noble',
      because: expect.stringContaining('/nowhere/enf.node'),
    });
    await worksSlowly(fresh);
  });

  it('noble is used, too, where the addon has no ECDAA', async () => {
    vi.resetModules();
    vi.doMock('../../native/index.ts', () => ({ addon: () => ({}) }));
    const fresh = await import('../../crypto/ecdaa.ts');
    expect(fresh.ecdaaCore()).toEqual({ name: 'noble', because: 'the addon was built without ECDAA' });
    await worksSlowly(fresh);
  });
});
