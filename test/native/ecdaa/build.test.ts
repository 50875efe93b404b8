/** The addon as other machines have it: without assembly, without 128-bit integers, and without ECDAA. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import type { EcdaaFace } from '../../../native/ecdaa/ecdaa.ts';
import { addon } from '../../../native/index.ts';
import { fromHex, toHex } from '../../../protocol/bytes.ts';
import { encodeG1, encodeScalar } from '../../../protocol/crypto/encoding.ts';
import { G1, n } from '../../../protocol/crypto/fp256bn.ts';
import { vectors } from '../../protocol/crypto/vectors.ts';

/** A compiler needs its time on a busy machine. */
const TIMEOUT_MS = 400_000;

const folder = mkdtempSync(join(tmpdir(), 'enf-build-'));
afterAll(() => rmSync(folder, { recursive: true }));

function built(name: string, settings: Record<string, string>): Partial<EcdaaFace> {
  const out = join(folder, `${name}.node`);
  const script = fileURLToPath(new URL('../../../native/build.sh', import.meta.url));
  execFileSync('bash', [script], { env: { ...process.env, OUT: out, SANITIZE: '', ...settings } });
  return createRequire(import.meta.url)(out);
}

it.each([
  ['without assembly', '-O1 -DFP256BN_PORTABLE'],
  ['without 128-bit integers', '-O1 -DFP256BN_PORTABLE -DFP256BN_NARROW'],
])('%s it computes the same', { timeout: TIMEOUT_MS }, async (name, flags) => {
  const plain = built(name, { EXTRA_CFLAGS: flags }) as EcdaaFace;
  const usual = addon() as EcdaaFace;
  expect(plain.ecdaaArithmetic()).toBe('portable');
  for (const lacking of ['adx', 'lanes'] as const) {
    expect(() => plain.ecdaaArithmetic(lacking)).toThrow(TypeError);
  }
  const P = encodeG1(G1.BASE.multiply(77n));
  for (const k of [0n, 1n, 2n, n - 1n, n / 3n]) {
    const [a, b] = [encodeScalar(k), encodeScalar((k * k + 5n) % n)];
    expect(plain.fp256bnMultiply(P, a)).toEqual(usual.fp256bnMultiply(P, a));
    expect(plain.fp256bnMultiplyAdd(P, a, P, b)).toEqual(usual.fp256bnMultiplyAdd(P, a, P, b));
  }

  const { member, signature, message, basename } = vectors.signatures.find((each) => each.basename)!;
  const { sk, credential, issuer } = vectors.members[member]!;
  const [none, text, base] = [new Uint8Array(0), fromHex(message), fromHex(basename!)];
  const draws = primitives.random(195);
  const sign = (face: EcdaaFace) =>
    toHex(face.ecdaaSign(fromHex(sk), fromHex(credential.credential), text, base, draws)!);
  expect(sign(plain)).toBe(sign(usual));
  const group = plain.ecdaaGroup(fromHex(vectors.issuers[issuer]!.gpk), base, none, none)!;
  const spoilt = fromHex(signature).map((byte, i) => (i === 20 ? byte ^ 1 : byte));
  const verdicts = await plain.ecdaaVerify(
    group,
    [fromHex(signature), fromHex(sign(plain)), spoilt],
    [text, text, text],
  );
  expect([...verdicts]).toEqual([1, 1, 0]);
});

it('ECDAA=0 leaves it out', { timeout: TIMEOUT_MS }, () => {
  const names = Object.keys(built('none', { EXTRA_CFLAGS: '-O0', ECDAA: '0' }));
  expect(names.filter((name) => /^(ecdaa|fp256bn)/.test(name))).toEqual([]);
  expect(names).toContain('dataplaneTun');
});
