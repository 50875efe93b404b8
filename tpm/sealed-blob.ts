import { addon } from '../native/index.ts';
import { concat, u16, u32 } from '../protocol/bytes.ts';
import { Failure } from '../protocol/failure.ts';
import { CAPABILITY, readPcrBanks } from './capability.ts';
import { failureOf, isAboutArgument } from './codes.ts';
import { objectOf, type Tpm, type TpmObject } from './context.ts';
import { findObject, release, whileLoaded } from './objects.ts';
import { prepareParent } from './parent.ts';
import { policyDigest, seal, UNSEAL, unseal } from './sealing.ts';
import { ALGORITHM, ATTRIBUTE, encodeSealedPublic } from './structures.ts';
import { sized } from './wire.ts';

/*
 * A secret of this machine in a file that only its TPM can open: under a password, whose guesses the TPM counts, and if wanted only while the
 * machine is booted as it is now.
 */

/** As the file keeps it. */
export interface SealedBlob {
  /** Persistent handle of the storage key. */
  readonly parent: number;
  /** TPM2B_PUBLIC and TPM2B_PRIVATE. */
  readonly publicBlob: Uint8Array;
  readonly privateBlob: Uint8Array;
}

/** What has to be so when it is opened. */
export interface SealCondition {
  /** At most 32 bytes, not ending in zero; empty: none. */
  readonly password: Uint8Array;
  /** Registers of the SHA-256 bank, 0 to 23, that have the values of when it was sealed. */
  readonly pcrs: readonly number[];
}

/** Without noDA: the TPM counts wrong passwords, and locks itself after some. */
const ATTRIBUTES = ATTRIBUTE.fixedTpm | ATTRIBUTE.fixedParent;
const REGISTERS = 24;
const MAX_BANKS = 16;

/** TPML_PCR_SELECTION: count u32 | hash u16 | size u8 | a bit for each register. */
function selection(pcrs: readonly number[]): Uint8Array {
  const bits = new Uint8Array(REGISTERS / 8);
  for (const pcr of pcrs) bits[pcr >> 3]! |= 1 << (pcr & 7);
  return concat(u32(1), u16(ALGORITHM.sha256), Uint8Array.of(bits.length), bits);
}

/** Does in a session what the policy asks for, in its order. */
const fulfil =
  (tpm: Tpm, pcrs: readonly number[]) =>
  async (session: TpmObject): Promise<void> => {
    if (pcrs.length > 0) await tpm.call('policyPcr', [session], [selection(pcrs)]);
    await tpm.call('policyAuthValue', [session]);
    await tpm.call('policyCommand', [session, UNSEAL]);
  };

/** A policy for registers that a TPM does not have would ask for nothing. @throws Failure `tpm.no-pcrs` */
async function requirePcrs(tpm: Tpm, pcrs: readonly number[]): Promise<void> {
  const answer = await tpm.call('capability', [CAPABILITY.pcrs, 0, MAX_BANKS]);
  const has = readPcrBanks(answer.buffers[0]!).get(ALGORITHM.sha256) ?? [];
  const lacking = pcrs.filter((pcr) => !has.includes(pcr));
  if (lacking.length === 0) return;
  throw new Failure(
    'tpm.no-pcrs',
    'operator',
    `this TPM has no PCR ${lacking.join(', ')} in its SHA-256 bank`,
    { action: 'Switch the SHA-256 bank on in the firmware, or name no PCRs.' },
  );
}

/** Seals a secret of at most 128 bytes; nothing stays in the TPM but the storage key. @throws Failure `tpm.hierarchy-locked`, `tpm.no-pcrs` */
export async function sealBlob(
  tpm: Tpm,
  secret: Uint8Array,
  { password, pcrs }: SealCondition,
): Promise<SealedBlob> {
  if (pcrs.length > 0) await requirePcrs(tpm, pcrs);
  const policy = await policyDigest(tpm, fulfil(tpm, pcrs));
  const area = encodeSealedPublic({ attributes: ATTRIBUTES, policy, unique: new Uint8Array() });
  const { handle, object } = await prepareParent(tpm, undefined);
  try {
    const [privateBlob, publicBlob] = await seal(tpm, object, { template: sized(area), password, secret });
    return { parent: handle, publicBlob, privateBlob };
  } finally {
    await release(tpm, object);
  }
}

/**
 * The secret, in memory of the addon, which the garbage collector does not copy: the caller wipes it.
 * @throws Failure `tpm.foreign-blob`, `tpm.not-authorised`, `tpm.policy-failed`, `tpm.lockout`
 */
export async function openBlob(
  tpm: Tpm,
  blob: SealedBlob,
  { password, pcrs }: SealCondition,
): Promise<Uint8Array> {
  return whileLoaded(tpm, await load(tpm, blob), async (object) => {
    await tpm.call('setAuth', [object], [password]);
    try {
      return await unseal(tpm, object, fulfil(tpm, pcrs));
    } finally {
      // ESYS keeps it with the object.
      await tpm.call('setAuth', [object], [new Uint8Array()]).catch(() => {});
    }
  });
}

async function load(tpm: Tpm, { parent, publicBlob, privateBlob }: SealedBlob): Promise<TpmObject> {
  const found = await findObject(tpm, parent);
  if (found === undefined) throw foreign(`no storage key at 0x${parent.toString(16)}`);
  try {
    const answer = await tpm.ask('load', [0, found.object], [privateBlob, publicBlob]);
    if (answer.rc === 0) return objectOf(answer);
    const failure = failureOf(answer.rc, 'load', addon().tssDecode(answer.rc));
    throw isAboutArgument(answer.rc) ? foreign('its storage key cannot decrypt it', failure) : failure;
  } finally {
    await release(tpm, found.object);
  }
}

function foreign(why: string, cause?: unknown): Failure {
  return new Failure('tpm.foreign-blob', 'operator', `what was sealed does not load in this TPM: ${why}`, {
    action: 'Use the TPM that sealed it. If that was replaced or cleared, restore the secret from its copy.',
    cause,
  });
}
