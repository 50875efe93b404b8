import { type Command, EXIT, type Invocation, type Option } from '../../cli/program.ts';
import { table } from '../../cli/table.ts';
import { Failure } from '../../protocol/failure.ts';
import { counted } from '../../protocol/words.ts';
import type { JobView } from '../jobs/view.ts';
import { type BulkFilterInput, changeDevices, countDevices } from '../operations/bulk.ts';
import type { DeviceFilterInput } from '../operations/devices.ts';
import { cancelJob, listJobs, showJob } from '../operations/jobs.ts';
import type { CountView } from '../operations/views/devices.ts';
import type { StandingChange } from '../registry/records.ts';
import { type Fabric, OWNED, withFabric } from './common/context.ts';
import { when } from './common/list.ts';

const CHANGES: readonly StandingChange[] = ['ban', 'unban', 'evict'];
const DONE: Readonly<Record<StandingChange, string>> = { ban: 'banned', unban: 'unbanned', evict: 'evicted' };
const POLL_MS = 500;

/** What narrows a list of devices; the operations refuse words that they do not know. */
const BULK_FILTERS: readonly Option[] = [
  { name: 'group', value: 'GROUP', help: 'of a group: its name, or the first digits of its id' },
  { name: 'network', value: 'NETWORK', help: 'with an address in a network: its prefix, or its name' },
  {
    name: 'kind',
    value: 'WORD',
    help: 'tpm, pki (with a certificate of a CA of yours) or key (that was registered)',
  },
  { name: 'standing', value: 'WORD', help: 'active, suspended, evicted, banned or retired' },
  { name: 'tunnel', value: 'WORD', help: 'open, ended, never or offline (ended or never)' },
  { name: 'offline', help: 'without a tunnel: the same as --tunnel offline' },
  { name: 'failure', value: 'CODE', help: 'whose last failure was this one; any: whichever' },
  { name: 'node', value: 'NODE', help: 'with its tunnel at a node, by its name' },
  { name: 'off-roster', help: 'of a group with a roster, and not on it' },
];

export const DEVICE_FILTERS: readonly Option[] = [
  ...BULK_FILTERS,
  {
    name: 'search',
    value: 'TEXT',
    help: 'three characters of a name, a note, a group or an address, or more',
  },
];

/** What these options narrow it to. @throws Failure `cli.bad-option` */
export const narrowed = (invocation: Invocation): DeviceFilterInput => ({
  ...narrowedForBulk(invocation),
  q: invocation.option('search'),
});

const narrowedForBulk = (invocation: Invocation): BulkFilterInput => ({
  gid: invocation.option('group'),
  network: invocation.option('network'),
  kind: invocation.option('kind') as DeviceFilterInput['kind'],
  standing: invocation.option('standing') as DeviceFilterInput['standing'],
  tunnel: tunnelOf(invocation),
  failure: invocation.option('failure'),
  node: invocation.option('node'),
  roster: invocation.flag('off-roster') ? 'outside' : undefined,
});

function tunnelOf(invocation: Invocation): DeviceFilterInput['tunnel'] {
  const word = invocation.option('tunnel') as DeviceFilterInput['tunnel'];
  if (!invocation.flag('offline')) return word;
  if (word === undefined || word === 'offline') return 'offline';
  throw new Failure('cli.bad-option', 'operator', `--offline is --tunnel offline, and not --tunnel ${word}`, {
    action: 'Give one of them.',
  });
}

const deviceBulk: Command = {
  name: 'device bulk',
  summary:
    'Bans, unbans or evicts all devices that a filter finds; without --yes it only says how many those are.',
  arguments: '<ban|unban|evict>',
  options: [
    ...BULK_FILTERS,
    { name: 'yes', help: 'do it' },
    { name: 'expect', value: 'N', help: 'only if the filter still finds as many as the preview has said' },
    ...OWNED,
  ],
  examples: [
    'enf-fabric device bulk ban --group 3f0c9a52',
    'enf-fabric device bulk ban --group 3f0c9a52 --offline --yes --expect 412',
  ],
  async run(invocation) {
    const change = invocation.positionals[0] as StandingChange;
    if (!CHANGES.includes(change)) throw unknownChange(change);
    const filter = narrowedForBulk(invocation);
    const expected = expectedOf(invocation);
    return withFabric(invocation, async (fabric) => {
      if (!invocation.flag('yes')) {
        const counted = await fabric.run(countDevices, { ...filter, change });
        invocation.print(counted, () => previewText(counted, change));
        return EXIT.ok;
      }
      const begun = await fabric.run(changeDevices, { ...filter, change, expected });
      const job = await followed(fabric, begun, invocation.flag('json'));
      invocation.print(job, () => jobText(job, change));
      return job.state === 'done' && job.failed === 0 ? EXIT.ok : EXIT.failed;
    });
  },
};

