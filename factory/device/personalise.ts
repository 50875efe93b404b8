import { equal, toHex, wipe } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import type { Trust } from '../../protocol/identity/trust.ts';
import type { Tpm } from '../../tpm/context.ts';
import { OBJECT_SIZES } from '../../tpm/credential.ts';
import { type HandleMap, OWNER_MAP, PLATFORM_MAP } from '../../tpm/handles.ts';
import { prepareStorage } from '../../tpm/parent.ts';
import { createDaaKey, reserveObjects, type TpmObjects, writeObjects } from '../../tpm/personalise.ts';
import { type Capabilities, requireEcdaa } from '../../tpm/probe.ts';
import { checkPublicArea } from '../../tpm/public-area.ts';
import { type Marks, recordDevice } from '../batch/record.ts';
import type { Row } from '../batch/row.ts';
import type { Group } from '../group/group.ts';
import { admitMember } from '../group/join.ts';
import { memberName, shortGid } from '../group/names.ts';
import { type Endorsement, type EndorsementPolicy, type MemberKey, proveEndorsement } from './endorsement.ts';
import { type Member, proveMembership, readMember } from './member.ts';

/** The hierarchy in the TPM; `auto`: platform unless it is locked, else owner. */
export type Placement = HandleMap['hierarchy'] | 'auto';

export interface Personalisation {
  readonly group: Group;
  readonly trust: Trust;
  readonly tpm: Tpm;
  readonly capabilities: Capabilities;
  readonly placement: Placement;
  /** Password of the hierarchy, where one is set. */
  readonly hierarchyAuth?: Uint8Array | undefined;
  readonly endorsement: EndorsementPolicy;
  /** Called once, and only if a credential has to be issued: 64 bytes, wiped afterwards. */
  readonly issuerSecret: () => Promise<Uint8Array>;
  /** What the journal says beside what the TPM says. */
  readonly marks?: Marks | undefined;
  readonly progress: (step: string) => void;
}

export interface Personalised extends Row {
  readonly member: string;
  readonly hierarchy: HandleMap['hierarchy'];
  /** True if the TPM was already a member of this group, and nothing was written. */
  readonly already: boolean;
  /** True if it had its entry in the journal. */
  readonly known: boolean;
}

/**
 * Makes a TPM a member of the group (tpm.md §7): key in the TPM, proof that it is there, join, credential, all NV objects, read back. May be
 * repeated after a power cut at any point, and recognises a TPM that is already a member of this group. Never
 * overwrites what another program put into the TPM.
 * @throws Failure `tpm.no-ecdaa`, `tpm.occupied`, `tpm.hierarchy-locked`, `factory.already-personalised`,
 *   `factory.trust-too-large`, `factory.read-back`, `factory.broken-credential`, `factory.key-mismatch`, those of `proveEndorsement`
 */
export async function personaliseTpm(request: Personalisation): Promise<Personalised> {
  const { group, tpm, capabilities, trust, progress } = request;
  requireEcdaa(capabilities);
  checkTrustFits(trust, capabilities);
  progress(`the TPM (${capabilities.manufacturer}) supports ECDAA on BN_P256`);
  const before = await memberIfAny(tpm);
  const { member, endorsement } =
    before === undefined ? await makeMember(request) : await checkMember(before, request);
  const { state: ek } = endorsement;
  const pseudonym = await proveMembership(tpm, member);
  progress('signed with the credential, and verified');
  const name = memberName(member.publicPoint);
  const { row, known } = await recordDevice(group, {
    ...request.marks,
    member: name,
    pseudonym: toHex(pseudonym),
    tpm: capabilities.manufacturer,
    firmware: capabilities.firmware,
    ek,
  });
  return { ...row, known, member: name, ek, hierarchy: member.map.hierarchy, already: before !== undefined };
}

/** A member, and how genuine its TPM is. */
interface Checked {
  readonly member: Member;
  readonly endorsement: Endorsement;
}

async function checkMember(member: Member, request: Personalisation): Promise<Checked> {
  checkSame(member, request);
  request.progress('the TPM is already a member of this group; nothing is written');
  const key = { handle: member.map.daaKey, publicPoint: member.publicPoint };
  return { member, endorsement: await proveKey(key, request) };
}

/** Proves that the TPM which holds the ECDAA key is genuine, as far as the station wants it. */
async function proveKey(
  key: MemberKey,
  { tpm, endorsement, progress }: Personalisation,
): Promise<Endorsement> {
  const proof = await proveEndorsement(tpm, key, endorsement);
  progress(
    proof.state === 'verified'
      ? `the key is inside a genuine TPM: ${proof.text}`
      : `not proved that the TPM is genuine: ${proof.text}`,
  );
  return proof;
}

async function memberIfAny(tpm: Tpm): Promise<Member | undefined> {
  try {
    return await readMember(tpm);
  } catch (error) {
    if (isFailure(error, 'tpm.not-personalised')) return undefined;
    throw error;
  }
}

