import { decodeBase45, encodeBase45 } from './base45.ts';
import { ascii, concat, readU32, toHex, u32 } from './bytes.ts';
import { crc32 } from './crc32.ts';
import { GROUP_KEY_LENGTH, MAX_BASENAME_LENGTH } from './crypto/group.ts';
import { Failure } from './failure.ts';
import { hasUnprintable } from './text.ts';
import { decodeUtf8, encodeUtf8 } from './utf8.ts';
import { counted } from './words.ts';

/**
 * What a batch label says of a group of devices. The text of it is printed as a QR code and travels as a file
 * with the shipment.
 *
 *     "ENF1:" + base45 of
 *     45 4E          magic "EN"
 *     01             version
 *     flags          bit 0 claim, bit 1 vendor, bit 2 signature, bit 3 count, bit 4 box; the others are 0
 *     gpk            258 bytes
 *     len8 basename  1 to 64 raw bytes
 *     len8 name      UTF-8, 1 to 60 bytes
 *     [len8 vendor]  UTF-8, 1 to 255 bytes
 *     [claim]        16 bytes
 *     [count]        4 bytes, big endian, 1 to 10,000,000
 *     [box]          number, boxes, devices: 4 bytes each, big endian, 1 to 10,000,000
 *     [signature]    64 bytes
 *     crc32          IEEE, big endian, over everything before it
 */
export interface Label {
  /** Group public key, 258 bytes. Its points are not checked here: `checkGroupPublicKey`. */
  readonly gpk: Uint8Array;
  /** 1 to 64 raw bytes; with the gpk it gives the GID. */
  readonly basename: Uint8Array;
  /** What people call the batch, 1 to 60 bytes of UTF-8 that can be seen. */
  readonly name: string;
  readonly vendor?: string;
  /** 16 random bytes that only the holder of the label knows; the factory keeps their SHA-256. */
  readonly claim?: Uint8Array;
  /** How many devices the batch has, 1 to 10,000,000. Programs from before this field refuse a label that has it. */
  readonly count?: number;
  /** Of which box this is the label. Programs from before this field refuse a label that has it. */
  readonly box?: LabelBox;
  /** Ed25519 by a manufacturer's key, 64 bytes, over the bytes from the magic up to here. */
  readonly signature?: Uint8Array;
}

/** One box of a batch; all three are 1 to 10,000,000. */
export interface LabelBox {
  /** From 1, at most `boxes`. */
  readonly number: number;
  readonly boxes: number;
  /** How many devices are in it. */
  readonly devices: number;
}

export const MAX_LABEL_TEXT = 4096;
export const CLAIM_LENGTH = 16;
/** More devices than anybody makes in one batch. */
export const MAX_COUNT = 10_000_000;

const MAX_NAME = 60;
const MAX_VENDOR = 255;
const SIGNATURE_LENGTH = 64;
const CRC_LENGTH = 4;
const MAGIC = ascii('EN');
const VERSION = 1;
const FLAG = { claim: 1, vendor: 2, signature: 4, count: 8, box: 16 } as const;
const ALL_FLAGS = FLAG.claim | FLAG.vendor | FLAG.signature | FLAG.count | FLAG.box;
const COUNT_LENGTH = 4;

