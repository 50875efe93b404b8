import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { drawMemberSecret, memberPoint } from '../../crypto/member-secret.ts';
import { primitives } from '../../crypto/primitives.ts';
import { toHex } from '../../protocol/bytes.ts';
import { openTpm, type Tpm } from '../../tpm/context.ts';
import { OWNER_MAP, PLATFORM_MAP } from '../../tpm/handles.ts';
import { inspect } from '../../tpm/inspect.ts';
import { readNv } from '../../tpm/nv.ts';
import { findObject } from '../../tpm/objects.ts';
import { createDaaKey } from '../../tpm/personalise.ts';
import { probe, requireEcdaa } from '../../tpm/probe.ts';
import {
  createSealedSecret,
  isSealedSecret,
  openSealedSecret,
  readMemberPoint,
} from '../../tpm/sealed-secret.ts';
import { commandPolicy, UNSEAL } from '../../tpm/sealing.ts';
import { wipeTpm } from '../../tpm/wipe.ts';
import { powerCut } from '../factory/power-cut.ts';
import {
  freshTpm,
  handlesIn,
  LOADED_SESSIONS,
  openForTest,
  swtpmForTest,
  TRANSIENT,
  tpm2,
} from './fixture.ts';
import { withoutEcdaa } from './without-ecdaa.ts';

const maker = { draw: () => drawMemberSecret(primitives), pointOf: memberPoint };

/** A maker whose secrets are seen; they are wiped like all others. */
function watched() {
  const drawn: Uint8Array[] = [];
  const copies: string[] = [];
  return {
    drawn,
    copies,
    pointOf: memberPoint,
    draw() {
      const secret = drawMemberSecret(primitives);
      drawn.push(secret);
      copies.push(toHex(secret));
      return secret;
    },
  };
}

const WIPED = '00'.repeat(32);

test('the policy is that of TPM2_PolicyCommandCode', () => {
  // As tpm2_policycommandcode shows it.
  expect(toHex(commandPolicy(UNSEAL))).toBe(
    'e613137076524bde487533865884e9732ebee3aacb095d94a6de492ec06c46fa',
  );
});

test.each([PLATFORM_MAP, OWNER_MAP])(
  '$hierarchy: a secret is kept by the TPM, and wiped here',
  async (map) => {
    const { tpm } = await freshTpm();
    const seen = watched();
    const { publicPoint, publicArea } = await createSealedSecret(tpm, map, seen, undefined);
    expect(isSealedSecret(publicArea)).toBe(true);
    expect(seen.drawn.map(toHex)).toEqual([WIPED]);
    const secret = await openSealedSecret(tpm, map.daaKey);
    expect(toHex(secret)).toBe(seen.copies[0]);
    expect(memberPoint(secret)).toEqual(publicPoint);
    expect(await readMemberPoint(tpm, map)).toEqual(publicPoint);
    // Nothing stays loaded.
    expect([await handlesIn(tpm, TRANSIENT), await handlesIn(tpm, LOADED_SESSIONS)]).toEqual([0, 0]);
    const found = (await inspect(tpm)).maps.find(({ hierarchy }) => hierarchy === map.hierarchy)!;
    expect(found.daaKey).toEqual({ handle: map.daaKey, sealed: true, point: publicPoint });
    expect(await wipeTpm(tpm)).toBe(2);
    expect(await findObject(tpm, map.daaKey)).toBeUndefined();
    expect(await readNv(tpm, map.nv.memberPoint)).toBeUndefined();
    await expect(openSealedSecret(tpm, map.daaKey)).rejects.toMatchObject({ code: 'tpm.not-personalised' });
  },
);

test('nobody gets it with the empty password alone, and other programs find the object as it is described', async () => {
  const swtpm = await swtpmForTest();
  const use = async <T>(work: (tpm: Tpm) => Promise<T>): Promise<T> => {
    const tpm = await openTpm(swtpm.tcti);
    try {
      return await work(tpm);
    } finally {
      await tpm.close();
    }
  };
  await use((tpm) => createSealedSecret(tpm, PLATFORM_MAP, maker, undefined));
  const shown = tpm2(swtpm, 'readpublic', '-c', '0x81800000');
  expect(shown).toMatch(/value: fixedtpm\|fixedparent\|noda\n/);
  expect(shown).toContain(toHex(commandPolicy(UNSEAL)));
  expect(() => tpm2(swtpm, 'unseal', '-c', '0x81800000')).toThrow();
  // In a session that fulfils the policy it is given out.
  tpm2(swtpm, 'startauthsession', '--policy-session', '-S', 's.ctx');
  tpm2(swtpm, 'policycommandcode', '-S', 's.ctx', 'TPM2_CC_Unseal');
  const given = execFileSync('tpm2_unseal', ['-T', swtpm.tcti, '-c', '0x81800000', '-p', 'session:s.ctx'], {
    cwd: swtpm.state,
    env: { ...process.env, LD_PRELOAD: '' },
    timeout: 30_000,
  });
  tpm2(swtpm, 'flushcontext', 's.ctx');
  expect(given.equals(await use((tpm) => openSealedSecret(tpm, PLATFORM_MAP.daaKey)))).toBe(true);
});

