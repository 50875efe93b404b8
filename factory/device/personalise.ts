import { toHex, wipe } from '../../protocol/bytes.ts';
import type { HandleMap } from '../../tpm/handles.ts';
import type { MemberKey } from '../../tpm/member-key.ts';
import { describeTpm } from '../../tpm/probe.ts';
import { type Marks, recordDevice, recordIssued } from '../batch/record.ts';
import type { EndorsementState, Row } from '../batch/row.ts';
import type { Group } from '../group/group.ts';
import { admitMember } from '../group/join.ts';
import { memberName } from '../group/names.ts';
import { type EndorsementPolicy, proveEndorsement, readEndorsementHash } from './endorsement.ts';
import { type Joining, makeMember, memberOf, mustSeal, requireFit } from './make-member.ts';
import { type Member, proveMembership } from './member.ts';

export interface Personalisation extends Joining {
  readonly group: Group;
  readonly endorsement: EndorsementPolicy;
  /** Called once, and only if a credential has to be issued: 64 bytes, wiped afterwards. */
  readonly issuerSecret: () => Promise<Uint8Array>;
  /** What the journal says beside what the TPM says. */
  readonly marks?: Marks | undefined;
  /** Also the hash of the chip's endorsement key. */
  readonly recordEk?: boolean;
}

export interface Personalised extends Row {
  readonly member: string;
  readonly hierarchy: HandleMap['hierarchy'];
  /** False if the member's secret is sealed in the TPM. */
  readonly resident: boolean;
  /** True if the TPM was already a member of this group, and nothing was written. */
  readonly already: boolean;
  /** True if it had its entry in the journal. */
  readonly known: boolean;
}

/**
 * Makes a TPM a member of the group (tpm.md §7): key in the TPM, proof that it is there, join, credential, all NV objects, read back, a signature
 * with it, entry in the journal, which knows of the credential before the TPM does. May be repeated after a power cut at any point, and recognises a TPM that is already a member of this group. Never
 * overwrites what another program put into the TPM.
 * @throws Failure `tpm.no-ecdaa`, `factory.already-personalised`, `factory.trust-too-large`, `factory.broken-credential`, `factory.key-mismatch`,
 *   those of `makeMember`, `proveEndorsement`, `recordIssued` and `recordDevice`
 */
export async function personaliseTpm(request: Personalisation): Promise<Personalised> {
  const { group, tpm, capabilities, progress } = request;
  requireFit(request);
  const can = mustSeal(capabilities)
    ? "cannot do ECDAA; it keeps the member's secret sealed"
    : 'supports ECDAA on BN_P256';
  progress(`the TPM (${describeTpm(capabilities)}) ${can}`);
  const before = await memberOf(request);
  const { member, ek } = before === undefined ? await newMember(request) : await knownMember(before, request);
  const pseudonym = await proveMembership(member);
  progress('signed with the credential, and verified');
  const facts = factsOf(request, member.key, ek);
  const { row, known } = await recordDevice(group, {
    ...facts,
    pseudonym: toHex(pseudonym),
    ...(request.recordEk ? { ekHash: await readEndorsementHash(tpm) } : {}),
  });
  return {
    ...row,
    known,
    member: facts.member,
    ek,
    hierarchy: member.map.hierarchy,
    resident: facts.resident,
    already: before !== undefined,
  };
}

const factsOf = (
  { capabilities, marks }: Personalisation,
  { key, resident }: MemberKey,
  ek: EndorsementState,
) => ({
  ...marks,
  member: memberName(key.publicPoint),
  resident,
  tpm: capabilities.manufacturer,
  firmware: capabilities.firmware,
  ek,
});

/** A member, and how genuine its TPM is. */
interface Checked {
  readonly member: Member;
  readonly ek: EndorsementState;
}

async function knownMember(member: Member, request: Personalisation): Promise<Checked> {
  request.progress('the TPM is already a member of this group; nothing is written');
  return { member, ek: await proveKey(member.key, request) };
}

async function newMember(request: Personalisation): Promise<Checked> {
  let ek: EndorsementState = 'absent';
  const issuerSecret = await request.issuerSecret();
  try {
    const member = await makeMember(request, async (key) => {
      // Nothing is issued before it.
      ek = await proveKey(key, request);
      const admission = await admitMember(request.group, issuerSecret, key.key);
      await recordIssued(request.group, {
        ...factsOf(request, key, ek),
        pseudonym: toHex(admission.pseudonym),
      });
      return admission;
    });
    return { member, ek };
  } finally {
    wipe(issuerSecret);
  }
}

/** Proves that the TPM which holds the key is genuine, as far as the station wants it. */
async function proveKey(
  key: MemberKey,
  { tpm, endorsement, progress }: Personalisation,
): Promise<EndorsementState> {
  const { state, text } = await proveEndorsement(tpm, key, endorsement);
  progress(
    state === 'verified'
      ? `the ${key.resident ? 'key' : 'sealed secret'} is inside a genuine TPM: ${text}`
      : `not proved that the TPM is genuine: ${text}`,
  );
  return state;
}
