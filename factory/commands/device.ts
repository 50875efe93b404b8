import { readPasswordFile } from '../../cli/passphrase.ts';
import type { Command, Invocation, Option } from '../../cli/program.ts';
import { readBounded } from '../../os/files/read.ts';
import { stderrLog } from '../../os/service/log.ts';
import { wipe } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import type { Trust } from '../../protocol/identity/trust.ts';
import { decodeUtf8 } from '../../protocol/utf8.ts';
import { probe } from '../../tpm/probe.ts';
import { type EndorsementPolicy, readCertificateFile } from '../device/endorsement.ts';
import type { Placement } from '../device/make-member.ts';
import type { Personalised } from '../device/personalise.ts';
import { type Group, openGroup } from '../group/group.ts';
import { shortGid } from '../group/names.ts';
import { endorsementPolicy, personaliseFolder, personaliseTpmAt, readTrust, withTpm } from '../operations.ts';
import { personaliseBoard } from '../station/board.ts';
import { fingerprintOf } from '../station/identity.ts';
import {
  askPassphrase,
  GROUP_OPTION,
  PASSPHRASE_OPTION,
  STATION_TPM_OPTION,
  stationTpm,
  TPM_OPTION,
  TRUST_OPTION,
} from './group.ts';
import { OPERATOR_OPTIONS, RECORD_EK_OPTION, readMarks, SERIAL_OPTIONS } from './marks.ts';

const PLACEMENTS: readonly Placement[] = ['platform', 'owner', 'auto'];
export const HIERARCHY_AUTH_OPTION: Option = {
  name: 'hierarchy-auth-file',
  value: 'FILE',
  help: "file with the hierarchy's password, if it has one",
};
const CERTIFICATE_OPTION: Option = {
  name: 'ek-certificate',
  value: 'FILE',
  help: "the maker's certificate for this TPM, if it does not hold it",
};
const EK_STATION_OPTIONS: readonly Option[] = [
  {
    name: 'ek-roots',
    value: 'DIR',
    help: "certificates of the TPMs' makers, PEM or DER: proves that the key is inside a genuine TPM",
  },
  { name: 'require-ek', help: 'refuse a TPM that is not proved genuine; needs --ek-roots' },
];
/** How one chip is proved genuine. */
export const EK_OPTIONS: readonly Option[] = [...EK_STATION_OPTIONS, CERTIFICATE_OPTION];
export const ALLOW_SEALED_OPTION: Option = {
  name: 'allow-sealed',
  help: 'a TPM that cannot do ECDAA keeps the secret sealed: it can be copied by whoever controls the device (resident: no)',
};
/** How chips are personalised and proved, at one socket or many. */
export const STATION_TPM_OPTIONS: readonly Option[] = [
  {
    name: 'map',
    value: PLACEMENTS.join('|'),
    help: 'hierarchy in the TPM; auto (the default): platform unless it is locked, else owner',
  },
  HIERARCHY_AUTH_OPTION,
  ALLOW_SEALED_OPTION,
  ...EK_STATION_OPTIONS,
];
const TPM_OPTIONS: readonly Option[] = [TPM_OPTION, ...STATION_TPM_OPTIONS, CERTIFICATE_OPTION];

/** For a board that a station on the network makes a device of: it has neither the group's folder nor the issuer's key. */
const BOARD_OPTIONS: readonly Option[] = [
  { name: 'station', value: 'URL', help: 'let this station make the device, e.g. https://192.0.2.1:8443' },
  { name: 'token-file', value: 'FILE', help: 'file with a token of the station', required: 'with --station' },
  {
    name: 'station-fingerprint',
    value: 'HEX',
    help: "SHA-256 of the station's certificate, as it prints it",
    required: 'with --station, unless --station-certificate is given',
  },
  { name: 'station-certificate', value: 'FILE', help: "the station's certificate (station.pem)" },
];

const SOFTWARE_OPTION: Option = {
  name: 'software',
  value: 'DIR',
  help: 'without a TPM: write the credential and its key into this new folder',
};
/** What the station decides, and not the board. */
const NOT_AT_STATION: readonly Option[] = [
  GROUP_OPTION,
  TRUST_OPTION,
  PASSPHRASE_OPTION,
  STATION_TPM_OPTION,
  SOFTWARE_OPTION,
  ...EK_STATION_OPTIONS,
  RECORD_EK_OPTION,
  ...OPERATOR_OPTIONS,
];

