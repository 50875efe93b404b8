import type { Command, Invocation, Option } from '../../cli/program.ts';
import { table } from '../../cli/table.ts';
import { Failure } from '../../protocol/failure.ts';
import type { JobView } from '../jobs/jobs.ts';
import { type CountView, changeDevices, countDevices } from '../operations/bulk.ts';
import type { DeviceFilterInput } from '../operations/devices.ts';
import { cancelJob, listJobs, showJob } from '../operations/jobs.ts';
import type { StandingChange } from '../registry/records.ts';
import { FABRIC, type Fabric, withFabric } from './context.ts';
import { when } from './list.ts';

const CHANGES: readonly StandingChange[] = ['ban', 'unban', 'evict'];
const DONE: Readonly<Record<StandingChange, string>> = { ban: 'banned', unban: 'unbanned', evict: 'evicted' };
const POLL_MS = 500;

/** What narrows a list of devices; the operations refuse words that they do not know. */
export const DEVICE_FILTERS: readonly Option[] = [
  { name: 'group', value: 'GID', help: 'of a group, by the first digits of its id' },
  { name: 'network', value: 'PREFIX', help: 'with an address in a network' },
  { name: 'standing', value: 'WORD', help: 'active, suspended, evicted, banned or retired' },
  { name: 'tunnel', value: 'WORD', help: 'open, ended, never or offline (ended or never)' },
  { name: 'offline', help: 'without a tunnel: the same as --tunnel offline' },
  { name: 'failure', value: 'CODE', help: 'whose last failure was this one; any: whichever' },
  { name: 'search', value: 'TEXT', help: 'how the name begins, an address, or its last group' },
];

/** What these options narrow it to. @throws Failure `cli.bad-option` */
export const narrowed = (invocation: Invocation): DeviceFilterInput => ({
  gid: invocation.option('group'),
  network: invocation.option('network'),
  standing: invocation.option('standing') as DeviceFilterInput['standing'],
  tunnel: tunnelOf(invocation),
  failure: invocation.option('failure'),
  q: invocation.option('search'),
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
  options: [...DEVICE_FILTERS, { name: 'yes', help: 'do it' }, ...FABRIC],
  examples: [
    'enf-fabric device bulk ban --group 3f0c9a52',
    'enf-fabric device bulk ban --group 3f0c9a52 --offline --yes',
  ],
  async run(invocation) {
    const change = invocation.positionals[0] as StandingChange;
    if (!CHANGES.includes(change)) throw unknownChange(change);
    const filter = narrowed(invocation);
    await withFabric(invocation, async (fabric) => {
      const counted = await fabric.run(countDevices, { ...filter, change });
      if (!invocation.flag('yes')) {
        invocation.print(counted, () => previewText(counted, change));
        return;
      }
      const expected = counted.more ? {} : { expected: counted.matching };
      const begun = await fabric.run(changeDevices, { ...filter, change, ...expected });
      const job = await followed(fabric, begun, invocation.flag('json'));
      invocation.print(job, () => jobText(job, change));
    });
    return undefined;
  },
};

/** Waits for a job's end. Ctrl-C leaves it to the fabric that runs it. */
async function followed(fabric: Fabric, begun: JobView, quiet: boolean): Promise<JobView> {
  let job = begun;
  const shows = process.stderr.isTTY && !quiet;
  while (job.state === 'running') {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    job = await fabric.run(showJob, { id: job.id });
    if (shows) process.stderr.write(`\rJob ${job.id}: ${job.rows} devices, ${job.changed} changed …`);
  }
  if (shows) process.stderr.write('\n');
  return job;
}

function previewText({ matching, changing, more }: CountView, change: StandingChange): string {
  const all = more ? `More than ${matching}` : String(matching);
  const would = more ? `${changing} or more` : String(changing);
  return `${all} devices are like that; ${would} of them would be ${DONE[change]}. Nothing was done: repeat it with --yes.`;
}

function jobText(
  { id, state, rows, changed, failed, failures, effect }: JobView,
  change: StandingChange,
): string {
  const how = effect === null ? '' : ` (${effect})`;
  return [
    `Job ${id} is ${state}: of ${rows} devices ${changed} were ${DONE[change]}${how}.`,
    ...(failed === 0 ? [] : [`${failed} could not be:`]),
    ...failures.map(({ subject, code, message }) => `  ${subject}  ${message} [${code}]`),
  ].join('\n');
}

const jobList: Command = {
  name: 'job list',
  summary: 'Lists the jobs of the running fabric, newest first.',
  options: [...FABRIC],
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
  options: [...FABRIC],
  examples: ['enf-fabric job cancel 3'],
  async run(invocation) {
    const text = invocation.positionals[0]!;
    if (!/^\d{1,15}$/.test(text)) throw notANumber(text);
    const job = await withFabric(invocation, (fabric) => fabric.run(cancelJob, { id: Number(text) }));
    invocation.print(job, () => `Job ${job.id} ends: ${job.changed} devices were changed so far.`);
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

const notANumber = (given: string): Failure =>
  new Failure(
    'cli.bad-arguments',
    'operator',
    `expected the number of a job, got ${JSON.stringify(given.slice(0, 40))}`,
    {
      action: 'See "enf-fabric job list".',
    },
  );