/** @throws Failure `factory.already-personalised` if the TPM belongs to another group or trusts another fabric */
function checkSame(member: Member, { group, trust }: Personalisation): void {
  const sameTrust = equal(member.xttRoot, trust.xttRoot) && member.tlsRoot === trust.tlsRoot;
  if (member.gid === group.gid && sameTrust) return;
  throw new Failure(
    'factory.already-personalised',
    'operator',
    member.gid === group.gid
      ? 'the TPM is already a member of this group, but trusts the roots of another fabric'
      : `the TPM is already a member of the group ${shortGid(member.gid)}, not of ${shortGid(group.gid)}`,
    {
      action:
        'Use another TPM, or remove the objects in this one first: "enf-factory inspect" lists them, tpm2_nvundefine and tpm2_evictcontrol remove them.',
    },
  );
}

async function makeMember(request: Personalisation): Promise<Checked> {
  const { placement, progress } = request;
  const issuerSecret = await request.issuerSecret();
  try {
    if (placement !== 'auto') return await makeMemberIn(mapOf(placement), request, issuerSecret);
    try {
      return await makeMemberIn(PLATFORM_MAP, request, issuerSecret);
    } catch (error) {
      if (!isFailure(error, 'tpm.hierarchy-locked')) throw error;
      progress('the platform hierarchy is locked; the owner hierarchy is used');
      return await makeMemberIn(OWNER_MAP, request, issuerSecret);
    }
  } finally {
    wipe(issuerSecret);
  }
}

function mapOf(hierarchy: HandleMap['hierarchy']): HandleMap {
  return hierarchy === 'platform' ? PLATFORM_MAP : OWNER_MAP;
}

async function makeMemberIn(
  map: HandleMap,
  request: Personalisation,
  issuerSecret: Uint8Array,
): Promise<Checked> {
  const { group, trust, tpm, hierarchyAuth, progress } = request;
  await reserveObjects(tpm, map, sizesOf(group, trust), hierarchyAuth);
  const { key, publicArea } = await createDaaKey(tpm, map, hierarchyAuth);
  // The proof of the join does not show that the key is in the TPM: its public area does (ecdaa.md §6).
  const point = checkPublicArea(publicArea);
  if (!equal(point, key.publicPoint)) throw readBack('key');
  progress(`the TPM holds the ECDAA key at 0x${map.daaKey.toString(16)} (${map.hierarchy} hierarchy)`);
  // Nothing is issued before it.
  const endorsement = await proveKey({ handle: map.daaKey, publicPoint: point }, request);
  // So that an owner password set before the first boot does not lock the device out of its own TPM.
  const prepared = await prepareStorage(tpm, map.hierarchy === 'owner' ? hierarchyAuth : undefined);
  progress(
    prepared
      ? 'the TPM holds a storage key'
      : 'no storage key: the owner hierarchy has a password; the device cannot create its own key at the first boot without it',
  );
  const { credential, signature } = await admitMember(group, issuerSecret, key);
  progress('credential issued and checked');
  const objects: TpmObjects = {
    gpk: group.gpk,
    credential,
    credentialSignature: signature,
    basename: group.basename,
    xttRoot: trust.xttRoot,
    tlsRoot: trust.tlsRoot,
  };
  await writeObjects(tpm, map, objects, hierarchyAuth);
  progress('NV objects written');
  const member = await readMember(tpm);
  checkReadBack(member, map, objects, point);
  progress('read back and compared');
  return { member, endorsement };
}

/** Bytes of each NV object. */
const sizesOf = ({ basename }: Group, { tlsRoot }: Trust) => ({
  gpk: OBJECT_SIZES.gpk.max,
  credential: OBJECT_SIZES.credential.max,
  credentialSignature: OBJECT_SIZES.credentialSignature.max,
  basename: basename.length,
  xttRoot: OBJECT_SIZES.xttRoot.max,
  tlsRoot: tlsRoot.length,
});

function checkReadBack(member: Member, map: HandleMap, objects: TpmObjects, point: Uint8Array): void {
  if (member.map !== map) throw readBack('hierarchy');
  if (!equal(member.publicPoint, point)) throw readBack('key');
  if (member.tlsRoot !== objects.tlsRoot) throw readBack('tlsRoot');
  for (const name of ['gpk', 'credential', 'credentialSignature', 'basename', 'xttRoot'] as const)
    if (!equal(member[name], objects[name])) throw readBack(name);
}

function readBack(what: string): Failure {
  return new Failure(
    'factory.read-back',
    'operator',
    `the TPM returned a different ${what} than was written`,
    {
      action: 'Do not ship this device: its TPM is defective, or another program writes to it.',
    },
  );
}

/** @throws Failure `factory.trust-too-large` */
function checkTrustFits(trust: Trust, capabilities: Capabilities): void {
  const limit = Math.min(OBJECT_SIZES.tlsRoot.max, capabilities.nvIndexMax || OBJECT_SIZES.tlsRoot.max);
  if (trust.tlsRoot.length <= limit) return;
  throw new Failure(
    'factory.trust-too-large',
    'operator',
    `the TLS root of the trust bundle has ${trust.tlsRoot.length} characters; this TPM stores at most ${limit}`,
    { action: 'Use a trust bundle with one small root certificate, as "enf-fabric init" makes it.' },
  );
}