export const devicePersonalise: Command = {
  name: 'device personalise',
  summary: 'make a TPM a member of a group, or create a credential in files',
  options: [
    { ...GROUP_OPTION, required: 'without --station' },
    { ...TRUST_OPTION, required: 'without --station' },
    PASSPHRASE_OPTION,
    STATION_TPM_OPTION,
    ...TPM_OPTIONS,
    ...SERIAL_OPTIONS,
    RECORD_EK_OPTION,
    ...OPERATOR_OPTIONS,
    ...BOARD_OPTIONS,
    SOFTWARE_OPTION,
  ],
  examples: [
    'enf-factory device personalise --group groups/march --trust trust.json',
    'enf-factory device personalise --group groups/march --trust trust.json --map owner --hierarchy-auth-file owner.pw',
    'enf-factory device personalise --group groups/march --trust trust.json --ek-roots makers --require-ek',
    'enf-factory device personalise --group groups/march --trust trust.json --allow-sealed',
    'enf-factory device personalise --group groups/march --trust trust.json --software device-1',
    'enf-factory device personalise --station https://192.0.2.1:8443 --station-certificate station.pem --token-file march.token --machine-serial',
  ],
  async run(invocation) {
    const station = invocation.option('station');
    if (station !== undefined) {
      await atStation(invocation, station);
      return undefined;
    }
    rejectBoardOptions(invocation);
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
    const done = await personaliseTpmAt(invocation.option(TPM_OPTION.name), {
      group,
      trust,
      placement,
      hierarchyAuth,
      endorsement,
      marks,
      allowSealed: invocation.flag(ALLOW_SEALED_OPTION.name),
      recordEk: invocation.flag(RECORD_EK_OPTION.name),
      passphrase: askPassphrase(invocation, group),
      stationTpm: stationTpm(invocation),
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

function sentence(
  { already, tpm, hierarchy, time, member, ek, resident }: Personalised,
  group: Group,
): string {
  const what = already ? `was already a member (since ${time})` : 'is now a member';
  const genuine = ek === 'verified' ? ', proved genuine' : '';
  return `The TPM (${tpm}, ${hierarchy} hierarchy${genuine}${resident ? '' : ', resident: no'}) ${what} of ${group.name}, group ${shortGid(group.gid)}: ${member.slice(0, 16)}.`;
}

async function atStation(invocation: Invocation, station: string): Promise<void> {
  rejectOptions(invocation, NOT_AT_STATION, 'station');
  const url = readUrl(station);
  const fingerprint = await readFingerprint(invocation);
  const token = decodeUtf8(await readBounded(invocation.required('token-file'), 'token', 256))?.trim() ?? '';
  const marks = await readMarks(invocation);
  const file = invocation.option('ek-certificate');
  const certificate = file === undefined ? undefined : await readCertificateFile(file);
  const hierarchyAuth = await readHierarchyAuth(invocation);
  const placement = parsePlacement(invocation.option('map') ?? 'auto');
  try {
    const device = await withTpm(invocation.option(TPM_OPTION.name), async (tpm) =>
      personaliseBoard({
        ...{ tpm, url, fingerprint, token, placement, hierarchyAuth, certificate },
        allowSealed: invocation.flag(ALLOW_SEALED_OPTION.name),
        capabilities: await probe(tpm),
        serial: { serial: marks.serial, serialFrom: marks.serialFrom },
        progress: progressLines(),
      }),
    );
    invocation.print(
      device,
      () =>
        `PASS: this board is a device of ${device.name}, group ${shortGid(device.gid)}, since ${device.time}: ${device.member.slice(0, 16)}${device.resident ? '' : ' (resident: no)'}.`,
    );
  } finally {
    if (hierarchyAuth) wipe(hierarchyAuth);
  }
}

/** @throws Failure `cli.bad-value` */
function readUrl(text: string): string {
  if (/^https:\/\/[^/\s@]+\/?$/.test(text) && URL.canParse(text)) return text;
  throw new Failure(
    'cli.bad-value',
    'operator',
    `--station: expected https:// and a host, got ${JSON.stringify(text.slice(0, 80))}`,
    {
      action: 'Give an address such as https://192.0.2.1:8443.',
    },
  );
}

/** A station is never taken for another: one of the two options is needed. */
async function readFingerprint(invocation: Invocation): Promise<string> {
  const file = invocation.option('station-certificate');
  if (file !== undefined && invocation.option('station-fingerprint') !== undefined)
    throw notTogether('station-certificate', 'station-fingerprint');
  if (file !== undefined)
    return fingerprintOf(decodeUtf8(await readBounded(file, "station's certificate")) ?? '', file);
  const text = invocation.required('station-fingerprint').toLowerCase().replaceAll(':', '');
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new Failure('cli.bad-value', 'operator', '--station-fingerprint: expected 64 hex digits', {
    action: 'Copy the fingerprint that the station prints at its start.',
  });
}

/** @throws Failure `cli.bad-arguments` if one of these options is given */
function rejectOptions(invocation: Invocation, options: readonly Option[], other: string): void {
  const unfit = options.find(({ name, value }) =>
    value === undefined ? invocation.flag(name) : invocation.option(name) !== undefined,
  );
  if (unfit !== undefined) throw notTogether(unfit.name, other);
}

/** @throws Failure `cli.bad-arguments` if an option is given that means nothing without a station */
function rejectBoardOptions(invocation: Invocation): void {
  const unfit = BOARD_OPTIONS.find(({ name }) => invocation.option(name) !== undefined);
  if (unfit === undefined) return;
  throw new Failure('cli.bad-arguments', 'operator', `--${unfit.name} needs --station`, {
    action: 'Name the station, or remove the option.',
  });
}

function notTogether(one: string, other: string): Failure {
  return new Failure('cli.bad-arguments', 'operator', `--${one} cannot be combined with --${other}`, {
    action: 'Remove one of the two options.',
  });
}

async function intoFiles(invocation: Invocation, group: Group, trust: Trust, folder: string): Promise<void> {
  rejectOptions(invocation, TPM_OPTIONS, 'software');
  const record = await personaliseFolder(folder, {
    group,
    trust,
    marks: await readMarks(invocation),
    passphrase: askPassphrase(invocation, group),
    stationTpm: stationTpm(invocation),
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
