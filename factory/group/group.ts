import { primitives } from '../../crypto/primitives.ts';
import { openSecret, sealSecret } from '../../crypto/sealed.ts';
import { createFolder } from '../../os/files/create.ts';
import { readBounded, readExact, readIfThere } from '../../os/files/read.ts';
import { equal, fromHex, toHex, wipe } from '../../protocol/bytes.ts';
import { groupId } from '../../protocol/crypto/group.ts';
import {
  checkIssuerPublicKey,
  checkIssuerSecret,
  generateIssuer,
  groupPublicKey,
} from '../../protocol/crypto/issuer.ts';
import { Failure } from '../../protocol/failure.ts';
import {
  CLAIM_LENGTH,
  checkBasename,
  encodeLabel,
  type Label,
  parseLabel,
  signLabel,
} from '../../protocol/label.ts';
import { decodeUtf8 } from '../../protocol/utf8.ts';
import { openIssuer, parseIssuerInTpm } from './issuer-tpm.ts';

/** The files of a group's folder; keys as the C `ecdaa` tool writes them (ecdaa.md §3, §8). */
export const GROUP_FILE = {
  issuerPublicKey: 'ipk.bin',
  issuerSecret: 'isk.bin',
  sealedIssuerSecret: 'isk.enc',
  /** Opened by the station's TPM alone. */
  issuerInTpm: 'isk.tpm',
  groupPublicKey: 'daa_gpk.bin',
  basename: 'basename.bin',
  description: 'group.json',
  label: 'label.txt',
  /** One line for each thing that happened to a device. */
  journal: 'journal.jsonl',
  /** Folder; there once the batch is closed. */
  manifest: 'manifest',
  tokens: 'tokens.json',
} as const;

export const ISSUER_SECRET_LENGTH = 64;
export const ISSUER_PUBLIC_LENGTH = 354;

const FORMAT = 'enf-group-1';

/** A group as its folder describes it, without secrets. */
export interface Group {
  readonly folder: string;
  readonly name: string;
  readonly vendor?: string;
  readonly basename: Uint8Array;
  /** 258 bytes. */
  readonly gpk: Uint8Array;
  /** 32 bytes, lower-case hex. */
  readonly gid: string;
  /** ISO 8601, UTC. */
  readonly created: string;
  /** SHA-256 of the label's claim secret, hex. */
  readonly claimHash: string;
}

/** What is said of a new group. */
export interface GroupRequest {
  readonly folder: string;
  readonly name: string;
  readonly vendor?: string | undefined;
  /** 1 to 64 bytes. */
  readonly basename: Uint8Array;
  /** Encrypts the issuer's secret key; without it only the file's mode protects that. */
  readonly passphrase?: Uint8Array | undefined;
}

/** The keys of a group's issuer: 64 and 354 bytes. */
export interface Issuer {
  readonly secret: Uint8Array;
  readonly publicKey: Uint8Array;
}

/**
 * Creates a group: issuer keys, GID and label in a new folder.
 * @throws Failure `os.exists` if the folder has content, `label.bad-name`, `label.bad-basename`
 */
export async function createGroup(request: GroupRequest): Promise<Group> {
  checkBasename(request.basename);
  const issuer = generateIssuer(primitives);
  try {
    return await writeGroup(request, issuer);
  } finally {
    wipe(issuer.secret);
  }
}

/** The keys of a group that the C `ecdaa` tool has made, as its files hold them. */
export interface ForeignKeys extends Issuer {
  /** 258 bytes, which must be those in the issuer's public key. */
  readonly gpk?: Uint8Array | undefined;
}

/**
 * Makes a group's folder around issuer keys that exist already: their devices stay members of it.
 * @throws Failure `ecdaa.bad-issuer-key`, `ecdaa.bad-issuer-secret`, `factory.foreign-key`, and those of `createGroup`
 */
export async function importGroup(
  request: GroupRequest,
  { secret, publicKey, gpk }: ForeignKeys,
): Promise<Group> {
  checkBasename(request.basename);
  checkIssuerPublicKey(primitives, publicKey);
  const contained = groupPublicKey(publicKey);
  if (gpk !== undefined && !equal(gpk, contained)) {
    throw new Failure(
      'factory.foreign-key',
      'operator',
      "the group public key is not the one in the issuer's public key",
      {
        action:
          'Give the files of one group: "ecdaa extractgpk" makes the group public key of an issuer public key.',
      },
    );
  }
  checkIssuerSecret(secret, contained);
  return writeGroup(request, { secret, publicKey });
}

