import { createFile } from '../os/files/create.ts';
import { readBounded, readExact } from '../os/files/read.ts';
import { explainNotPermitted } from '../os/linux/tpm-device.ts';
import { wipe } from '../protocol/bytes.ts';
import { GROUP_KEY_LENGTH } from '../protocol/crypto/group.ts';
import { parseTrust, type Trust } from '../protocol/identity/trust.ts';
import { basenameText } from '../protocol/label.ts';
import { decodeUtf8 } from '../protocol/utf8.ts';
import { DEFAULT_TCTI, openTpm, type Tpm } from '../tpm/context.ts';
import { probe } from '../tpm/probe.ts';
import { withJournal } from './batch/journal.ts';
import { countDevices, type Marks } from './batch/record.ts';
import type { Row } from './batch/row.ts';
import { type EndorsementPolicy, readAuthorities, readCertificateFile } from './device/endorsement.ts';
import { type Personalisation, type Personalised, personaliseTpm } from './device/personalise.ts';
import { personaliseSoftware } from './device/software.ts';
import {
  type Group,
  type GroupRequest,
  ISSUER_PUBLIC_LENGTH,
  ISSUER_SECRET_LENGTH,
  type IssuerStorage,
  importGroup,
  issuerSecretStorage,
  labelSaying,
  openGroup,
  readLabelText,
  unlockIssuer,
} from './group/group.ts';
import { inspectTpm } from './inspect/chip.ts';
import { type Inspection, inspectFile, inspectFolder } from './inspect/inspect.ts';
import { describeGroup, drawPng, drawSvg } from './label/label.ts';
import { levelFor, type QrCode, qrCode } from './label/qr.ts';
import { type LabelSigner, signing } from './maker/maker.ts';

/*
 * What an operator can do at the station, without a terminal: a command line parses its arguments and prints the result. `createGroup`
 * of group.ts is one more.
 */

/** The files of an issuer that the C `ecdaa` tool has made. */
export interface IssuerFiles {
  readonly ipk: string;
  readonly isk: string;
  /** Only to be compared: the issuer's public key contains it. */
  readonly gpk?: string | undefined;
}

/** Makes a group of the files of the C `ecdaa` tool. @throws Failure those of `importGroup` and of reading files */
export async function importGroupFiles(
  request: GroupRequest,
  { ipk, isk, gpk }: IssuerFiles,
): Promise<Group> {
  const secret = await readExact(isk, 'issuer secret key', ISSUER_SECRET_LENGTH);
  try {
    return await importGroup(request, {
      secret,
      publicKey: await readExact(ipk, 'issuer public key', ISSUER_PUBLIC_LENGTH),
      gpk: gpk === undefined ? undefined : await readExact(gpk, 'group public key', GROUP_KEY_LENGTH),
    });
  } finally {
    wipe(secret);
  }
}

/** What `group show` prints as JSON. */
export interface GroupView {
  readonly name: string;
  readonly vendor: string | undefined;
  readonly basename: string;
  readonly gid: string;
  readonly created: string;
  readonly devices: number;
  /** It takes no more devices. */
  readonly closed: boolean;
  readonly issuerSecret: IssuerStorage;
}

/** @throws Failure those of `openGroup` */
export async function showGroup(folder: string): Promise<GroupView> {
  const group = await openGroup(folder);
  const { name, vendor, gid, created } = group;
  return {
    name,
    vendor,
    basename: basenameText(group.basename),
    gid,
    created,
    ...(await withJournal(group, async ({ tally, closed }) => ({ devices: tally.passed, closed }))),
    issuerSecret: await issuerSecretStorage(group),
  };
}

/** What both ways to personalise a device need. */
interface DeviceRequest {
  readonly group: Group;
  readonly trust: Trust;
  readonly marks?: Marks;
  /** Called only if the issuer's secret key is needed and encrypted, or in a TPM that wants it. */
  readonly passphrase: () => Promise<Uint8Array>;
  /** The TPM that holds the issuer's secret key, where one does. */
  readonly stationTpm?: string | undefined;
  readonly progress: (step: string) => void;
}

/** Makes the TPM at `tcti`, or this machine's, a member of the group. @throws Failure those of `personaliseTpm`, `tpm.…` */
export async function personaliseTpmAt(
  tcti: string | undefined,
  request: DeviceRequest &
    Pick<Personalisation, 'placement' | 'hierarchyAuth' | 'endorsement' | 'recordEk' | 'allowSealed'>,
): Promise<Personalised> {
  const { group, passphrase, stationTpm, ...rest } = request;
  return withTpm(tcti, async (tpm) =>
    personaliseTpm({
      ...rest,
      group,
      tpm,
      capabilities: await probe(tpm),
      issuerSecret: () => unlockOpenBatch(group, passphrase, stationTpm),
    }),
  );
}

