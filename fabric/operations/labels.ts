import { toHex } from '../../protocol/bytes.ts';
import { isFailure } from '../../protocol/failure.ts';
import { basenameText } from '../../protocol/label.ts';
import { text } from './contract/input.ts';
import { operation, type ReadContext } from './contract/operation.ts';
import { groupView, LONGEST_LABEL } from './groups.ts';
import { knockingOf, MOST_ATTEMPTS } from './knocking.ts';
import type { LabelView } from './views/groups.ts';

/** Reads a label by its text, and changes nothing. @throws Failure `label.…`, `ecdaa.bad-group-key` */
export const readLabel = operation<{ label: string }, LabelView, ReadContext>(
  'label-read',
  { label: text(LONGEST_LABEL) },
  async ({ registry }, input) => {
    const { openLabel } = await import('../labels/label.ts');
    const { label, gid } = openLabel(input.label);
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
      signed: label.signature !== undefined,
      group: group === undefined ? null : groupView(group),
      knocking: await knockingOf(rows),
    };
  },
);
