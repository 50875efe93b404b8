import { Failure, isFailure } from '../../protocol/failure.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import type { Progress } from '../jobs/jobs.ts';
import type { JobView } from '../jobs/view.ts';
import type { Device, DeviceFilter, StandingChange } from '../registry/records.ts';
import type { OwnedReader } from '../registry/registry.ts';
import { ownTurn } from '../registry/turns.ts';
import { badInput, oneOf, optional, whole } from './contract/input.ts';
import { type Context, operation, type ReadContext } from './contract/operation.ts';
import { DEVICE_FILTER, type DeviceFilterInput, deviceFilter } from './devices.ts';
import { jobsOf } from './jobs.ts';
import type { CountView } from './views/devices.ts';

/*
 * Changes of all devices that a filter finds. A search is no filter here: what it finds changes with names.
 */

const { q: _, ...BULK_FILTER } = DEVICE_FILTER;

export type BulkFilterInput = Omit<DeviceFilterInput, 'q'>;

const CHANGE = oneOf('evict', 'ban', 'unban');
/** Rows of one turn. */
const ROWS_AT_ONCE = 50;
/** How far is counted: seconds, if nearly every row fits. */
const COUNTED = 100_000;

/** Counts what a filter finds, before something is done to it. @throws Failure as `listDevices` */
export const countDevices = operation<
  BulkFilterInput & { change?: StandingChange | undefined },
  CountView,
  ReadContext
>('device-count', { ...BULK_FILTER, change: optional(CHANGE) }, async (context, { change, ...input }) =>
  count(context.registry, await deviceFilter(context, input), change, COUNTED),
);

/**
 * Evicts, bans or unbans all devices that a filter finds, which has at least one field, as a job. With `expected` it begins only if the filter
 * still finds as many as were counted.
 * @throws Failure `fabric.bad-input`, `bulk.changed`, `jobs.too-many`, and as `listDevices`
 */
export const changeDevices = operation<
  BulkFilterInput & { change: StandingChange; expected?: number | undefined },
  JobView
>(
  'device-bulk',
  { ...BULK_FILTER, change: CHANGE, expected: optional(whole(0, Number.MAX_SAFE_INTEGER)) },
  async (context, input) => {
    const { change, expected, ...narrowed } = input;
    const { registry, actor } = context;
    const given = Object.values(narrowed).filter((each) => each !== undefined);
    if (given.length === 0)
      throw badInput('the filter', 'is empty: name a group, a network, a standing or the like');
    const filter = await deviceFilter(context, narrowed);
    const ready = async (): Promise<void> => {
      await requireSameOwners(context);
      if (expected === undefined) return;
      const { matching } = await count(registry, filter, change, Math.min(expected + 1, COUNTED));
      if (matching !== Math.min(expected, COUNTED)) throw hasChanged(expected, matching);
    };
    const { owner } = registry.scope;
    const job = await jobsOf(context).start(
      { operation: 'device-bulk', input: { ...input }, actor, owner },
      (progress) => changeAll(context, filter, change, progress),
      ready,
    );
    await registry.record(actor, 'job.start', `job ${job.id}`, { ...input });
    return job;
  },
);

/**
 * Whoever saw everything as the only owner does not any more once there is another one. A job that has its place already is known to whoever adds
 * one; this is for those that were asked for before.
 * @throws Failure `bulk.changed`
 */
async function requireSameOwners({ role, whole: all }: Context): Promise<void> {
  if (role === 'host' || all === undefined || (await all.hasOneOwner())) return;
  throw new Failure('bulk.changed', 'operator', 'the fabric has another owner since this was asked for', {
    action: 'Nothing was changed. Look at the list again, and repeat it with the new number.',
  });
}

async function changeAll(
  { registry, running, actor }: Context,
  filter: DeviceFilter,
  change: StandingChange,
  progress: Progress,
): Promise<void> {
  let after: string | undefined;
  do {
    await ownTurn();
    const page = await registry.devices({ limit: ROWS_AT_ONCE, after }, filter);
    const changed = await Promise.all(page.rows.map((device) => changeOne(device)));
    if (changed.some(Boolean)) progress.effect(await running.notify());
    after = page.next;
  } while (after !== undefined && !progress.signal.aborted);

  async function changeOne({ address }: Device): Promise<boolean> {
    try {
      const changed = await registry.setStanding(actor, address, change);
      progress.row(changed);
      return changed;
    } catch (error) {
      if (!isFailure(error)) throw error;
      progress.row(false);
      progress.failed(formatIpv6(address), error);
      return false;
    }
  }
}

async function count(
  registry: OwnedReader,
  filter: DeviceFilter,
  change: StandingChange | undefined,
  most: number,
): Promise<CountView> {
  let [matching, changing] = [0, 0];
  let after: string | undefined;
  do {
    await ownTurn();
    const page = await registry.devices({ limit: Math.min(ROWS_AT_ONCE, most - matching), after }, filter);
    matching += page.rows.length;
    changing += page.rows.filter((device) => change !== undefined && wouldChange(device, change)).length;
    after = page.next;
  } while (after !== undefined && matching < most);
  return { matching, changing, more: after !== undefined };
}

/** As the registry decides it when it is done. */
const wouldChange = ({ standing }: Device, change: StandingChange): boolean =>
  standing !== 'retired' &&
  { ban: standing !== 'banned', unban: standing === 'banned', evict: standing !== 'evicted' }[change];

function hasChanged(expected: number, found: number): Failure {
  return new Failure(
    'bulk.changed',
    'operator',
    `the filter finds other devices than before: ${found} or more, not ${expected}`,
    { action: 'Nothing was changed. Look at the list again, and repeat it with the new number.' },
  );
}
