import { primitives } from '../../crypto/primitives.ts';
import { listFiles, readBounded } from '../../os/files/read.ts';
import { toHex, wipe } from '../../protocol/bytes.ts';
import { groupId } from '../../protocol/crypto/group.ts';
import { generateMemberSecret, softwareDaaKey, validateCredential } from '../../protocol/crypto/member.ts';
import { countDevices } from '../batch/record.ts';
import { CREDENTIAL_FILE } from '../device/software.ts';
import { GROUP_FILE, issuerSecretStorage, openGroup, readLabelText, unlockIssuer } from '../group/group.ts';
import { admitMember } from '../group/join.ts';
import { shortGid } from '../group/names.ts';
import { describeProblem, type Finding, recognise } from './artifact.ts';

/** What was found and what is wrong with it; without `problems` everything is in order. */
export interface Inspection {
  readonly source: string;
  readonly findings: readonly Finding[];
  /** Facts about the whole: the group, and whether its parts belong together. */
  readonly facts: Readonly<Record<string, string>>;
  readonly problems: readonly string[];
}

const MAX_FILE = 64 * 1024;
/** Files of a group's folder that are read with the group, not each by itself. */
const DESCRIPTIONS: readonly string[] = [
  GROUP_FILE.description,
  GROUP_FILE.journal,
  'journal.index',
  GROUP_FILE.tokens,
];

/** Recognises one file and checks that it is well-formed; `makerKey`: see `recognise`. @throws Failure those of `readBounded` */
export async function inspectFile(path: string, makerKey?: string): Promise<Inspection> {
  const finding = recognise(path.split('/').at(-1)!, await readBounded(path, 'file', MAX_FILE), makerKey);
  return { source: path, findings: [finding], facts: {}, problems: problemsOf([finding]) };
}

/**
 * Recognises the files of a folder and checks whether those of a group or of a credential belong together.
 * @throws Failure those of `readBounded`
 */
export async function inspectFolder(folder: string, makerKey?: string): Promise<Inspection> {
  const names = (await listFiles(folder, 'folder')).filter((name) => !DESCRIPTIONS.includes(name));
  const findings: Finding[] = [];
  for (const name of names)
    findings.push(recognise(name, await readBounded(`${folder}/${name}`, 'file', MAX_FILE), makerKey));
  const problems = problemsOf(findings);
  const facts: Record<string, string> = {};
  try {
    if ((await listFiles(folder, 'folder')).includes(GROUP_FILE.description))
      Object.assign(facts, await examineGroup(folder));
    else if (names.includes(CREDENTIAL_FILE.secretKey)) Object.assign(facts, await examineCredential(folder));
  } catch (error) {
    problems.push(describeProblem(error));
  }
  return { source: folder, findings, facts, problems };
}

/** Tries everything that `device personalise` relies on. An encrypted issuer key is not decrypted. */
async function examineGroup(folder: string): Promise<Record<string, string>> {
  const group = await openGroup(folder);
  await readLabelText(group);
  const storage = await issuerSecretStorage(group);
  if (storage === 'plain') {
    const secret = generateMemberSecret(primitives);
    const issuerSecret = await unlockIssuer(group, async () => new Uint8Array());
    try {
      await admitMember(group, issuerSecret, softwareDaaKey(primitives, secret));
    } finally {
      wipe(secret, issuerSecret);
    }
  }
  return {
    folder: 'group',
    name: group.name,
    group: shortGid(group.gid),
    devices: String(await countDevices(group)),
    issuerSecret: storage === 'plain' ? 'plain, belongs to the public key' : storage,
  };
}

async function examineCredential(folder: string): Promise<Record<string, string>> {
  const read = (name: string): Promise<Uint8Array> =>
    readBounded(`${folder}/${name}`, 'credential file', MAX_FILE);
  const secret = await read(CREDENTIAL_FILE.secretKey);
  const gpk = await read(CREDENTIAL_FILE.gpk);
  const { publicPoint } = softwareDaaKey(primitives, secret);
  wipe(secret);
  validateCredential(
    primitives,
    gpk,
    publicPoint,
    await read(CREDENTIAL_FILE.credential),
    await read(CREDENTIAL_FILE.credentialSignature),
  );
  const gid = toHex(groupId(primitives, gpk, await read(CREDENTIAL_FILE.basename)));
  return { folder: 'software credential, valid', group: shortGid(gid) };
}

function problemsOf(findings: readonly Finding[]): string[] {
  return findings.flatMap((each) => (each.problem === undefined ? [] : [`${each.name}: ${each.problem}`]));
}

/** An inspection as lines for people. */
export function describeInspection(inspection: Inspection): string {
  const { source, findings, facts, problems } = inspection;
  const width = Math.max(0, ...findings.map((each) => each.name.length));
  const list = (values: Readonly<Record<string, string>>): string =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ');
  return [
    `${source}${Object.keys(facts).length > 0 ? `: ${list(facts)}` : ''}`,
    ...findings.map(
      ({ name, kind, length, facts: own }) =>
        `  ${name.padEnd(width)}  ${kind}, ${length} bytes${Object.keys(own).length > 0 ? `: ${list(own)}` : ''}`,
    ),
    problems.length === 0 ? 'No problem found.' : 'Problems:',
    ...problems.map((problem) => `  ${problem}`),
  ].join('\n');
}
