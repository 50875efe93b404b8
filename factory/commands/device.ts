import { readPasswordFile } from '../../cli/passphrase.ts';
import type { Command, Invocation, Option } from '../../cli/program.ts';
import { stderrLog } from '../../os/service/log.ts';
import { wipe } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import type { Trust } from '../../protocol/identity/trust.ts';
import type { EndorsementPolicy } from '../device/endorsement.ts';
import type { Personalised, Placement } from '../device/personalise.ts';
import { type Group, openGroup } from '../group/group.ts';
import { shortGid } from '../group/names.ts';
import { endorsementPolicy, personaliseFolder, personaliseTpmAt, readTrust } from '../operations.ts';
import { askPassphrase, GROUP_OPTION, PASSPHRASE_OPTION, TCTI_OPTION, TRUST_OPTION } from './group.ts';
import { OPERATOR_OPTIONS, readMarks, SERIAL_OPTIONS } from './marks.ts';

const PLACEMENTS: readonly Placement[] = ['platform', 'owner', 'auto'];
/** How chips are personalised and proved, at one socket or many. */
export const STATION_TPM_OPTIONS: readonly Option[] = [
  {
    name: 'map',
    value: PLACEMENTS.join('|'),
    help: 'hierarchy in the TPM; auto (the default): platform unless it is locked, else owner',
  },
  {
    name: 'hierarchy-auth-file',
    value: 'FILE',
    help: "file with the hierarchy's password, if it has one",
  },
  {
    name: 'ek-roots',
    value: 'DIR',
    help: "certificates of the TPMs' makers, PEM or DER: proves that the key is inside a genuine TPM",
  },
  { name: 'require-ek', help: 'refuse a TPM that is not proved genuine; needs --ek-roots' },
];
const TPM_OPTIONS: readonly Option[] = [
  TCTI_OPTION,
  ...STATION_TPM_OPTIONS,
  {
    name: 'ek-certificate',
    value: 'FILE',
    help: "the maker's certificate for this TPM, if it does not hold it",
  },
];

export const devicePersonalise: Command = {
  name: 'device personalise',
  summary: 'make a TPM a member of a group, or create a credential in files',
  options: [
    GROUP_OPTION,
    TRUST_OPTION,
    PASSPHRASE_OPTION,
    ...TPM_OPTIONS,
    ...SERIAL_OPTIONS,
    ...OPERATOR_OPTIONS,
    {
      name: 'software',
      value: 'DIR',
      help: 'without a TPM: write the credential and its key into this new folder',
    },
  ],
  examples: [
    'enf-factory device personalise --group groups/march --trust trust.json',
    'enf-factory device personalise --group groups/march --trust trust.json --map owner --hierarchy-auth-file owner.pw',
    'enf-factory device personalise --group groups/march --trust trust.json --ek-roots makers --require-ek',
    'enf-factory device personalise --group groups/march --trust trust.json --software device-1',
  ],
  async run(invocation) {
    const group = await openGroup(invocation.required('group'));
    const trust = await readTrust(invocation.required('trust'));
    const folder = invocation.option('software');
    if (folder === undefined) await intoTpm(invocation, group, trust);
    else await intoFiles(invocation, group, trust, folder);
    return undefined;
  },
};

async function intoTpm(invocation: Invocation, group: Group, trust: Trust): Promise<void> {
  const endorsement = await readPolicy(invocation);
  const placement = parsePlacement(invocation.option('map') ?? 'auto');
  const marks = await readMarks(invocation);
  const hierarchyAuth = await readHierarchyAuth(invocation);
  try {
    const done = await personaliseTpmAt(invocation.option(TCTI_OPTION.name), {
      group,
      trust,
      placement,
      hierarchyAuth,
      endorsement,
      marks,
      passphrase: askPassphrase(invocation, group),
      progress: progressLines(),
    });
    invocation.print(done, () => sentence(done, group));
  } finally {
    if (hierarchyAuth) wipe(hierarchyAuth);
  }
}

/** The password of the hierarchy, if a file is named; the caller wipes it. @throws Failure those of reading files */
export async function readHierarchyAuth(invocation: Invocation): Promise<Uint8Array | undefined> {
  const file = invocation.option('hierarchy-auth-file');
  return file === undefined ? undefined : readPasswordFile(file);
}

/** @throws Failure `cli.bad-arguments`, those of `endorsementPolicy` */
export async function readPolicy(invocation: Invocation): Promise<EndorsementPolicy> {
  const roots = invocation.option('ek-roots');
  const [certificate, required] = [invocation.option('ek-certificate'), invocation.flag('require-ek')];
  if (roots === undefined && (required || certificate !== undefined)) {
    throw new Failure(
      'cli.bad-arguments',
      'operator',
      `--${required ? 'require-ek' : 'ek-certificate'} needs --ek-roots`,
      { action: "Name the folder with the certificates of the TPMs' makers." },
    );
  }
  return endorsementPolicy({ roots, certificate, required });
}

function sentence({ already, tpm, hierarchy, time, member, ek }: Personalised, group: Group): string {
  const what = already ? `was already a member (since ${time})` : 'is now a member';
  const genuine = ek === 'verified' ? ', proved genuine' : '';
  return `The TPM (${tpm}, ${hierarchy} hierarchy${genuine}) ${what} of ${group.name}, group ${shortGid(group.gid)}: ${member.slice(0, 16)}.`;
}

async function intoFiles(invocation: Invocation, group: Group, trust: Trust, folder: string): Promise<void> {
  const unfit = TPM_OPTIONS.find(({ name, value }) =>
    value === undefined ? invocation.flag(name) : invocation.option(name) !== undefined,
  );
  if (unfit !== undefined) {
    throw new Failure('cli.bad-arguments', 'operator', `--${unfit.name} cannot be combined with --software`, {
      action: 'Remove one of the two options.',
    });
  }
  const record = await personaliseFolder(folder, {
    group,
    trust,
    marks: await readMarks(invocation),
    passphrase: askPassphrase(invocation, group),
    progress: progressLines(),
  });
  invocation.print(
    { ...record, folder },
    () => `Member of ${group.name} (${shortGid(group.gid)}): ${folder}`,
  );
}

function progressLines(): (step: string) => void {
  const log = stderrLog();
  return (step) => log('info', step);
}

export function parsePlacement(text: string): Placement {
  const placement = PLACEMENTS.find((each) => each === text);
  if (placement !== undefined) return placement;
  throw new Failure(
    'cli.bad-value',
    'operator',
    `--map: expected ${PLACEMENTS.join(', ')}, got ${JSON.stringify(text)}`,
    { action: 'Remove --map to let the program choose the hierarchy.' },
  );
}