/** What a station asks of a chip's endorsement key, from files. @throws Failure those of `readAuthorities` and `readCertificateFile` */
export async function endorsementPolicy(files: {
  readonly roots?: string | undefined;
  readonly certificate?: string | undefined;
  readonly required: boolean;
}): Promise<EndorsementPolicy> {
  const { roots, certificate, required } = files;
  return {
    authorities: roots === undefined ? [] : await readAuthorities(roots),
    certificate: certificate === undefined ? undefined : await readCertificateFile(certificate),
    required,
  };
}

/** Writes a credential with its key into a new folder. @throws Failure those of `personaliseSoftware` */
export async function personaliseFolder(folder: string, request: DeviceRequest): Promise<Row> {
  const { passphrase, stationTpm, ...rest } = request;
  return personaliseSoftware({
    ...rest,
    folder,
    issuerSecret: await unlockOpenBatch(rest.group, passphrase, stationTpm),
  });
}

/**
 * The issuer's secret key (64 bytes, which the caller wipes) of a batch that takes devices.
 * @throws Failure `factory.batch-closed`, those of `unlockIssuer`
 */
export async function unlockOpenBatch(
  group: Group,
  passphrase: () => Promise<Uint8Array>,
  stationTpm?: string,
): Promise<Uint8Array> {
  await withJournal(group, async (journal) => journal.requireOpen());
  return unlockIssuer(group, passphrase, stationTpm);
}

/** The trust bundle in a file. @throws Failure `trust.bad-bundle`, and those of reading files */
export async function readTrust(path: string): Promise<Trust> {
  return parseTrust(decodeUtf8(await readBounded(path, 'trust bundle')) ?? '');
}

export interface DrawnLabel {
  readonly group: Group;
  readonly devices: number;
  /** As it is printed. */
  readonly code: QrCode;
  /** As a terminal shows it. */
  readonly screen: QrCode;
  /** The lines beside the code. */
  readonly text: readonly string[];
}

/**
 * Draws the label of a group, `widthMm` wide, and writes the files that are named; an existing one is never overwritten. With `count` it says how many
 * devices the batch has, which fabrics from before that refuse; with `signer` it has the maker's signature.
 * @throws Failure those of `readLabelText`, `labelSaying`, `signing`, `qrCode`, `dotsPerModule` and `createFile`
 */
export async function drawLabel(
  folder: string,
  widthMm: number,
  wanted: {
    readonly svg?: string | undefined;
    readonly png?: string | undefined;
    readonly count?: number | undefined;
    readonly signer?: LabelSigner | undefined;
  },
): Promise<DrawnLabel> {
  const { count, signer, ...files } = wanted;
  const group = await openGroup(folder);
  const given = await readLabelText(group);
  const says = count === undefined ? {} : { count };
  const content = await signing(signer, (sign) => labelSaying(given, says, sign));
  const code = qrCode(content, levelFor(widthMm));
  // Nothing soils a screen, and 80 columns are enough then.
  const screen = qrCode(content, 'L');
  const devices = await countDevices(group);
  const text = describeGroup(group, count ?? devices);
  // Anyone who reads the code can admit the devices: these files are as secret as label.txt.
  if (files.svg !== undefined) await createFile(files.svg, drawSvg(code, widthMm, text));
  if (files.png !== undefined) await createFile(files.png, drawPng(code, widthMm));
  return { group, devices, code, screen, text };
}

/** `makerKey`: the public key (PEM) with which labels have to be signed. */
export type InspectionTarget =
  | { readonly file: string; readonly makerKey?: string | undefined }
  | { readonly folder: string; readonly makerKey?: string | undefined }
  /** Undefined: this machine's TPM. */
  | { readonly tcti: string | undefined };

/** Reports what a TPM, a file or a folder holds, and what is wrong with it. @throws Failure if it cannot be read */
export async function inspectTarget(target: InspectionTarget): Promise<Inspection> {
  if ('file' in target) return inspectFile(target.file, target.makerKey);
  if ('folder' in target) return inspectFolder(target.folder, target.makerKey);
  return withTpm(target.tcti, inspectTpm);
}

/** How a TPM is reached that is named as a device, or by its TCTI. */
export const tctiOf = (text: string): string => (text.startsWith('/') ? `device:${text}` : text);

/** Opens a TPM for `use` and closes it. @throws Failure `tpm.…` */
export async function withTpm<T>(given = DEFAULT_TCTI, use: (tpm: Tpm) => Promise<T>): Promise<T> {
  const tcti = tctiOf(given);
  const tpm = await explainNotPermitted(tcti, () => openTpm(tcti));
  try {
    return await use(tpm);
  } finally {
    await tpm.close();
  }
}
