/** Every test of the scheme in protocol/crypto, every recorded value among them, on the addon: portable C. */
import { expect, it, vi } from 'vitest';

vi.mock('../../../protocol/crypto/verifier.ts', async (original) =>
  (await import('./underneath.ts')).underneath(await original()),
);
vi.mock('../../../protocol/crypto/issuer.ts', async (original) =>
  (await import('./underneath.ts')).underneath(await original()),
);
vi.mock('../../../protocol/crypto/member.ts', async (original) =>
  (await import('./underneath.ts')).underneath(await original()),
);

const has = await (await import('./underneath.ts')).slipUnderneath('portable');
if (has) {
  await import('../../protocol/crypto/signature-vectors.test.ts');
  await import('../../protocol/crypto/verifier.test.ts');
  await import('../../protocol/crypto/issuer.test.ts');
  await import('../../protocol/crypto/member.test.ts');
}

it('ran on the addon with this arithmetic, unless the processor lacks it', async () => {
  const { ecdaaCore } = await import('../../../crypto/ecdaa.ts');
  const expected = has ? 'native (portable)' : expect.not.stringContaining('portable');
  expect(ecdaaCore()).toEqual({ name: expected });
});
