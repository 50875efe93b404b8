import { readBasename } from '../../cli/basename.ts';
import { readPassphrase } from '../../cli/passphrase.ts';
import type { Command, Invocation, Option } from '../../cli/program.ts';
import { wipe } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { DEFAULT_TCTI } from '../../tpm/context.ts';
import {
  createGroup,
  type Group,
  type GroupRequest,
  issuerSecretStorage,
  openGroup,
} from '../group/group.ts';
import { isPcr } from '../group/issuer-tpm.ts';
import { shortGid } from '../group/names.ts';
import { sealGroup } from '../group/seal.ts';
import { importGroupFiles, showGroup, tctiOf } from '../operations.ts';

/** Options that several commands share. */
export const GROUP_OPTION: Option = {
  name: 'group',
  value: 'DIR',
  help: 'folder of the group',
  required: true,
};
export const TRUST_OPTION: Option = {
  name: 'trust',
  value: 'FILE',
  help: 'trust bundle (trust.json) of the fabric that the device will connect to',
  required: true,
};
export const TPM_OPTION: Option = {
  name: 'tpm',
  alias: 'tcti',
  value: 'DEVICE',
  help: `the TPM, e.g. /dev/tpmrm0 or swtpm:host=127.0.0.1,port=2321; --tcti is the same (default ${DEFAULT_TCTI})`,
};
export const PASSPHRASE_OPTION: Option = {
  name: 'passphrase-file',
  value: 'FILE',
  help: "file with the passphrase of the issuer's secret key (default: ask on the terminal)",
};

export const STATION_TPM_OPTION: Option = {
  name: 'station-tpm',
  value: 'DEVICE',
  help: "the station's own TPM, if it holds the issuer's secret key: a device or a TCTI (default /dev/tpmrm0)",
};

/** How the station's own TPM is reached, if the option names one. */
export function stationTpm(invocation: Invocation): string | undefined {
  const given = invocation.option(STATION_TPM_OPTION.name);
  return given === undefined ? undefined : tctiOf(given);
}

/** The passphrase of an encrypted issuer key, from the file named or the terminal. */
export function askPassphrase(invocation: Invocation, group: Group): () => Promise<Uint8Array> {
  const file = invocation.option(PASSPHRASE_OPTION.name);
  return () => readPassphrase(file === undefined ? { prompt: `Passphrase of ${group.name}` } : { file });
}

/** What both ways to make a group need. */
const NEW_GROUP: readonly Option[] = [
  { name: 'name', value: 'TEXT', help: 'display name of the group, at most 60 bytes', required: true },
  {
    name: 'basename',
    value: 'TEXT|FILE',
    help: 'the basename of the network, 1 to 64 bytes, or a file with them',
    required: true,
  },
  { name: 'vendor', value: 'TEXT', help: 'manufacturer of the devices, printed on the label' },
  { name: 'out', value: 'DIR', help: 'the new folder; an existing one is never overwritten', required: true },
  { ...PASSPHRASE_OPTION, help: "encrypt the issuer's secret key under the passphrase in this file" },
  {
    name: 'ask-passphrase',
    help: "encrypt the issuer's secret key under a passphrase typed on the terminal",
  },
];

export const groupCreate: Command = {
  name: 'group create',
  summary: 'create a group: issuer keys, GID and label in a new folder',
  options: NEW_GROUP,
  examples: [
    'enf-factory group create --name "Gateways, March" --basename xaprcnet --out groups/march --ask-passphrase',
  ],
  run: (invocation) => makeGroup(invocation, createGroup),
};

export const groupImport: Command = {
  name: 'group import',
  summary: 'make the folder of a group whose issuer keys the C ecdaa tool has made; its devices stay members',
  options: [
    { name: 'ipk', value: 'FILE', help: "the issuer's public key, 354 bytes", required: true },
    { name: 'isk', value: 'FILE', help: "the issuer's secret key, 64 bytes", required: true },
    { name: 'gpk', value: 'FILE', help: 'the group public key, 258 bytes, to be compared' },
    ...NEW_GROUP,
  ],
  examples: [
    'enf-factory group import --ipk ipk.bin --isk isk.bin --gpk daa_gpk.bin --basename basename.bin --name "Old batch" --out groups/old',
  ],
  run(invocation) {
    const files = {
      ipk: invocation.required('ipk'),
      isk: invocation.required('isk'),
      gpk: invocation.option('gpk'),
    };
    return makeGroup(invocation, (request) => importGroupFiles(request, files));
  },
};

async function makeGroup(
  invocation: Invocation,
  make: (request: GroupRequest) => Promise<Group>,
): Promise<undefined> {
  const folder = invocation.required('out');
  const name = invocation.required('name');
  const basename = await readBasename(invocation.required('basename'));
  const passphrase = await newPassphrase(invocation, 'New passphrase of the issuer key');
  try {
    const group = await make({ folder, name, basename, vendor: invocation.option('vendor'), passphrase });
    invocation.print(
      { folder, gid: group.gid, encrypted: passphrase !== undefined },
      () =>
        `Group ${shortGid(group.gid)} is in ${folder}; its issuer key is ${passphrase ? 'encrypted' : 'not encrypted'}.\nAnyone who has label.txt can admit these devices to a fabric: ship it with them, and keep it secret.`,
    );
  } finally {
    if (passphrase) wipe(passphrase);
  }
  return undefined;
}

