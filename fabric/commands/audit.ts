import type { Command, Invocation } from '../../cli/program.ts';
import { table } from '../../cli/table.ts';
import { Failure } from '../../protocol/failure.ts';
import { counted } from '../../protocol/words.ts';
import { acceptLoss, countHandshakes, listAudit, listHandshakes, verifyAudit } from '../operations/audit.ts';
import type { AuditView, HandshakeCountView, HandshakeView } from '../operations/views/handshakes.ts';
import { eachPage, type Page, type PageRequest } from '../registry/pages.ts';
import { OWNED, withFabric } from './common/context.ts';
import { AFTER, countText, printCursor, requestedPages, showsOwners, when } from './common/list.ts';

/** Entries that are listed unless `--limit` says otherwise. */
const NEWEST = 50;

export const audit: Command = {
  name: 'audit',
  summary: 'Verifies the audit trail and lists who changed what; or lists the handshakes of all devices.',
  options: [
    { name: 'limit', value: 'N', help: `how many of the newest entries to list (${NEWEST})` },
    AFTER,
    {
      name: 'subject',
      value: 'TEXT',
      help: 'only what concerns this: an address, the prefix of a network, a group id, as the entries name it',
    },
    {
      name: 'since',
      value: 'TIME',
      help: 'only what is newer: a time in UTC (2026-11-29, 2026-11-29T08:00), or how long ago (90m, 12h, 7d)',
    },
    {
      name: 'what',
      value: 'WORD',
      help: 'only this action, or the actions that begin with it (device.ban, device); with --handshakes this result',
    },
    { name: 'handshakes', help: 'list handshakes, good and refused, instead of changes' },
    {
      name: 'expect',
      value: 'N:HASH',
      help: 'an entry and its hash, kept elsewhere, that must be in the trail: finds a trail that was replaced',
    },
    {
      name: 'accept-loss',
      help: 'give up entries that the registry lacks because it was copied or replaced, and write that into the trail',
    },
    ...OWNED,
  ],
  examples: [
    'enf-fabric audit',
    'enf-fabric audit --handshakes --what refused --since 2h',
    'enf-fabric audit --what device --since 2026-11-01 --limit 1000',
    'enf-fabric audit --subject fd00:e4f:1:0:85c0:7490:a24:393b',
    'enf-fabric audit --expect 17:9f…',
  ],
  async run(invocation) {
    const kept = invocation.option('expect');
    const expected = kept === undefined ? {} : parseHead(kept);
    // Before anything is asked, so that a wrong option is named first.
    requestedPages(invocation);
    const since = sinceOf(invocation);
    const what = invocation.option('what');
    await withFabric(invocation, async (fabric) => {
      if (invocation.flag('accept-loss')) await fabric.run(acceptLoss, {});
      const { entries, head } = await fabric.read(verifyAudit, expected);
      if (invocation.flag('handshakes')) {
        const rows = await newest(invocation, { since }, (page) =>
          fabric.run(listHandshakes, { ...page, result: what }),
        );
        // They have no time of their own.
        const shown = !invocation.flag('json') && since === undefined && what === undefined;
        const counts = shown ? await fabric.run(countHandshakes, {}) : [];
        const several = await showsOwners(invocation, fabric);
        invocation.print(rows, () =>
          [handshakeTable(rows, several), ...counts.map(strangersText)].join('\n'),
        );
        return;
      }
      const subject = invocation.option('subject');
      const rows = await newest(invocation, { since, what }, (page) =>
        // Beside the fabric where all of it may have to be read.
        what === undefined
          ? fabric.run(listAudit, { ...page, subject })
          : fabric.read(listAudit, { ...page, subject }),
      );
      const verified = `${counted(entries, 'entry', 'entries')}, unbroken; head ${entries}:${head}`;
      const several = await showsOwners(invocation, fabric);
      invocation.print({ entries, head, newest: rows }, () => `${auditTable(rows, several)}\n\n${verified}`);
    });
    return undefined;
  },
};

interface Narrowed {
  /** Milliseconds since 1970. */
  readonly since: number | undefined;
  /** An action, or how several begin. */
  readonly what?: string | undefined;
}