async function writeGroup(request: GroupRequest, issuer: Issuer): Promise<Group> {
  const { folder, name, vendor, basename, passphrase } = request;
  const claim = primitives.random(CLAIM_LENGTH);
  try {
    const gpk = groupPublicKey(issuer.publicKey);
    const label: Label = { gpk, basename, name, claim, ...(vendor === undefined ? {} : { vendor }) };
    const description = {
      format: FORMAT,
      name,
      ...(vendor === undefined ? {} : { vendor }),
      gid: toHex(groupId(primitives, gpk, basename)),
      created: new Date().toISOString(),
      claimHash: toHex(primitives.sha256(claim)),
    };
    const secret = passphrase
      ? { name: GROUP_FILE.sealedIssuerSecret, content: await sealSecret(issuer.secret, passphrase) }
      : { name: GROUP_FILE.issuerSecret, content: issuer.secret };
    await createFolder(folder, [
      { name: GROUP_FILE.label, content: encodeLabel(label) },
      secret,
      { name: GROUP_FILE.issuerPublicKey, content: issuer.publicKey, mode: 0o644 },
      { name: GROUP_FILE.groupPublicKey, content: gpk, mode: 0o644 },
      { name: GROUP_FILE.basename, content: basename, mode: 0o644 },
      { name: GROUP_FILE.description, content: `${JSON.stringify(description, null, 2)}\n`, mode: 0o644 },
    ]);
    return await openGroup(folder);
  } finally {
    wipe(claim);
  }
}

/**
 * Reads a group's folder and checks that its files belong together; needs no secret.
 * @throws Failure `factory.bad-group`, and those of reading files
 */
export async function openGroup(folder: string): Promise<Group> {
  const file = (name: string): string => `${folder}/${name}`;
  const description = parseDescription(
    file(GROUP_FILE.description),
    await readBounded(file(GROUP_FILE.description), 'group description'),
  );
  const ipk = await readExact(file(GROUP_FILE.issuerPublicKey), 'issuer public key', ISSUER_PUBLIC_LENGTH);
  const basename = await readBounded(file(GROUP_FILE.basename), 'basename', 64);
  checkIssuerPublicKey(primitives, ipk);
  const gpk = groupPublicKey(ipk);
  const computed = toHex(groupId(primitives, gpk, basename));
  if (computed !== description.gid) {
    throw badGroup(
      file(GROUP_FILE.description),
      `it names the group ${description.gid}, but ipk.bin and basename.bin belong to the group ${computed}`,
    );
  }
  return { folder, basename, gpk, ...description };
}

function parseDescription(
  path: string,
  bytes: Uint8Array,
): Pick<Group, 'name' | 'vendor' | 'gid' | 'created' | 'claimHash'> {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(decodeUtf8(bytes) ?? '') as Record<string, unknown>;
  } catch (error) {
    throw badGroup(path, 'it is not JSON', error);
  }
  if (fields?.format !== FORMAT) throw badGroup(path, `its "format" is not "${FORMAT}"`);
  const text = (name: string, pattern: RegExp): string => {
    const value = fields[name];
    if (typeof value !== 'string' || !pattern.test(value))
      throw badGroup(path, `its "${name}" is missing or malformed`);
    return value;
  };
  const vendor = fields.vendor === undefined ? undefined : text('vendor', /^.{1,255}$/u);
  return {
    name: text('name', /^.{1,60}$/u),
    ...(vendor === undefined ? {} : { vendor }),
    gid: text('gid', /^[0-9a-f]{64}$/),
    created: text('created', /^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    claimHash: text('claimHash', /^[0-9a-f]{64}$/),
  };
}

/** `tpm`: sealed in the station's TPM; `encrypted`: under a passphrase. */
export type IssuerStorage = 'plain' | 'encrypted' | 'tpm' | 'absent';

/** How the issuer's secret key is stored in the folder. */
export async function issuerSecretStorage(group: Group): Promise<IssuerStorage> {
  const has = async (name: string): Promise<boolean> =>
    (await readIfThere(`${group.folder}/${name}`, 'issuer secret key')) !== undefined;
  if (await has(GROUP_FILE.issuerInTpm)) return 'tpm';
  if (await has(GROUP_FILE.issuerSecret)) return 'plain';
  return (await has(GROUP_FILE.sealedIssuerSecret)) ? 'encrypted' : 'absent';
}

