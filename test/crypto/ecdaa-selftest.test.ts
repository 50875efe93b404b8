import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { selfTestArithmetic } from '../../crypto/ecdaa-selftest.ts';
import type { EcdaaFace } from '../../native/ecdaa/ecdaa.ts';
import { addon } from '../../native/index.ts';
import { toHex } from '../../protocol/bytes.ts';

const face = addon() as EcdaaFace;
const liar = (lie: Partial<EcdaaFace>) =>
  selfTestArithmetic({
    ecdaaArithmetic: () => 'portable',
    ecdaaGroup: (...of) => face.ecdaaGroup(...of),
    ecdaaVerify: (...of) => face.ecdaaVerify(...of),
    ...lie,
  });
const WRONG = { code: 'ecdaa.wrong-arithmetic', remedy: 'operator' };

describe('the self-test of ECDAA', () => {
  it('passes with every arithmetic that this processor has', async () => {
    const best = face.ecdaaArithmetic();
    for (const each of ['portable', 'adx', 'lanes'] as const) {
      try {
        face.ecdaaArithmetic(each);
      } catch {
        continue;
      }
      await selfTestArithmetic(face);
    }
    face.ecdaaArithmetic(best);
    await selfTestArithmetic(face);
  });

  it('verifies a signature that libecdaa made', async () => {
    const vectors = JSON.parse(readFileSync(new URL('../vectors/ecdaa.json', import.meta.url), 'utf8')) as {
      issuers: { gpk: string }[];
      signatures: { index: number; message: string; basename: string; signature: string }[];
    };
    const seen: string[] = [];
    await liar({
      ecdaaGroup: (gpk, basename, ...rest) => {
        seen.push(toHex(gpk), toHex(basename));
        return face.ecdaaGroup(gpk, basename, ...rest);
      },
      ecdaaVerify: (group, signatures, messages) => {
        seen.push(toHex(messages[0]!), toHex(signatures[0]!));
        return face.ecdaaVerify(group, signatures, messages);
      },
    });
    const { message, basename, signature } = vectors.signatures.find(({ index }) => index === 12)!;
    expect(seen.slice(0, 4)).toEqual([vectors.issuers[0]!.gpk, basename, message, signature]);
    // One batch for each thread of the pool.
    expect(seen).toHaveLength(2 + 4 * 2);
  });

  it('detects an implementation that accepts everything, accepts nothing, or rejects the group', async () => {
    await expect(
      liar({ ecdaaVerify: async (_, s) => new Uint8Array(s.length).fill(1) }),
    ).rejects.toMatchObject(WRONG);
    await expect(liar({ ecdaaVerify: async (_, s) => new Uint8Array(s.length) })).rejects.toMatchObject(
      WRONG,
    );
    await expect(liar({ ecdaaGroup: () => undefined })).rejects.toMatchObject(WRONG);
  });

  it('detects a single wrong result on one thread', async () => {
    let batches = 0;
    const once: EcdaaFace['ecdaaVerify'] = async (...of) => {
      const verdicts = await face.ecdaaVerify(...of);
      if (++batches === 3) verdicts[2] = 0;
      return verdicts;
    };
    await expect(liar({ ecdaaVerify: once })).rejects.toMatchObject(WRONG);
  });
});
