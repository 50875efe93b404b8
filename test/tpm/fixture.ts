import { execFileSync } from 'node:child_process';
import { onTestFinished } from 'vitest';
import { primitives } from '../../crypto/primitives.ts';
import { generateIssuer, groupPublicKey, issueCredential } from '../../protocol/crypto/issuer.ts';
import { checkMemberKey, join } from '../../protocol/crypto/member.ts';
import { type Swtpm, startSwtpm } from '../../swtpm/swtpm.ts';
import { openTpm, type Tpm, type TpmOptions } from '../../tpm/context.ts';
import type { HandleMap } from '../../tpm/handles.ts';
import { createDaaKey, type TpmObjects, writeObjects } from '../../tpm/personalise.ts';

export const BASENAME = new TextEncoder().encode('BASENAME');

/** A software TPM that ends with the test. */
export async function swtpmForTest(options?: { state?: string; port?: number }): Promise<Swtpm> {
  const swtpm = await startSwtpm(options);
  onTestFinished(() => swtpm.stop());
  return swtpm;
}

/** Opens a TPM that closes with the test. */
export async function openForTest(tcti: string, options?: TpmOptions): Promise<Tpm> {
  const tpm = await openTpm(tcti, options);
  onTestFinished(() => tpm.close());
  return tpm;
}

export async function freshTpm(): Promise<{ swtpm: Swtpm; tpm: Tpm }> {
  const swtpm = await swtpmForTest();
  return { swtpm, tpm: await openForTest(swtpm.tcti) };
}

export interface Group {
  readonly secret: Uint8Array;
  readonly gpk: Uint8Array;
}

export function newGroup(): Group {
  const issuer = generateIssuer(primitives);
  return { secret: issuer.secret, gpk: groupPublicKey(issuer.publicKey) };
}

/** What the factory does: key, join, credential, NV objects. */
export async function personalise(
  tpm: Tpm,
  map: HandleMap,
  group: Group = newGroup(),
  change: Partial<TpmObjects> = {},
  hierarchyAuth?: Uint8Array,
): Promise<TpmObjects> {
  const { key } = await createDaaKey(tpm, map, hierarchyAuth);
  const nonce = primitives.random(32);
  checkMemberKey(primitives, await join(primitives, key, nonce), nonce);
  const { credential, signature } = issueCredential(primitives, group.secret, key.publicPoint);
  const objects: TpmObjects = {
    gpk: group.gpk,
    credential,
    credentialSignature: signature,
    basename: BASENAME,
    xttRoot: new Uint8Array(81).fill(0x52),
    tlsRoot: '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
    ...change,
  };
  await writeObjects(tpm, map, objects, hierarchyAuth);
  return objects;
}

/** Runs one of the tpm2-tools against a TPM that nobody else has open (swtpm takes one client at a time). */
export function tpm2(swtpm: Swtpm, tool: string, ...options: string[]): string {
  const tcti = swtpm.tcti;
  return execFileSync(`tpm2_${tool}`, ['-T', tcti, ...options], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: swtpm.state,
    timeout: 30_000,
    // The sanitizer build is preloaded for our own process only.
    env: { ...process.env, LD_PRELOAD: '' },
  });
}

/** Handles that the TPM holds in a range, e.g. 0x80000000 for transient objects. */
export async function handlesIn(tpm: Tpm, range: number): Promise<number> {
  const answer = await tpm.call('capability', [1, range, 64]);
  const data = answer.buffers[0]!;
  return new DataView(data.buffer).getUint32(4);
}

export const TRANSIENT = 0x8000_0000;
export const LOADED_SESSIONS = 0x0200_0000;
