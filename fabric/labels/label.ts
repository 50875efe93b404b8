import { primitives } from '../../crypto/primitives.ts';
import { readBounded } from '../../os/files/read.ts';
import { checkGroupPublicKey, groupId } from '../../protocol/crypto/group.ts';
import { Failure } from '../../protocol/failure.ts';
import { type Label, MAX_LABEL_TEXT, parseLabel } from '../../protocol/label.ts';
import { decodeUtf8 } from '../../protocol/utf8.ts';
import { isPicture } from './picture.ts';
import { readQrCode } from './picture-process.ts';

const LARGEST_PICTURE = 33_554_432;
/** A file with the text of a label may have lines around it. */
const LARGEST_TEXT = 65_536;

/**
 * The text of a label, which is given as that text (`ENF1:…`, or an https address that ends in it), a picture of it
 * (PNG, JPEG), or a file with the text.
 * @throws Failure `label.…`, `os.no-file`, `os.not-readable`, `os.file-too-large`
 */
export async function readLabelText(given: string): Promise<string> {
  return labelText(await findText(given));
}

async function findText(given: string): Promise<string> {
  if (/^\s*(https:.*#)?ENF1:/.test(given)) return given;
  const bytes = await readBounded(given, 'label', LARGEST_PICTURE);
  if (isPicture(bytes) || /\.(png|jpe?g)$/i.test(given)) return readQrCode(bytes, given);
  const text = bytes.length > LARGEST_TEXT ? undefined : decodeUtf8(bytes);
  if (text !== undefined) return text;
  throw new Failure('label.not-a-picture', 'operator', `${given} is neither a PNG or JPEG picture nor text`, {
    action: 'Save the picture as PNG or JPEG, or give the text that came with the shipment.',
  });
}

/**
 * The text of a label without what mail programs and browsers add to it: a byte order mark, white space around it, line
 * breaks, `%20` for a space. A space and `%20` may also be a label's own: the spelling that is changed least and has a right checksum counts.
 * @throws Failure those of `parseLabel` for the text without white space around it
 */
export function labelText(given: string): string {
  if (given.length > LARGEST_TEXT) return parsed(given);
  const line = given.replace(/^\ufeff/, '').replace(/[\r\n\t]/g, '');
  const trimmed = line.trim();
  const unescaped = trimmed.replaceAll('%20', ' ');
  const right = [line, trimmed, unescaped].find((text) => text.length <= MAX_LABEL_TEXT && isLabel(text));
  return right ?? parsed(trimmed);
}

function parsed(text: string): string {
  parseLabel(text);
  return text;
}

function isLabel(text: string): boolean {
  try {
    parseLabel(text);
    return true;
  } catch (error) {
    if (error instanceof Failure) return false;
    throw error;
  }
}

/**
 * The label with this text. The group key's points are validated here, whoever wrote the label.
 * @throws Failure `label.…`, `ecdaa.bad-group-key`
 */
export function openLabel(text: string): { label: Label; gid: Uint8Array; claimHash?: Uint8Array } {
  const label = parseLabel(labelText(text));
  checkGroupPublicKey(label.gpk);
  const gid = groupId(primitives, label.gpk, label.basename);
  return { label, gid, ...(label.claim === undefined ? {} : { claimHash: primitives.sha256(label.claim) }) };
}
