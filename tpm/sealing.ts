import { concat, u32 } from '../protocol/bytes.ts';
import { sha256 } from '../protocol/crypto/sha256.ts';
import { objectOf, type Tpm, type TpmObject } from './context.ts';
import { flush, whileLoaded } from './objects.ts';
import { STORAGE_TEMPLATE } from './templates.ts';

/*
 * Secrets on their way into a TPM and out of it. The sessions are salted with a key that the TPM makes anew each time (in the null hierarchy, which
 * nobody can lock), so that whoever listens on the bus learns nothing. Whoever can change what is on the bus can take the TPM's place.
 */

/** ESYS number of the null hierarchy. */
const NULL_HIERARCHY = 0x107;
/** TPM2_SE. */
const KIND = { hmac: 0, policy: 1, trial: 3 } as const;
/** TPMA_SESSION: the first parameter of a command, or of its answer, is encrypted. */
const ENCRYPTS = { command: 0x20, answer: 0x40, nothing: 0 } as const;
/** TPM2_Unseal. */
export const UNSEAL = 0x15e;
const POLICY_COMMAND_CODE = 0x16c;

/** The digest of the policy "this command and no other" (TPM2_PolicyCommandCode), 32 bytes. */
export function commandPolicy(command: number): Uint8Array {
  return sha256(concat(new Uint8Array(32), u32(POLICY_COMMAND_CODE), u32(command)));
}

/** Does `work` with a session that is salted; it is flushed afterwards. */
async function withSalted<T>(
  tpm: Tpm,
  kind: keyof typeof KIND,
  encrypts: keyof typeof ENCRYPTS,
  work: (session: TpmObject) => Promise<T>,
): Promise<T> {
  const saltKey = objectOf(await tpm.call('createPrimary', [0, NULL_HIERARCHY], [STORAGE_TEMPLATE]));
  // Without a resource manager a TPM holds three objects: the key goes before the work begins.
  const session = await whileLoaded(tpm, saltKey, async () =>
    objectOf(await tpm.call('startSalted', [saltKey, KIND[kind], ENCRYPTS[encrypts]])),
  );
  try {
    return await work(session);
  } finally {
    await flush(tpm, session);
  }
}

/** What is sealed: the template (TPM2B_PUBLIC), the object's password, which may be empty, and the secret of at most 128 bytes. */
export interface Sealing {
  readonly template: Uint8Array;
  readonly password: Uint8Array;
  readonly secret: Uint8Array;
}

/** Seals a secret under a parent, which has no password: TPM2B_PRIVATE and TPM2B_PUBLIC. */
export function seal(
  tpm: Tpm,
  parent: TpmObject,
  { template, password, secret }: Sealing,
): Promise<readonly [privateBlob: Uint8Array, publicBlob: Uint8Array]> {
  return withSalted(tpm, 'hmac', 'command', async (session) => {
    const { buffers } = await tpm.call('seal', [0, parent, session], [template, password, secret]);
    return [buffers[0]!, buffers[1]!];
  });
}

/**
 * The secret of a sealed object, in memory of the addon, which the garbage collector does not copy: the caller wipes it. `fulfil` does in the
 * session what the object's policy asks for.
 */
export function unseal(
  tpm: Tpm,
  object: TpmObject,
  fulfil: (session: TpmObject) => Promise<unknown>,
): Promise<Uint8Array> {
  return withSalted(tpm, 'policy', 'answer', async (session) => {
    await fulfil(session);
    return (await tpm.call('unseal', [session, object])).buffers[0]!;
  });
}

/** The digest of the policy that `fulfil` fulfils, now, 32 bytes. */
export function policyDigest(
  tpm: Tpm,
  fulfil: (session: TpmObject) => Promise<unknown>,
): Promise<Uint8Array> {
  return withSalted(tpm, 'trial', 'nothing', async (session) => {
    await fulfil(session);
    return (await tpm.call('policyDigest', [session])).buffers[0]!;
  });
}