/** Waits for a job's end. Ctrl-C leaves it to the fabric that runs it. */
export async function followed(fabric: Fabric, begun: JobView, quiet: boolean): Promise<JobView> {
  let job = begun;
  const shows = process.stderr.isTTY && !quiet;
  while (job.state === 'running') {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    job = await fabric.run(showJob, { id: job.id });
    if (shows)
      process.stderr.write(`\rJob ${job.id}: ${counted(job.rows, 'device')}, ${job.changed} changed …`);
  }
  if (shows) process.stderr.write('\n');
  return job;
}

function previewText({ matching, changing, more }: CountView, change: StandingChange): string {
  const all = more
    ? `More than ${matching.toLocaleString('en')} devices are`
    : counted(matching, 'device is', 'devices are');
  const would = more ? `${changing} or more` : String(changing);
  return `${all} like that; ${would} of them would be ${DONE[change]}. Nothing was done: repeat it with --yes${more ? '' : ` --expect ${matching}`}.`;
}

export function jobText(
  { id, state, rows, changed, failed, failures, effect }: JobView,
  change: StandingChange,
): string {
  const how = effect === null ? '' : ` (${effect})`;
  return [
    `Job ${id} is ${state}: of ${counted(rows, 'device')} ${changed} ${changed === 1 ? 'was' : 'were'} ${DONE[change]}${how}.`,
    ...(state === 'interrupted'
      ? ['The fabric ended before the job had: begin it anew, what is done already is not done again.']
      : []),
    ...(failed === 0 ? [] : [`${failed} could not be:`]),
    ...failures.map(({ subject, code, message }) => `  ${subject}  ${message} [${code}]`),
  ].join('\n');
}

const jobList: Command = {
  name: 'job list',
  summary: 'Lists the jobs of the running fabric, newest first.',
  options: [...OWNED],
  examples: ['enf-fabric job list'],
  async run(invocation) {
    const { rows } = await withFabric(invocation, (fabric) => fabric.run(listJobs, {}));
    invocation.print(rows, () =>
      table(
        ['JOB', 'STARTED', 'WHO', 'WHAT', 'STATE', 'DEVICES', 'CHANGED', 'FAILED'],
        rows.map((job) => [
          String(job.id),
          when(job.started),
          job.actor,
          String(job.input.change ?? job.operation),
          job.state,
          String(job.rows),
          String(job.changed),
          String(job.failed),
        ]),
        'No jobs since the fabric was started.',
      ),
    );
    return undefined;
  },
};

const jobCancel: Command = {
  name: 'job cancel',
  summary: 'Ends a job; what was done stays done.',
  arguments: '<job>',
  options: [...OWNED],
  examples: ['enf-fabric job cancel 3'],
  async run(invocation) {
    const text = invocation.positionals[0]!;
    if (!/^\d{1,15}$/.test(text)) throw notANumber(text);
    const job = await withFabric(invocation, (fabric) => fabric.run(cancelJob, { id: Number(text) }));
    invocation.print(
      job,
      () => `Job ${job.id} ends: ${counted(job.changed, 'device was', 'devices were')} changed so far.`,
    );
    return undefined;
  },
};

export const bulkCommands: readonly Command[] = [deviceBulk, jobList, jobCancel];

const unknownChange = (given: string): Failure =>
  new Failure(
    'cli.bad-arguments',
    'operator',
    `expected ban, unban or evict, got ${JSON.stringify(given.slice(0, 40))}`,
    {
      action: 'See "enf-fabric device bulk --help".',
    },
  );

/** @throws Failure `cli.bad-option` */
function expectedOf(invocation: Invocation): number | undefined {
  const text = invocation.option('expect');
  if (text === undefined || /^\d{1,9}$/.test(text)) return text === undefined ? undefined : Number(text);
  throw new Failure(
    'cli.bad-option',
    'operator',
    `--expect expects a number, got ${JSON.stringify(text.slice(0, 40))}`,
    {
      action: 'Give the number that the preview has said.',
    },
  );
}

const notANumber = (given: string): Failure =>
  new Failure(
    'cli.bad-arguments',
    'operator',
    `expected the number of a job, got ${JSON.stringify(given.slice(0, 40))}`,
    {
      action: 'See "enf-fabric job list".',
    },
  );