/**
 * The issuer's secret key, 64 bytes; the caller wipes it. `passphrase` is only called for an encrypted one, or one in a TPM that wants it;
 * `stationTpm` is that TPM's connection, this machine's if it is left out.
 * @throws Failure `factory.no-issuer-secret`, `os.wrong-passphrase`, `os.bad-container`, `os.bad-length`, those of `openIssuer`
 */
export async function unlockIssuer(
  group: Group,
  passphrase: () => Promise<Uint8Array>,
  stationTpm?: string,
): Promise<Uint8Array> {
  const file = (name: string): string => `${group.folder}/${name}`;
  const storage = await issuerSecretStorage(group);
  if (storage === 'plain')
    return readExact(file(GROUP_FILE.issuerSecret), 'issuer secret key', ISSUER_SECRET_LENGTH);
  if (storage === 'absent') {
    throw new Failure(
      'factory.no-issuer-secret',
      'operator',
      `${group.folder} has none of ${GROUP_FILE.issuerSecret}, ${GROUP_FILE.sealedIssuerSecret} and ${GROUP_FILE.issuerInTpm}`,
      { action: 'Restore isk.bin or isk.enc from where you keep the issuer secret key.' },
    );
  }
  if (storage === 'tpm') {
    const sealed = parseIssuerInTpm(
      await readBounded(file(GROUP_FILE.issuerInTpm), 'sealed issuer secret key'),
    );
    return requireLength(file(GROUP_FILE.issuerInTpm), await openIssuer(stationTpm, sealed, passphrase));
  }
  const container = await readBounded(file(GROUP_FILE.sealedIssuerSecret), 'encrypted issuer secret key');
  const typed = await passphrase();
  try {
    return requireLength(file(GROUP_FILE.sealedIssuerSecret), await openSecret(container, typed));
  } finally {
    wipe(typed);
  }
}

function requireLength(path: string, secret: Uint8Array): Uint8Array {
  if (secret.length === ISSUER_SECRET_LENGTH) return secret;
  wipe(secret);
  throw badGroup(path, `it holds ${secret.length} bytes, expected ${ISSUER_SECRET_LENGTH}`);
}

/**
 * The text of the group's label, checked against the group.
 * @throws Failure `factory.bad-group` if it is another group's, `label.*`
 */
export async function readLabelText(group: Group): Promise<string> {
  const path = `${group.folder}/${GROUP_FILE.label}`;
  const text = (decodeUtf8(await readBounded(path, 'label')) ?? '').trimEnd();
  const label = parseLabel(text);
  const matches =
    equal(label.gpk, group.gpk) &&
    equal(label.basename, group.basename) &&
    label.claim !== undefined &&
    equal(primitives.sha256(label.claim), fromHex(group.claimHash));
  if (!matches) throw badGroup(path, 'it is the label of another group or holds another claim secret');
  return text;
}

function badGroup(path: string, why: string, cause?: unknown): Failure {
  return new Failure('factory.bad-group', 'operator', `${path} does not belong to its group: ${why}`, {
    action:
      'Restore the folder that "enf-factory group create" made from a backup; do not mix files of two groups.',
    cause,
  });
}

/**
 * The same label, which says more. With `sign` (Ed25519 over a message, 64 bytes) it is signed, in place of the signature that it may have had.
 * @throws Failure `label.bad-count`, `label.bad-box`, `factory.label-signed`, those of `sign`
 */
export async function labelSaying(
  text: string,
  says: Pick<Label, 'count' | 'box'>,
  sign?: (message: Uint8Array) => Promise<Uint8Array>,
): Promise<string> {
  const label = parseLabel(text);
  const saying = { ...label, ...says };
  if (sign !== undefined) return signLabel(saying, sign);
  const encoded = encodeLabel(saying);
  if (label.signature !== undefined && encoded !== encodeLabel(label)) {
    throw new Failure(
      'factory.label-signed',
      'operator',
      'the label is signed, and the number of devices would be under its signature',
      { action: 'Sign it again with --maker, or leave --count out.' },
    );
  }
  return encoded;
}
