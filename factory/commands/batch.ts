import type { Command, Invocation } from '../../cli/program.ts';
import { createFileFrom } from '../../os/files/create.ts';
import { printed } from '../../os/service/process.ts';
import { Failure } from '../../protocol/failure.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { counted } from '../../protocol/words.ts';
import { closeBatch } from '../batch/close.ts';
import { exportLines } from '../batch/export.ts';
import { type Tally, withJournal } from '../batch/journal.ts';
import { rosterChunks } from '../batch/roster.ts';
import { type Group, openGroup } from '../group/group.ts';
import { shortGid } from '../group/names.ts';
import { openMaker } from '../maker/maker.ts';
import { readSize } from './boxes.ts';
import { GROUP_OPTION } from './group.ts';
import { askMakerPassphrase, MAKER_OPTION, MAKER_PASSPHRASE_OPTION } from './maker.ts';

export const batchStatus: Command = {
  name: 'batch status',
  summary: 'how many devices a batch has, and what failed',
  options: [GROUP_OPTION],
  examples: ['enf-factory batch status --group groups/march'],
  async run(invocation) {
    const group = await openGroup(invocation.required('group'));
    const { tally, closed } = await withJournal(group, async (journal) => ({
      tally: journal.tally,
      closed: journal.closed,
    }));
    const { name, gid } = group;
    invocation.print({ name, gid, closed, ...tally }, () =>
      [`${name}, group ${shortGid(gid)}: ${closed ? 'closed' : 'open'}`, ...tallyLines(tally)].join('\n'),
    );
    return undefined;
  },
};

function tallyLines({ passed, issued, failed, damaged, first, last }: Tally): string[] {
  const reasons = Object.entries(failed).sort(([, a], [, b]) => b - a);
  return [
    `Devices         ${passed}`,
    ...(issued === 0 ? [] : [`Not yet proved  ${counted(issued, 'board')} with a credential`]),
    ...reasons.map(([code, count], i) => `${(i === 0 ? 'Failed' : '').padEnd(14)}  ${count} ${code}`),
    ...(damaged === 0
      ? []
      : [`Damaged         ${counted(damaged, 'line')} of journal.jsonl without an entry`]),
    ...(first === undefined ? [] : [`From, to        ${first}, ${last}`]),
  ];
}

export const batchExport: Command = {
  name: 'batch export',
  summary: "the batch's devices as CSV, as JSON with one line for each, or as a signed roster for a fabric",
  options: [
    GROUP_OPTION,
    { name: 'csv', help: 'CSV with a header (the default)' },
    {
      name: 'all',
      help: 'also what failed, and boards that were not seen to work: every entry of the journal',
    },
    {
      name: 'roster',
      help: 'of a closed batch: the roster, with which a fabric admits these devices and no others',
    },
    { name: 'out', value: 'FILE', help: 'write a new file instead of printing' },
  ],
  examples: [
    'enf-factory batch export --group groups/march --csv --out march.csv',
    'enf-factory batch export --group groups/march --all --json',
    'enf-factory batch export --group groups/march --roster --out march.roster',
  ],
  async run(invocation) {
    const group = await openGroup(invocation.required('group'));
    if (invocation.flag('csv') && invocation.flag('json')) {
      throw new Failure('cli.bad-arguments', 'operator', '--csv cannot be combined with --json', {
        action: 'Remove one of the two options.',
      });
    }
    const chunks = exported(invocation, group);
    const out = invocation.option('out');
    if (out === undefined) {
      for await (const chunk of chunks) await printed(chunk);
      return undefined;
    }
    await createFileFrom(out, chunks, async () => {});
    process.stderr.write(`Written: ${out}\n`);
    return undefined;
  },
};

function exported(invocation: Invocation, group: Group): AsyncIterable<Uint8Array> {
  const format = invocation.flag('json') ? 'json' : 'csv';
  if (!invocation.flag('roster'))
    return encoded(exportLines(group, format, invocation.flag('all') ? 'all' : 'passed'));
  const other = ['csv', 'json', 'all'].find((name) => invocation.flag(name));
  if (other === undefined) return rosterChunks(group);
  throw new Failure('cli.bad-arguments', 'operator', `--roster cannot be combined with --${other}`, {
    action: 'Remove one of the two options: a roster has a form of its own.',
  });
}

async function* encoded(lines: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const line of lines) yield encodeUtf8(line);
}

export const batchClose: Command = {
  name: 'batch close',
  summary: "end a batch: it takes no more devices, and its manifest is signed with the maker's key",
  options: [
    GROUP_OPTION,
    { ...MAKER_OPTION, required: true },
    MAKER_PASSPHRASE_OPTION,
    {
      name: 'per-box',
      value: 'N',
      help: 'devices in a box, in the order in which they were made: with a roster a fabric knows the boxes',
    },
    {
      name: 'leave-issued',
      help: 'also if boards have credentials that were not seen to work: without them',
    },
  ],
  examples: [
    'enf-factory batch close --group groups/march --maker maker',
    'enf-factory batch close --group groups/march --maker maker --per-box 20',
  ],
  async run(invocation) {
    const group = await openGroup(invocation.required('group'));
    const maker = await openMaker(invocation.required('maker'));
    const perBox = invocation.option('per-box');
    const { manifest, folder, already } = await closeBatch({
      group,
      maker,
      passphrase: askMakerPassphrase(invocation),
      leaveIssued: invocation.flag('leave-issued'),
      perBox: perBox === undefined ? undefined : readSize(perBox),
    });
    invocation.print(
      { ...manifest, folder, already },
      () =>
        `${group.name} ${already ? 'was closed before' : 'is closed'}: ${counted(manifest.devices, 'device')}, ${manifest.verified} proved genuine. The signed manifest is in ${folder}.`,
    );
    return undefined;
  },
};
