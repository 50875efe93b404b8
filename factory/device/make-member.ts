import { equal } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import type { Trust } from '../../protocol/identity/trust.ts';
import type { Tpm } from '../../tpm/context.ts';
import { OBJECT_SIZES } from '../../tpm/credential.ts';
import { type HandleMap, OWNER_MAP, PLATFORM_MAP } from '../../tpm/handles.ts';
import type { MemberKey } from '../../tpm/member-key.ts';
import { prepareStorage } from '../../tpm/parent.ts';
import { type ObjectSizes, type TpmObjects, withRoom, writeObjects } from '../../tpm/personalise.ts';
import { type Capabilities, lackingForEcdaa, requireEcdaa } from '../../tpm/probe.ts';
import { checkPublicArea } from '../../tpm/public-area.ts';
import type { Group } from '../group/group.ts';
import { shortGid } from '../group/names.ts';
import { createDeviceKey } from './key.ts';
import { type Member, readMember } from './member.ts';

/** The hierarchy in the TPM; `auto`: platform unless it is locked, else owner. */
export type Placement = HandleMap['hierarchy'] | 'auto';

/** A TPM that is to become a member of a group, at a station or in a board. */
export interface Joining {
  readonly group: Pick<Group, 'gpk' | 'basename' | 'gid'>;
  readonly trust: Trust;
  readonly tpm: Tpm;
  readonly capabilities: Capabilities;
  readonly placement: Placement;
  /** Password of the hierarchy, where one is set. */
  readonly hierarchyAuth?: Uint8Array | undefined;
  /** A TPM that cannot do ECDAA may keep the member's secret sealed; it can be copied then. */
  readonly allowSealed?: boolean | undefined;
  readonly progress: (step: string) => void;
}

/** Asks the issuer for the credential of a key: 260 bytes, and its signature of 64. */
export type Admit = (
  key: MemberKey,
) => Promise<{ readonly credential: Uint8Array; readonly signature: Uint8Array }>;

/** @throws Failure `tpm.no-ecdaa` unless a sealed secret is allowed, `factory.trust-too-large` */
export function requireFit({
  capabilities,
  trust,
  allowSealed = false,
}: Pick<Joining, 'capabilities' | 'trust' | 'allowSealed'>): void {
  if (!allowSealed) requireEcdaa(capabilities);
  checkTrustFits(trust, capabilities);
}

/** True if the TPM can only keep the member's secret. */
export const mustSeal = (capabilities: Capabilities): boolean => lackingForEcdaa(capabilities).length > 0;

/**
 * The TPM's membership of the group, or undefined if it is no member of any yet.
 * @throws Failure `factory.already-personalised` if it belongs to another group or trusts another fabric, those of `readMember`
 */
export async function memberOf(
  joining: Pick<Joining, 'tpm' | 'group' | 'trust'>,
): Promise<Member | undefined> {
  const member = await memberIfAny(joining.tpm);
  if (member !== undefined) checkSame(member, joining);
  return member;
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
function checkSame(member: Member, { group, trust }: Pick<Joining, 'group' | 'trust'>): void {
  const sameTrust = equal(member.xttRoot, trust.xttRoot) && member.tlsRoot === trust.tlsRoot;
  if (member.gid === group.gid && sameTrust) return;
  throw new Failure(
    'factory.already-personalised',
    'operator',
    member.gid === group.gid
      ? 'the TPM is already a member of this group, but trusts the roots of another fabric'
      : `the TPM is already a member of the group ${shortGid(member.gid)}, not of ${shortGid(group.gid)}`,
    {
      action: 'Use another TPM, or take the device out of its group first: "enf-factory device wipe".',
    },
  );
}

/**
 * Makes a TPM a member: room reserved, key in the TPM, storage key, credential from `admit`, all NV objects, read back. May be
 * repeated after a power cut at any point. Never overwrites what another program put into the TPM.
 * @throws Failure `tpm.occupied`, `tpm.hierarchy-locked`, `tpm.nv-full`, `tpm.handles-full`, `factory.read-back`, those of `admit`
 */
export async function makeMember(joining: Joining, admit: Admit): Promise<Member> {
  const { placement, progress } = joining;
  if (placement !== 'auto') return makeMemberIn(mapOf(placement), joining, admit);
  try {
    return await makeMemberIn(PLATFORM_MAP, joining, admit);
  } catch (error) {
    if (!isFailure(error, 'tpm.hierarchy-locked')) throw error;
    progress('the platform hierarchy is locked; the owner hierarchy is used');
    return makeMemberIn(OWNER_MAP, joining, admit);
  }
}

function mapOf(hierarchy: HandleMap['hierarchy']): HandleMap {
  return hierarchy === 'platform' ? PLATFORM_MAP : OWNER_MAP;
}

async function makeMemberIn(map: HandleMap, joining: Joining, admit: Admit): Promise<Member> {
  const { tpm, hierarchyAuth, group, trust, progress } = joining;
  const made = await withRoom(tpm, map, sizesOf(joining), hierarchyAuth, () => makeKeys(map, joining));
  const { credential, signature } = await admit(made);
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
  checkReadBack(member, map, objects, made);
  progress('read back and compared');
  return member;
}

/** The member's key, and a storage key for what the device makes itself. */
async function makeKeys(
  map: HandleMap,
  { tpm, capabilities, hierarchyAuth, progress }: Joining,
): Promise<MemberKey> {
  const made = await createDeviceKey(tpm, map, mustSeal(capabilities), hierarchyAuth);
  // The proof of the join does not show that the key is in the TPM: its public area does (ecdaa.md §6).
  if (made.resident && !equal(checkPublicArea(made.publicArea), made.key.publicPoint)) throw readBack('key');
  progress(
    `the TPM holds the ${made.resident ? 'ECDAA key' : 'sealed secret'} at 0x${map.daaKey.toString(16)} (${map.hierarchy} hierarchy)`,
  );
  // So that an owner password set before the first boot does not lock the device out of its own TPM.
  const prepared = await prepareStorage(tpm, map.hierarchy === 'owner' ? hierarchyAuth : undefined);
  progress(
    prepared
      ? 'the TPM holds a storage key'
      : 'no storage key: the owner hierarchy has a password; the device cannot create its own key at the first boot without it',
  );
  return made;
}

/** Bytes of each NV object. */
const sizesOf = ({ group, trust, capabilities }: Joining): ObjectSizes => ({
  gpk: OBJECT_SIZES.gpk.max,
  credential: OBJECT_SIZES.credential.max,
  credentialSignature: OBJECT_SIZES.credentialSignature.max,
  basename: group.basename.length,
  xttRoot: OBJECT_SIZES.xttRoot.max,
  tlsRoot: trust.tlsRoot.length,
  ...(mustSeal(capabilities) ? { memberPoint: OBJECT_SIZES.memberPoint.max } : {}),
});

function checkReadBack(member: Member, map: HandleMap, objects: TpmObjects, made: MemberKey): void {
  if (member.map !== map) throw readBack('hierarchy');
  if (!equal(member.key.publicArea, made.publicArea)) throw readBack('key');
  if (!equal(member.publicPoint, made.key.publicPoint)) throw readBack('key');
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
