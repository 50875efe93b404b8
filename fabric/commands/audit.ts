import type { Command } from '../../cli/program.ts';
import { table, timeText } from '../../cli/table.ts';
import { fromHex, toHex } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import { DATA, withRegistry } from './context.ts';

const LIMIT = '50';

export const audit: Command = {
  name: 'audit',
  summary: 'Verifies the audit trail and lists who changed what; or lists the handshakes of all devices.',
  options: [
    { name: 'limit', value: 'N', help: 'how many of the newest entries to list', default: LIMIT },
    { name: 'handshakes', help: 'list handshakes, good and refused, instead of changes' },
    {
      name: 'expect',
      value: 'N:HASH',
      help: 'an entry and its hash, kept elsewhere, that must be in the trail: finds a trail made anew',
    },
    DATA,
  ],
  examples: [
    'enf-fabric audit',
    'enf-fabric audit --handshakes --limit 200',
    'enf-fabric audit --expect 17:9f…',
  ],
  async run(invocation) {
    const limit = parseLimit(invocation.required('limit'));
    const kept = invocation.option('expect');
    const expected = kept === undefined ? undefined : parseHead(kept);
    await withRegistry(invocation, (registry) => {
      const { entries, head } = registry.verifyAudit(expected);
      const verified = `${entries} entries, unbroken; head ${entries}:${toHex(head)}`;
      if (invocation.flag('handshakes')) {
        const handshakes = registry.handshakes(limit).reverse();
        invocation.print(
          handshakes.map((each) => ({
            at: new Date(each.at).toISOString(),
            source: each.source,
            suite: each.suite ?? null,
            gid: each.gid === undefined ? null : toHex(each.gid),
            pseudonym: each.pseudonym === undefined ? null : toHex(each.pseudonym),
            proven: each.proven,
            result: each.result,
            address: each.address === undefined ? null : formatIpv6(each.address),
          })),
          () =>
            table(
              ['WHEN', 'FROM', 'SUITE', 'GROUP', 'RESULT', 'ADDRESS'],
              handshakes.map((each) => [
                timeText(each.at),
                each.source,
                String(each.suite ?? '?'),
                each.gid === undefined ? '?' : toHex(each.gid).slice(0, 8),
                each.result,
                each.address === undefined ? '' : formatIpv6(each.address),
              ]),
              'No handshakes yet.',
            ),
        );
        return;
      }
      const rows = registry.audit(limit);
      invocation.print(
        {
          entries,
          head: toHex(head),
          newest: rows.map((row) => ({ ...row, at: new Date(row.at).toISOString(), hash: toHex(row.hash) })),
        },
        () =>
          `${table(
            ['N', 'WHEN', 'WHO', 'WHAT', 'SUBJECT', 'DETAIL'],
            rows.map((row) => [
              String(row.seq),
              timeText(row.at),
              row.actor,
              row.action,
              row.subject,
              JSON.stringify(row.detail),
            ]),
            'Nothing yet.',
          )}\n\n${verified}`,
      );
    });
    return undefined;
  },
};

function parseLimit(text: string): number {
  const limit = Number(text);
  if (/^\d{1,6}$/.test(text) && limit > 0) return limit;
  throw new Failure(
    'cli.bad-option',
    'operator',
    `--limit expects 1 to 999999, got ${JSON.stringify(text)}`,
    {
      action: 'See "enf-fabric audit --help".',
    },
  );
}

function parseHead(text: string): { seq: number; hash: Uint8Array } {
  const match = /^([1-9]\d{0,14}):([0-9a-fA-F]{64})$/.exec(text);
  if (match) return { seq: Number(match[1]), hash: fromHex(match[2]!) };
  throw new Failure('cli.bad-option', 'operator', '--expect expects the head as "audit" prints it', {
    action: 'Give number and hash as N:HASH, 64 hex digits.',
  });
}