/** Rows that are read at once where only some of them count. */
const ROWS_AT_ONCE = 500;

/** The newest rows of a list that begins with them, oldest first; at most as many as `--limit` allows. */
async function newest<Row extends { readonly at: string; readonly action?: string }>(
  invocation: Invocation,
  { since, what }: Narrowed,
  read: (page: PageRequest) => Promise<Page<Row>>,
): Promise<Row[]> {
  const { most = NEWEST, after } = requestedPages(invocation);
  const found: Row[] = [];
  let next: string | undefined;
  for await (const page of eachPage(read, {
    after,
    ...(what === undefined ? { most } : { atOnce: ROWS_AT_ONCE }),
  })) {
    const recent = page.rows.filter(({ at }) => since === undefined || Date.parse(at) >= since);
    found.push(...recent.filter(({ action }) => what === undefined || isOf(action, what)));
    next = page.next;
    if (recent.length < page.rows.length) next = undefined;
    if (next === undefined || found.length >= most) break;
  }
  const shown = found.slice(0, most);
  const asked = invocation.option('limit') !== undefined || after !== undefined;
  if (what === undefined && (asked || since !== undefined)) printCursor(next);
  else if (what !== undefined && (next !== undefined || found.length > most))
    process.stderr.write(`There is more: these are the newest ${shown.length}; give a larger --limit\n`);
  return shown.reverse();
}

/** `device` is every action on devices, `device.ban` that one. */
const isOf = (action: string | undefined, what: string): boolean =>
  action === undefined || action === what || action.startsWith(`${what}.`);

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** @throws Failure `cli.bad-option` */
function sinceOf(invocation: Invocation): number | undefined {
  const text = invocation.option('since');
  if (text === undefined) return undefined;
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (unit !== undefined) return Date.now() - Number(count) * UNITS[unit]!;
  const time = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?Z?$/.test(text)
    ? Date.parse(`${text.replace(' ', 'T').replace(/Z$/, '')}${text.length > 11 ? 'Z' : ''}`)
    : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new Failure(
    'cli.bad-option',
    'operator',
    `--since expects a time or how long ago, got ${JSON.stringify(text.slice(0, 40))}`,
    {
      action: 'Give --since 2026-11-29, 2026-11-29T08:00 (UTC), or 90m, 12h, 7d.',
    },
  );
}

/** `several`: there are several owners, and each row says whose it is. */
function handshakeTable(rows: readonly HandshakeView[], several: boolean): string {
  return table(
    ['WHEN', 'FROM', 'COUNTRY', 'SUITE', 'GROUP', 'RESULT', 'ADDRESS', ...(several ? ['OWNER'] : [])],
    rows.map((each) => [
      when(each.at),
      each.source || '-',
      each.country ?? '?',
      String(each.suite ?? '?'),
      each.gid?.slice(0, 8) ?? '?',
      each.result,
      each.address ?? '',
      ...(several ? [each.owner ?? '-'] : []),
    ]),
    'No handshakes yet.',
  );
}

const strangersText = (counts: HandshakeCountView): string =>
  `Not listed, of those who have proven nothing: ${countText(counts)}`;

function auditTable(rows: readonly AuditView[], several: boolean): string {
  return table(
    ['N', 'WHEN', 'WHO', 'WHAT', 'SUBJECT', ...(several ? ['OWNER'] : []), 'DETAIL'],
    rows.map((row) => [
      String(row.seq),
      when(row.at),
      row.actor,
      row.action,
      row.subject,
      ...(several ? [row.owner ?? '-'] : []),
      JSON.stringify(row.detail),
    ]),
    'Nothing yet.',
  );
}

function parseHead(text: string): { seq: number; hash: string } {
  const match = /^([1-9]\d{0,14}):([0-9a-fA-F]{64})$/.exec(text);
  if (match) return { seq: Number(match[1]), hash: match[2]! };
  throw new Failure('cli.bad-option', 'operator', '--expect expects the head as "audit" prints it', {
    action: 'Give number and hash as N:HASH, 64 hex digits.',
  });
}