/** The passphrase of a new key, if one is wanted: from the file named or the terminal. */
export async function newPassphrase(invocation: Invocation, prompt: string): Promise<Uint8Array | undefined> {
  const file = invocation.option(PASSPHRASE_OPTION.name);
  if (file !== undefined) return readPassphrase({ file });
  if (invocation.flag('ask-passphrase')) return readPassphrase({ prompt, twice: true });
  return undefined;
}

const TPM_PASSPHRASE: readonly Option[] = [
  {
    name: 'tpm-passphrase-file',
    value: 'FILE',
    help: 'file with the passphrase that the TPM is to ask for each time; it counts wrong ones',
  },
  { name: 'ask-tpm-passphrase', help: 'type that passphrase on the terminal' },
  { name: 'no-tpm-passphrase', help: 'whoever can use the TPM of this station can use the key' },
];

export const groupSeal: Command = {
  name: 'group seal',
  summary: "move a group's issuer key into the station's own TPM; a copy under its passphrase goes elsewhere",
  options: [
    GROUP_OPTION,
    {
      ...PASSPHRASE_OPTION,
      help: "file with the passphrase of the issuer's secret key, or of its copy if it has none (default: ask)",
    },
    {
      name: 'recovery',
      value: 'FILE',
      help: 'the new file with the copy: put it on a medium that is kept off the line',
      required: true,
    },
    STATION_TPM_OPTION,
    ...TPM_PASSPHRASE,
    {
      name: 'pcrs',
      value: 'LIST',
      help: 'open it only while these registers of the SHA-256 bank are as they are now, e.g. 0,2,7',
    },
  ],
  examples: [
    'enf-factory group seal --group groups/march --recovery /media/safe/march.isk.enc --ask-tpm-passphrase',
    'enf-factory group seal --group groups/march --recovery /media/safe/march.isk.enc --no-tpm-passphrase --pcrs 0,7',
  ],
  async run(invocation) {
    const group = await openGroup(invocation.required('group'));
    const recovery = invocation.required('recovery');
    const pcrs = readPcrs(invocation.option('pcrs'));
    const tpmPassphrase = await readTpmPassphrase(invocation);
    try {
      // A key without a passphrase gets one for its copy.
      const isNew =
        (await issuerSecretStorage(group)) === 'plain' && !invocation.option(PASSPHRASE_OPTION.name);
      const passphrase = isNew
        ? () => readPassphrase({ prompt: 'New passphrase of the recovery copy', twice: true })
        : askPassphrase(invocation, group);
      await sealGroup({
        group,
        stationTpm: stationTpm(invocation),
        recovery,
        passphrase,
        tpmPassphrase,
        pcrs,
      });
    } finally {
      if (tpmPassphrase) wipe(tpmPassphrase);
    }
    invocation.print(
      { folder: group.folder, recovery, pcrs, tpmPassphrase: tpmPassphrase !== undefined },
      () =>
        `The issuer's secret key of ${group.name} is sealed in the TPM, and no longer in ${group.folder}.\n${recovery} is the copy: keep it and its passphrase off the line, apart from each other. Without them the key is lost with the TPM.`,
    );
    return undefined;
  },
};

/** @throws Failure `cli.bad-arguments` unless exactly one of the three options is given */
async function readTpmPassphrase(invocation: Invocation): Promise<Uint8Array | undefined> {
  const file = invocation.option('tpm-passphrase-file');
  const [ask, none] = [invocation.flag('ask-tpm-passphrase'), invocation.flag('no-tpm-passphrase')];
  if ([file !== undefined, ask, none].filter(Boolean).length !== 1) {
    throw new Failure(
      'cli.bad-arguments',
      'operator',
      'expected one of --tpm-passphrase-file, --ask-tpm-passphrase and --no-tpm-passphrase',
      { action: 'Say what the TPM is to ask for when the key is used.' },
    );
  }
  if (file !== undefined) return readPassphrase({ file });
  return ask ? readPassphrase({ prompt: 'New passphrase for the TPM', twice: true }) : undefined;
}

/** @throws Failure `cli.bad-value` */
function readPcrs(text: string | undefined): number[] {
  if (text === undefined) return [];
  const pcrs = text.split(',').map((each) => (/^\d{1,2}$/.test(each) ? Number(each) : -1));
  if (pcrs.every(isPcr)) return [...new Set(pcrs)].sort((a, b) => a - b);
  throw new Failure(
    'cli.bad-value',
    'operator',
    `--pcrs: expected numbers from 0 to 23, got ${JSON.stringify(text.slice(0, 40))}`,
    { action: 'Give a list such as 0,2,7.' },
  );
}

export const groupShow: Command = {
  name: 'group show',
  summary: 'show a group and how many devices it has',
  options: [GROUP_OPTION],
  async run(invocation) {
    const view = await showGroup(invocation.required('group'));
    const { name, vendor, basename, gid, created, devices, closed, issuerSecret } = view;
    invocation.print(view, () =>
      [
        `Name           ${name}`,
        ...(vendor === undefined ? [] : [`Vendor         ${vendor}`]),
        `Basename       ${basename}`,
        `Group (GID)    ${gid}`,
        `Created        ${created}`,
        `Devices        ${devices}${closed ? '; the batch is closed, and takes no more' : ''}`,
        `Issuer secret  ${issuerSecret}`,
      ].join('\n'),
    );
    return undefined;
  },
};
