import type { Tpm } from '../../tpm/context.ts';
import { ENDORSEMENT_KINDS, readEndorsementCertificate } from '../../tpm/endorsement.ts';
import { HANDLE_MAPS } from '../../tpm/handles.ts';
import { type InspectedMap, inspect } from '../../tpm/inspect.ts';
import { readNv } from '../../tpm/nv.ts';
import { type Capabilities, lackingForEcdaa, probe, requireEcdaa } from '../../tpm/probe.ts';
import { readMember } from '../device/member.ts';
import { memberName, shortGid } from '../group/names.ts';
import { describeProblem, type Finding, recognise } from './artifact.ts';
import type { Inspection } from './inspect.ts';

/**
 * Reports a TPM's capabilities, what it holds at our handles, and whether that makes it a member of a group. An
 * empty TPM is no problem, a half-personalised one is. Changes nothing.
 */
export async function inspectTpm(tpm: Tpm): Promise<Inspection> {
  const capabilities = await probe(tpm);
  const { maps, parents } = await inspect(tpm);
  const findings: Finding[] = [];
  for (const map of maps) findings.push(...(await findingsOf(tpm, map)));
  const lacking = lackingForEcdaa(capabilities);
  const facts: Record<string, string> = {
    manufacturer: capabilities.manufacturer,
    firmware: capabilities.firmware,
    ecdaa: lacking.length === 0 ? 'yes' : `no: without ${lacking.join(', ')}`,
    ...stateOf(capabilities),
  };
  facts['endorsement certificate'] = await endorsementCertificates(tpm);
  for (const { handle, storageKey, exempt } of parents)
    facts[hex(handle)] = storageKey
      ? `storage key, ${exempt ? 'exempt from' : 'subject to'} lockout`
      : 'a key that is not a storage key';
  const problems = findings.flatMap(({ name, problem }) =>
    problem === undefined ? [] : [`${name}: ${problem}`],
  );
  const check = async (run: () => void | Promise<void>): Promise<void> => {
    try {
      await run();
    } catch (error) {
      problems.push(describeProblem(error));
    }
  };
  // A TPM that keeps a sealed secret need not do ECDAA.
  if (!maps.some(({ daaKey }) => daaKey?.sealed)) await check(() => requireEcdaa(capabilities));
  facts.personalised = findings.length === 0 ? 'no' : 'not completely';
  if (findings.length > 0) {
    await check(async () => {
      const { map, gid, key } = await readMember(tpm);
      Object.assign(facts, {
        personalised: `yes, ${map.hierarchy} hierarchy`,
        resident: key.resident ? 'yes' : 'no',
        group: shortGid(gid),
      });
    });
  }
  return { source: tpm.tcti, findings, facts, problems };
}

/** For which endorsement keys the TPM holds its maker's certificate. */
async function endorsementCertificates(tpm: Tpm): Promise<string> {
  const held: string[] = [];
  try {
    for (const kind of ENDORSEMENT_KINDS)
      if ((await readEndorsementCertificate(tpm, kind)) !== undefined) held.push(kind.toUpperCase());
  } catch (error) {
    return describeProblem(error);
  }
  return held.length === 0 ? 'none' : held.join(', ');
}

async function findingsOf(tpm: Tpm, { hierarchy, daaKey, objects }: InspectedMap): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (daaKey !== undefined) {
    const { handle, point, fault, sealed } = daaKey;
    findings.push({
      name: `${hierarchy} ${hex(handle)} key`,
      kind: sealed ? 'sealed secret of a member' : 'ECDAA key',
      length: point?.length ?? 0,
      facts: point ? { member: memberName(point) } : {},
      ...(fault === undefined ? {} : { problem: fault }),
    });
  }
  const map = HANDLE_MAPS.find((each) => each.hierarchy === hierarchy)!;
  for (const { name, index, size } of objects) {
    const content = await readNv(tpm, map.nv[name]);
    const found = content
      ? recognise(name, content)
      : { kind: name, length: size, facts: {}, problem: 'the NV index is defined, but was never written' };
    findings.push({ ...found, name: `${hierarchy} ${hex(index)} ${name}` });
  }
  return findings;
}

function stateOf({
  lockedOut,
  lockout,
  platformEnabled,
  ownerEnabled,
}: Capabilities): Record<string, string> {
  return {
    lockout: `${lockedOut ? 'locked, ' : ''}${lockout.counter} of ${lockout.limit} failed attempts`,
    'platform hierarchy': platformEnabled ? 'on' : 'off',
    'owner hierarchy': ownerEnabled ? 'on' : 'off',
  };
}

function hex(handle: number): string {
  return `0x${handle.toString(16).padStart(8, '0')}`;
}