test('it does not cross the bus in clear, on its way in and out', async () => {
  const swtpm = await swtpmForTest();
  const proxy = await withoutEcdaa(swtpm);
  const tpm = await openForTest(proxy.tcti);
  const seen = watched();
  const { publicPoint } = await createSealedSecret(tpm, PLATFORM_MAP, seen, undefined);
  expect(toHex(await openSealedSecret(tpm, PLATFORM_MAP.daaKey))).toBe(seen.copies[0]);
  const bus = Buffer.concat(proxy.bus);
  expect(bus.length).toBeGreaterThan(1_000);
  expect(bus.includes(Buffer.from(seen.copies[0]!, 'hex'))).toBe(false);
  // The same way of looking finds what does cross it in clear.
  expect(bus.includes(Buffer.from(publicPoint))).toBe(true);
});

test('an interrupted run is completed with the same secret; what is not ours stays', async () => {
  const { tpm } = await freshTpm();
  const first = await createSealedSecret(tpm, PLATFORM_MAP, maker, undefined);
  const seen = watched();
  const again = await createSealedSecret(tpm, PLATFORM_MAP, seen, undefined);
  expect(again).toEqual(first);
  expect(seen.drawn).toEqual([]);
  await wipeTpm(tpm);
  await createDaaKey(tpm, PLATFORM_MAP);
  await expect(createSealedSecret(tpm, PLATFORM_MAP, seen, undefined)).rejects.toMatchObject({
    code: 'tpm.occupied',
  });
  await expect(openSealedSecret(tpm, PLATFORM_MAP.daaKey)).rejects.toMatchObject({ code: 'tpm.bad-object' });
  await wipeTpm(tpm);
  await createSealedSecret(tpm, PLATFORM_MAP, seen, undefined);
  await expect(createDaaKey(tpm, PLATFORM_MAP)).rejects.toMatchObject({ code: 'tpm.occupied' });
});

test('a secret that cannot be sealed is wiped all the same', async () => {
  const { tpm } = await freshTpm();
  const seen = watched();
  await expect(createSealedSecret(powerCut(tpm, 0), PLATFORM_MAP, seen, undefined)).rejects.toMatchObject({
    code: 'test.power-cut',
  });
  expect(seen.drawn.map(toHex)).toEqual([WIPED]);
  expect([await handlesIn(tpm, TRANSIENT), await handlesIn(tpm, LOADED_SESSIONS)]).toEqual([0, 0]);
});

test('the lockout of a TPM does not keep it from its device', async () => {
  const { swtpm, tpm } = await freshTpm();
  await createSealedSecret(tpm, PLATFORM_MAP, maker, undefined);
  await tpm.close();
  tpm2(swtpm, 'dictionarylockout', '--setup-parameters', '--max-tries=1', '--recovery-time=1000');
  tpm2(swtpm, 'createprimary', '-C', 'o', '-p', 'right', '-c', 'p.ctx');
  expect(() => tpm2(swtpm, 'create', '-C', 'p.ctx', '-P', 'wrong')).toThrow();
  const again = await openForTest(swtpm.tcti);
  expect((await probe(again)).lockedOut).toBe(true);
  expect((await openSealedSecret(again, PLATFORM_MAP.daaKey)).length).toBe(32);
});

test('a chip without ECDAA is named with what it lacks, its maker and its firmware', async () => {
  const swtpm = await swtpmForTest();
  const tpm = await openForTest((await withoutEcdaa(swtpm)).tcti);
  const capabilities = await probe(tpm);
  expect(capabilities).toMatchObject({
    ...{ manufacturer: 'IBM', ecdaa: false, commit: false, bnP256: false, parametersTaken: false },
  });
  expect(() => requireEcdaa(capabilities)).toThrow(
    `this TPM (IBM, firmware ${capabilities.firmware}) lacks the curve BN_P256, the algorithm ECDAA, the command TPM2_Commit`,
  );
  await expect(createDaaKey(tpm, PLATFORM_MAP)).rejects.toMatchObject({ code: 'tpm.refused' });
});
