import { fromHex, toHex } from '../../protocol/bytes.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import type { Page } from '../registry/pages.ts';
import type { AuditEntry, Handshake } from '../registry/records.ts';
import { badInput, optional, text, whole } from './input.ts';
import { isoTime, operation, PAGE_FIELDS, type PageInput, viewPage } from './operation.ts';

export interface AuditView {
  readonly seq: number;
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly detail: Readonly<Record<string, unknown>>;
  /** 64 hex digits. */
  readonly hash: string;
}

export interface HandshakeView {
  readonly at: string;
  readonly source: string;
  readonly suite: number | null;
  readonly gid: string | null;
  readonly pseudonym: string | null;
  readonly proven: boolean;
  readonly result: string;
  readonly address: string | null;
}

/** A page of the audit trail, newest first. */
export const listAudit = operation<PageInput, Page<AuditView>>(
  'audit-list',
  PAGE_FIELDS,
  async ({ registry }, input) => viewPage(await registry.audit(input), auditView),
);

/** Recomputes the audit trail; `seq` and `hash` (hex) of an entry that has to be in it. @throws Failure `audit.broken`, `bytes.bad-hex` */
export const verifyAudit = operation<
  { seq?: number | undefined; hash?: string | undefined },
  { readonly entries: number; readonly head: string }
>(
  'audit-verify',
  { seq: optional(whole(1, Number.MAX_SAFE_INTEGER)), hash: optional(text(64)) },
  async ({ registry }, { seq, hash }) => {
    if ((seq === undefined) !== (hash === undefined))
      throw badInput('seq', 'and hash are given together or not at all');
    const expected = seq === undefined || hash === undefined ? undefined : { seq, hash: fromHex(hash) };
    const { entries, head } = await registry.verifyAudit(expected);
    return { entries, head: toHex(head) };
  },
);

/** A page of the handshakes of all devices, good and refused, newest first. */
export const listHandshakes = operation<PageInput, Page<HandshakeView>>(
  'handshake-list',
  PAGE_FIELDS,
  async ({ registry }, input) => viewPage(await registry.handshakes(input), handshakeView),
);

export function auditView({ seq, at, actor, action, subject, detail, hash }: AuditEntry): AuditView {
  return { seq, at: isoTime(at), actor, action, subject, detail, hash: toHex(hash) };
}

export function handshakeView(row: Handshake): HandshakeView {
  return {
    at: isoTime(row.at),
    source: row.source,
    suite: row.suite ?? null,
    gid: row.gid === undefined ? null : toHex(row.gid),
    pseudonym: row.pseudonym === undefined ? null : toHex(row.pseudonym),
    proven: row.proven,
    result: row.result,
    address: row.address === undefined ? null : formatIpv6(row.address),
  };
}
