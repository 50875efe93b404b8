import { describe, expect, test } from 'vitest';
import { primitives } from '../../crypto/primitives.ts';
import { sign } from '../../protocol/crypto/member.ts';
import type { Tpm } from '../../tpm/context.ts';
import { readCredential } from '../../tpm/credential.ts';
import { openDaaKey } from '../../tpm/daa.ts';
import { PLATFORM_MAP } from '../../tpm/handles.ts';
import { createLongterm, loadLongterm } from '../../tpm/longterm.ts';
import { probe, requireEcdaa } from '../../tpm/probe.ts';
import { handlesIn, openForTest, personalise, swtpmForTest, TRANSIENT } from './fixture.ts';
import { CC, faultyTpm, firstAttempts } from './proxy.ts';

const MESSAGE = new TextEncoder().encode('a message');

/** What a device asks of its TPM to become somebody: read, make the longterm key, sign twice with it and once as a member. */
async function provision(tpm: Tpm): Promise<void> {
  const { map, credential, basename } = await readCredential(tpm);
  const { pem } = await createLongterm(tpm);
  const longterm = await loadLongterm(tpm, pem);
  await longterm.sign(MESSAGE);
  const daa = await openDaaKey(tpm, map.daaKey);
  await sign(primitives, daa, credential, MESSAGE, basename);
  await longterm.sign(MESSAGE);
  await longterm.close();
}

// Each command may take a chip 100 ms and more. The C programs: 20 with the TLS root read, 3 more for a new parent.
// Only of basename and TLS root the size is not known beforehand.
const READ_OBJECT = [CC.nvReadPublic, CC.nvRead];
const READ = [CC.nvRead, CC.nvRead, ...READ_OBJECT, CC.nvRead, ...READ_OBJECT];
const NEW_PARENT = [CC.createPrimary, CC.evictControl, CC.flushContext];
const LONGTERM = [CC.create, CC.load, CC.sign];
const DAA = [CC.readPublic, CC.commit, CC.sign];
const END = [CC.sign, CC.flushContext];

describe('the TPM commands of a provisioning', () => {
  test('[C-30] on a new TPM, and once the parent exists', async () => {
    const swtpm = await swtpmForTest();
    const proxy = await faultyTpm(swtpm.port);
    const tpm = await openForTest(proxy.tcti);
    expect(proxy.commands).toEqual([CC.startup, CC.getCapability, CC.getCapability, CC.getCapability]);
    await personalise(tpm, PLATFORM_MAP);

    proxy.commands.length = 0;
    await provision(tpm);
    expect(firstAttempts(proxy.commands)).toEqual([
      ...READ,
      CC.readPublic,
      ...NEW_PARENT,
      ...LONGTERM,
      ...DAA,
      ...END,
    ]);

    proxy.commands.length = 0;
    await provision(tpm);
    expect(firstAttempts(proxy.commands)).toEqual([...READ, CC.readPublic, ...LONGTERM, ...DAA, ...END]);
    expect(firstAttempts(proxy.commands).length).toBeLessThanOrEqual(16);
    expect(await handlesIn(tpm, TRANSIENT)).toBe(0);
  });
});

describe('the capabilities of the TPM', () => {
  test('are read before they are needed', async () => {
    const swtpm = await swtpmForTest();
    const tpm = await openForTest(swtpm.tcti);
    const capabilities = await probe(tpm);
    expect(capabilities).toMatchObject({
      manufacturer: 'IBM',
      firmware: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/),
      ecdaa: true,
      commit: true,
      bnP256: true,
      parametersTaken: true,
      lockedOut: false,
      platformEnabled: true,
      ownerEnabled: true,
    });
    expect(capabilities.nvBufferMax).toBeGreaterThanOrEqual(512);
    expect(capabilities.nvIndexMax).toBeGreaterThanOrEqual(1024);
    expect(capabilities.lockout.counter).toBe(0);
    expect(() => requireEcdaa(capabilities)).not.toThrow();
  });

  test.each([
    [{ bnP256: false }, 'the curve BN_P256'],
    [{ ecdaa: false }, 'the algorithm ECDAA'],
    [{ commit: false, ecdaa: false }, 'the algorithm ECDAA, the command TPM2_Commit'],
    [{ parametersTaken: false }, 'ECDAA keys on BN_P256'],
  ])('and what lacks is named: %o', async (lacking, named) => {
    const swtpm = await swtpmForTest();
    const capabilities = { ...(await probe(await openForTest(swtpm.tcti))), ...lacking };
    try {
      requireEcdaa(capabilities);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: 'tpm.no-ecdaa', remedy: 'operator' });
      expect((error as Error).message).toBe(
        `this TPM (IBM, firmware ${capabilities.firmware}) lacks ${named}`,
      );
    }
  });
});
