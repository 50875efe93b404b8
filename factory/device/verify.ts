import { toHex } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import type { Tpm } from '../../tpm/context.ts';
import { withJournal } from '../batch/journal.ts';
import type { EndorsementState, Row } from '../batch/row.ts';
import type { Group } from '../group/group.ts';
import { memberName, shortGid } from '../group/names.ts';
import { type EndorsementPolicy, proveEndorsement } from './endorsement.ts';
import { proveMembership, readMember } from './member.ts';

/** What an incoming inspection finds of a device. */
export interface Verification {
  readonly gid: string;
  readonly basename: Uint8Array;
  readonly member: string;
  /** 65 bytes, hex. */
  readonly pseudonym: string;
  readonly hierarchy: 'platform' | 'owner';
  /** False if the member's secret is sealed in the TPM. */
  readonly resident: boolean;
  readonly ek: EndorsementState;
  /** The chip as its maker names it, or why it is not verified. */
  readonly ekText: string;
  /** Its entry in the batch's journal, where the batch is at hand. */
  readonly entry?: Row | undefined;
}

/**
 * Whether a TPM is a whole device: credential and key belong together, it signs with them, it is in the batch if one is given, and genuine as far as
 * that is wanted. Changes nothing.
 * @throws Failure `tpm.not-personalised`, `factory.broken-credential`, `factory.wrong-batch`, `factory.not-in-batch`, those of `proveEndorsement`
 */
export async function verifyDevice(
  tpm: Tpm,
  policy: EndorsementPolicy,
  group?: Group,
): Promise<Verification> {
  const held = await readMember(tpm);
  const pseudonym = toHex(await proveMembership(held));
  const { gid, basename, publicPoint, map, key } = held;
  const member = memberName(publicPoint);
  const entry = group && (await entryOf(group, gid, member, pseudonym));
  const { state: ek, text: ekText } = await proveEndorsement(tpm, key, policy);
  return {
    gid,
    basename,
    member,
    pseudonym,
    hierarchy: map.hierarchy,
    resident: key.resident,
    ek,
    ekText,
    entry,
  };
}

async function entryOf(group: Group, gid: string, member: string, pseudonym: string): Promise<Row> {
  if (gid !== group.gid) {
    throw new Failure(
      'factory.wrong-batch',
      'operator',
      `the device is of the group ${shortGid(gid)}, not of ${group.name} (${shortGid(group.gid)})`,
      { action: 'Put it to its own batch.' },
    );
  }
  const row = await withJournal(group, (journal) => journal.find({ member }));
  if (row?.result === 'pass' && (row.pseudonym ?? pseudonym) === pseudonym) return row;
  throw new Failure(
    'factory.not-in-batch',
    'operator',
    `the device has a valid credential of ${group.name}, and ${row === undefined ? 'no entry' : 'another entry'} in its journal`,
    {
      action:
        'Put it aside: either the journal is not complete, or somebody else has the issuer key. "enf-factory device personalise" adds what this station made.',
    },
  );
}

/** @throws Failure `factory.not-confirmed` unless `typed` names the device: 8 or more of its first digits */
export function requireConfirmed(member: string | undefined, typed: string): void {
  const named = member ?? 'none';
  if (named === 'none' ? typed === 'none' : /^[0-9a-f]{8,64}$/.test(typed) && named.startsWith(typed)) return;
  throw new Failure(
    'factory.not-confirmed',
    'operator',
    'what was typed does not name the device in this TPM; nothing was removed',
    {
      action: '"enf-factory device verify" or "enf-factory inspect" shows its member name.',
    },
  );
}