/** An opaque text, or the fragment of any https address: a fragment never reaches a server's log. */
const TEXT = /^(?:https:\/\/[!-"$-~]{1,1024}#)?ENF1:([0-9A-Z $%*+\-./:]+)$/;

/**
 * The text of a label, `ENF1:` and base45.
 * @throws Failure `label.bad-key`, `label.bad-basename`, `label.bad-name`, `label.bad-count`, `label.bad-box`, `label.bad-length` for a value outside its bounds
 */
export function encodeLabel(label: Label): string {
  const { signature } = label;
  checkLength('signature', signature, SIGNATURE_LENGTH);
  const body = unsignedBody(label, signature !== undefined);
  return sealed(signature === undefined ? body : concat(body, signature));
}

/**
 * The text of a label with a manufacturer's signature, in place of the one that it may have. `sign` gives Ed25519 over a message, 64 bytes.
 * @throws Failure those of `encodeLabel` and of `sign`
 */
export async function signLabel(
  label: Label,
  sign: (message: Uint8Array) => Promise<Uint8Array>,
): Promise<string> {
  return encodeLabel({ ...label, signature: await sign(unsignedBody(label, true)) });
}

/** What the manufacturer has signed of a label, and the signature; undefined if it has none. @throws Failure those of `encodeLabel` */
export function signedPart(
  label: Label,
): { readonly message: Uint8Array; readonly signature: Uint8Array } | undefined {
  const { signature } = label;
  return signature && { message: unsignedBody(label, true), signature };
}

/** From the magic to what is before the signature. */
function unsignedBody(
  { gpk, basename, name, vendor, claim, count, box }: Label,
  signed: boolean,
): Uint8Array {
  if (gpk.length !== GROUP_KEY_LENGTH) throw badKey(gpk.length);
  checkBasename(basename);
  checkName('name', name, MAX_NAME);
  if (vendor !== undefined) checkName('vendor', vendor, MAX_VENDOR);
  checkLength('claim secret', claim, CLAIM_LENGTH);
  if (count !== undefined) checkCount(count);
  if (box !== undefined) checkBox(box, count);
  const flags =
    (claim ? FLAG.claim : 0) |
    (vendor === undefined ? 0 : FLAG.vendor) |
    (signed ? FLAG.signature : 0) |
    (count === undefined ? 0 : FLAG.count) |
    (box === undefined ? 0 : FLAG.box);
  return concat(
    MAGIC,
    Uint8Array.of(VERSION, flags),
    gpk,
    lengthPrefixed(basename),
    lengthPrefixed(encodeUtf8(name)),
    vendor === undefined ? new Uint8Array() : lengthPrefixed(encodeUtf8(vendor)),
    claim ?? new Uint8Array(),
    count === undefined ? new Uint8Array() : u32(count),
    ...(box === undefined ? [] : [u32(box.number), u32(box.boxes), u32(box.devices)]),
  );
}

const sealed = (body: Uint8Array): string => `ENF1:${encodeBase45(concat(body, u32(crc32(body))))}`;

/**
 * Reads the text of a label, with an optional `https://…#` before it; no white space around it. Never trusts a
 * length and accepts no second spelling: what it accepts encodes to the same text. The group key's points and
 * the manufacturer's signature are for the caller to check.
 * @throws Failure `label.too-long`, `label.bad-text`, `label.bad-checksum`, `label.unknown-version`,
 *   `label.unknown-flags`, `label.bad-length`, `label.bad-basename`, `label.bad-name`, `label.bad-count`, `label.bad-box`
 */
export function parseLabel(text: string): Label {
  if (text.length > MAX_LABEL_TEXT) {
    throw new Failure(
      'label.too-long',
      'operator',
      `a label has at most ${MAX_LABEL_TEXT} characters, got ${text.length}`,
      { action: 'Check that this is the text of one label.' },
    );
  }
  const encoded = TEXT.exec(text)?.[1];
  if (encoded === undefined) {
    throw new Failure(
      'label.bad-text',
      'operator',
      `expected a label (ENF1: and base45 text), got text of ${text.length} characters that is none`,
      { action: 'Give the whole text of the label, or scan its code again.' },
    );
  }
  const bytes = decodeBase45(encoded);
  if (bytes === undefined || bytes.length < MAGIC.length + 2 + CRC_LENGTH) throw damaged();
  const body = bytes.subarray(0, -CRC_LENGTH);
  if (crc32(body) !== readU32(bytes, body.length) || body[0] !== MAGIC[0] || body[1] !== MAGIC[1])
    throw damaged();
  return parseBody(body);
}

function parseBody(body: Uint8Array): Label {
  const version = body[2]!;
  if (version !== VERSION) {
    throw new Failure(
      'label.unknown-version',
      'operator',
      `label version ${version} is unknown, expected ${VERSION}`,
      { action: 'Update this program, it is older than the label.' },
    );
  }
  const flags = body[3]!;
  if ((flags & ~ALL_FLAGS) !== 0) {
    throw new Failure(
      'label.unknown-flags',
      'operator',
      `label flags 0x${flags.toString(16)} are unknown, expected at most 0x${ALL_FLAGS.toString(16)}`,
      { action: 'Update this program, it is older than the label.' },
    );
  }
  let offset = MAGIC.length + 2;
  const take = (what: string, length: number): Uint8Array => {
    const left = body.length - offset;
    if (length > left) throw badLength(`${what} needs ${length} bytes, ${left} are left`);
    offset += length;
    return body.slice(offset - length, offset);
  };
  const takeString = (what: string): Uint8Array => take(what, take(`length of the ${what}`, 1)[0]!);
  const gpk = take('group public key', GROUP_KEY_LENGTH);
  const basename = takeString('basename');
  checkBasename(basename);
  const name = readName('name', takeString('name'), MAX_NAME);
  const vendor = flags & FLAG.vendor ? readName('vendor', takeString('vendor'), MAX_VENDOR) : undefined;
  const claim = flags & FLAG.claim ? take('claim secret', CLAIM_LENGTH) : undefined;
  const takeNumber = (what: string): number => readU32(take(what, COUNT_LENGTH), 0);
  const count = flags & FLAG.count ? takeNumber('count') : undefined;
  if (count !== undefined) checkCount(count);
  const box =
    flags & FLAG.box
      ? {
          number: takeNumber('box'),
          boxes: takeNumber('number of boxes'),
          devices: takeNumber('size of the box'),
        }
      : undefined;
  if (box !== undefined) checkBox(box, count);
  const signature = flags & FLAG.signature ? take('signature', SIGNATURE_LENGTH) : undefined;
  if (offset !== body.length)
    throw badLength(`${body.length - offset} bytes are left over behind the last field`);
  return {
    gpk,
    basename,
    name,
    ...(vendor === undefined ? {} : { vendor }),
    ...(claim === undefined ? {} : { claim }),
    ...(count === undefined ? {} : { count }),
    ...(box === undefined ? {} : { box }),
    ...(signature === undefined ? {} : { signature }),
  };
}

/** A basename as people type it: printable ASCII, or its hex behind `0x`, also of a text that begins with that. */
export function basenameText(basename: Uint8Array): string {
  const text = String.fromCharCode(...basename);
  return /^(?!0x)[\x20-\x7e]+$/.test(text) ? text : `0x${toHex(basename)}`;
}

/** @throws Failure `label.bad-basename` unless it has 1 to 64 bytes */
export function checkBasename(basename: Uint8Array): void {
  if (basename.length >= 1 && basename.length <= MAX_BASENAME_LENGTH) return;
  throw new Failure(
    'label.bad-basename',
    'operator',
    `a basename has 1 to ${MAX_BASENAME_LENGTH} bytes, got ${basename.length}`,
    { action: `Choose a basename of 1 to ${MAX_BASENAME_LENGTH} bytes.` },
  );
}

/** @throws Failure `label.bad-count` unless it is 1 to 10,000,000 */
function checkCount(count: number): void {
  if (isCount(count)) return;
  throw new Failure(
    'label.bad-count',
    'operator',
    `a label says 1 to ${MAX_COUNT} as the number of its devices, got ${count}`,
    { action: 'Give the number of devices of the batch, or leave it out.' },
  );
}

const isCount = (count: number): boolean => Number.isInteger(count) && count >= 1 && count <= MAX_COUNT;

/** @throws Failure `label.bad-box` for a box that a batch of `count` devices cannot have */
function checkBox({ number, boxes, devices }: LabelBox, count: number | undefined): void {
  const isBox = [number, boxes, devices].every(isCount) && number <= boxes;
  if (isBox && (count === undefined || (devices <= count && boxes <= count))) return;
  throw new Failure(
    'label.bad-box',
    'operator',
    `there is no box ${number} of ${boxes} with ${counted(devices, 'device')}${count === undefined ? '' : ` in a batch of ${count}`}`,
    { action: 'Draw the labels of the boxes again: "enf-factory batch labels".' },
  );
}

function readName(what: string, bytes: Uint8Array, limit: number): string {
  const text = decodeUtf8(bytes);
  if (text === undefined) throw badName(what, limit, 'bytes that are not UTF-8');
  checkName(what, text, limit);
  return text;
}

function checkName(what: string, text: string, limit: number): void {
  const bytes = encodeUtf8(text);
  if (bytes.length < 1 || bytes.length > limit) throw badName(what, limit, `${bytes.length} bytes`);
  if (hasUnprintable(text)) throw badName(what, limit, 'characters that cannot be seen');
}

function badName(what: string, limit: number, got: string): Failure {
  return new Failure(
    'label.bad-name',
    'operator',
    `the ${what} on a label has 1 to ${limit} bytes of UTF-8 that can be seen, got ${got}`,
    { action: `Choose another ${what}.` },
  );
}

function badKey(length: number): Failure {
  return new Failure(
    'label.bad-key',
    'operator',
    `a group public key has ${GROUP_KEY_LENGTH} bytes, got ${length}`,
    { action: `Give the file with the ${GROUP_KEY_LENGTH} bytes of the group public key.` },
  );
}

function badLength(what: string): Failure {
  return new Failure('label.bad-length', 'operator', `the lengths of the label's fields are wrong: ${what}`, {
    action: 'Ask the manufacturer for a correct label.',
  });
}

function checkLength(what: string, bytes: Uint8Array | undefined, expected: number): void {
  if (bytes !== undefined && bytes.length !== expected)
    throw badLength(`the ${what} has ${expected} bytes, got ${bytes.length}`);
}

function damaged(): Failure {
  return new Failure(
    'label.bad-checksum',
    'operator',
    'the label is damaged or incomplete: its checksum is wrong',
    { action: 'Scan it again, or copy its whole text.' },
  );
}

function lengthPrefixed(bytes: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(bytes.length), bytes);
}
