import { toHex } from '../../protocol/bytes.ts';
import { isFailure } from '../../protocol/failure.ts';
import { text } from './contract/input.ts';
import { operation, type ReadContext } from './contract/operation.ts';
import { type GroupView, groupView, LONGEST_LABEL } from './groups.ts';
import { type KnockingView, knockingOf, MOST_ATTEMPTS } from './knocking.ts';

/** What a label says, and what is known here of its group. */
export interface LabelView {
  /** 64 hex digits. */
  readonly gid: string;
  readonly name: string;
  /** As the label says, which nobody has checked. */
  readonly vendor: string | null;
  /** Hex. */
  readonly basename: string;
  readonly hasClaim: boolean;
  /** It has a maker's signature, which is not checked. */
  readonly signed: boolean;
  /** The group, if it is admitted already. */
  readonly group: GroupView | null;
  /** Handshakes that claimed the group while it was not admitted: they prove nothing. */
  readonly knocking: KnockingView | null;
}

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
    const { rows } = await registry.handshakes(
      { limit: MOST_ATTEMPTS },
      { gid, result: 'fabric.group-not-admitted' },
    );
    return {
      gid: toHex(gid),
      name: label.name,
      vendor: label.vendor ?? null,
      basename: toHex(label.basename),
      hasClaim: label.claim !== undefined,
      signed: label.signature !== undefined,
      group: group === undefined ? null : groupView(group),
      knocking: await knockingOf(rows),
    };
  },
);
