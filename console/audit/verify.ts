import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import type { AuditView } from '../../fabric/operations/views/handshakes.ts';
import { canonicalText, GENESIS } from '../../fabric/registry/audit-chain.ts';

/** An entry's number and hash (hex), which stand for all entries up to it. */
export interface Head {
  readonly seq: number;
  readonly hash: string;
}

/** `broken`: the entry `seq` does not fit, and what of it. */
export type Verdict =
  | { readonly kind: 'whole'; readonly head: Head; readonly entries: number }
  | { readonly kind: 'broken'; readonly seq: number; readonly why: string };

/** A page of the trail, newest first, from before the cursor. */
export type ReadPage = (
  after: string | undefined,
) => Promise<{ readonly rows: readonly AuditView[]; readonly next: string | undefined }>;

/**
 * Reads the trail from its newest entry back, and recomputes each hash from the entry before it: to the first entry, or to `known`, which was
 * verified before. `progress` gets the number of the oldest entry that fits.
 */
export async function verifyTrail(
  readPage: ReadPage,
  { known, progress, signal }: { known?: Head; progress: (seq: number) => void; signal: AbortSignal },
): Promise<Verdict> {
  let newest: Head | undefined;
  let later: AuditView | undefined;
  let cursor: string | undefined;
  let entries = 0;
  do {
    signal.throwIfAborted();
    const { rows, next } = await readPage(cursor);
    for (const row of rows) {
      // Who sees only one owner is offered no verification.
      if (row.hash === null) return { kind: 'broken', seq: row.seq, why: 'its hash is not shown' };
      newest ??= { seq: row.seq, hash: row.hash };
      if (later !== undefined) {
        const why = misfit(later, row);
        if (why !== undefined) return { kind: 'broken', seq: later.seq, why };
        entries += 1;
      }
      if (known !== undefined && row.seq <= known.seq) return endAtKnown(row, known, newest, entries);
      later = row;
    }
    if (later !== undefined) progress(later.seq);
    cursor = next;
  } while (cursor !== undefined);
  if (later === undefined || newest === undefined)
    return { kind: 'broken', seq: 1, why: 'there is no entry at all' };
  const why =
    later.seq === 1
      ? wrongHash(later, GENESIS)
      : `the entries before it are missing: ${later.seq - 1} of them`;
  return why === undefined
    ? { kind: 'whole', head: newest, entries: entries + 1 }
    : { kind: 'broken', seq: later.seq, why };
}

function endAtKnown(row: AuditView, known: Head, head: Head, entries: number): Verdict {
  if (row.seq === known.seq && row.hash === known.hash) return { kind: 'whole', head, entries };
  return { kind: 'broken', seq: known.seq, why: 'it is another one than when this page verified it before' };
}

/** Why `row` cannot be the entry after `before`. */
function misfit(row: AuditView, before: AuditView): string | undefined {
  if (before.seq !== row.seq - 1) return `the entry before it is missing (found number ${before.seq})`;
  return wrongHash(row, hexToBytes(before.hash ?? ''));
}

function wrongHash(row: AuditView, previous: Uint8Array): string | undefined {
  const text = canonicalText({ ...row, at: Date.parse(row.at), detail: JSON.stringify(row.detail) });
  const hash = bytesToHex(sha256(concatBytes(previous, utf8ToBytes(text))));
  return hash === row.hash ? undefined : 'its hash is not that of its content and of the entry before it';
}
