import { toHex } from '../../protocol/bytes.ts';
import { isFailure } from '../../protocol/failure.ts';
import { basenameText } from '../../protocol/label.ts';
import { publicKeyPem } from '../../protocol/pem.ts';
import { optional, text } from './contract/input.ts';
import { operation, type ReadContext } from './contract/operation.ts';
import { groupView, LONGEST_LABEL, LONGEST_MAKER_KEY } from './groups.ts';
import { knockingOf, MOST_ATTEMPTS } from './knocking.ts';
import type { LabelView } from './views/groups.ts';

/**
 * Reads a label by its text, and changes nothing. `maker`: the public key (base64 of DER) of the maker that has to have signed it; without, it is compared with
 * those of the owner's rosters. @throws Failure `label.…`, `ecdaa.bad-group-key`, `factory.bad-maker-key`
 */
export const readLabel = operation<{ label: string; maker?: string | undefined }, LabelView, ReadContext>(
  'label-read',
  { label: text(LONGEST_LABEL), maker: optional(text(LONGEST_MAKER_KEY)) },
  async ({ registry }, input) => {
    const { openLabel } = await import('../labels/label.ts');
    const { signatureBy, signatureByKnown } = await import('../labels/signature.ts');
    const { label, gid } = openLabel(input.label);
    const signature =
      input.maker === undefined
        ? signatureByKnown(label, await registry.makerKeys())
        : signatureBy(label, publicKeyPem(input.maker));
    const group = await registry.group(toHex(gid)).catch((error: unknown) => {
      if (!isFailure(error, 'fabric.unknown-group')) throw error;
    });
    // What was refused before it was admitted proves nothing of an admitted one, and is over.
    const rows = group === undefined ? await registry.knocks(gid, MOST_ATTEMPTS) : [];
    return {
      gid: toHex(gid),
      name: label.name,
      vendor: label.vendor ?? null,
      basename: basenameText(label.basename),
      announced: label.count ?? null,
      box: label.box ?? null,
      hasClaim: label.claim !== undefined,
      signature: signature.kind,
      maker: signature.kind === 'good' ? toHex(signature.maker) : null,
      group: group === undefined ? null : groupView(group),
      knocking: await knockingOf(rows),
    };
  },
);
