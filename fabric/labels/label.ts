import { primitives } from '../../crypto/primitives.ts';
import { readBounded } from '../../os/files/read.ts';
import { checkGroupPublicKey, groupId } from '../../protocol/crypto/group.ts';
import { type Label, parseLabel } from '../../protocol/label.ts';
import { readQrCode } from './qr.ts';

const LARGEST_PICTURE = 33_554_432;

/**
 * The text of a label, which is given as that text (`ENF1:…`, or an https address that ends in it), a picture of it
 * (.png, .jpg), or a file with the text.
 * @throws Failure `label.…`, `os.no-file`, `os.not-readable`, `os.file-too-large`
 */
export async function readLabelText(given: string): Promise<string> {
  const text = await findText(given);
  parseLabel(text);
  return text;
}

async function findText(given: string): Promise<string> {
  if (/^(https:.*#)?ENF1:/.test(given)) return given;
  if (/\.(png|jpe?g)$/i.test(given)) {
    return readQrCode(await readBounded(given, 'label picture', LARGEST_PICTURE), given);
  }
  const bytes = await readBounded(given, 'label text');
  return new TextDecoder().decode(bytes).trim();
}

/**
 * The label with this text. The group key's points are validated here, whoever wrote the label.
 * @throws Failure `label.…`, `ecdaa.bad-group-key`
 */
export function openLabel(text: string): { label: Label; gid: Uint8Array; claimHash?: Uint8Array } {
  const label = parseLabel(text);
  checkGroupPublicKey(label.gpk);
  const gid = groupId(primitives, label.gpk, label.basename);
  return { label, gid, ...(label.claim === undefined ? {} : { claimHash: primitives.sha256(label.claim) }) };
}
