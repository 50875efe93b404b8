import { describe, expect, test } from 'vitest';
import { EVERYTHING } from '../../../fabric/access/scope.ts';
import { openJobs } from '../../../fabric/jobs/jobs.ts';
import type { JobView } from '../../../fabric/jobs/view.ts';
import { listAudit } from '../../../fabric/operations/audit.ts';
import { changeDevices, countDevices } from '../../../fabric/operations/bulk.ts';
import { listDevices, setStanding } from '../../../fabric/operations/devices.ts';
import { retireDevice } from '../../../fabric/operations/endings.ts';
import { admitGroup } from '../../../fabric/operations/groups.ts';
import { cancelJob, listJobs, showJob } from '../../../fabric/operations/jobs.ts';
import { addNetwork } from '../../../fabric/operations/networks.ts';
import { Failure } from '../../../protocol/failure.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import '../checked.ts';
import { makeBatch } from '../device.ts';
import { opened, registryFile, seenBy, type TestContext } from '../place.ts';
import { applicant } from '../registry/contract/place.ts';

const NETWORK = 'fd00:1:2:3::/64';

async function fleet(devices: number) {
  let notified = 0;
  const on: TestContext = {
    ...seenBy(opened(registryFile())),
    running: {
      async notify() {
        notified++;
        return 'in force';
      },
      presence: async () => () => ({ online: false }),
    },
    jobs: openJobs(() => 0),
    actor: 'alice',
    now: Date.now,
  };
  const batch = makeBatch();
  await addNetwork.run(on, { prefix: NETWORK, name: 'plant' });
  await admitGroup.run(on, { label: batch.label, network: NETWORK });
  const before = notified;
  const addresses: string[] = [];
  for (let i = 0; i < devices; i++) addresses.push(formatIpv6(await on.registry.admit(applicant(batch))));
  const banned = async (): Promise<number> => (await countDevices.run(on, { standing: 'banned' })).matching;
  return { on, addresses, banned, notified: () => notified - before };
}

async function ended(on: TestContext, { id }: JobView): Promise<JobView> {
  for (;;) {
    const job = await showJob.run(on, { id });
    if (job.state !== 'running') return job;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const refused = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    ({ code }: { code: string }) => code,
  );

describe('a change of all devices that a filter finds', () => {
  test('is counted first, done in parts, and says what it could not do', async () => {
    const { on, addresses, banned, notified } = await fleet(130);
    await setStanding.run(on, { address: addresses[3]!, change: 'ban' });
    await retireDevice.run(on, { address: addresses[7]! });
    const before = notified();
    expect(await countDevices.run(on, { network: NETWORK, change: 'ban' })).toEqual({
      matching: 130,
      changing: 128,
      more: false,
    });
    const begun = await changeDevices.run(on, { network: NETWORK, change: 'ban', expected: 130 });
    expect(begun).toMatchObject({
      id: 1,
      state: 'running',
      actor: 'alice',
      operation: 'device-bulk',
      ended: null,
    });
    const job = await ended(on, begun);
    expect(job).toMatchObject({ state: 'done', rows: 130, changed: 128, failed: 1, effect: 'in force' });
    expect((await listAudit.run(on, { limit: 999 })).rows).toContainEqual(
      expect.objectContaining({ actor: 'alice', action: 'job.start', subject: 'job 1' }),
    );
    expect(job.failures).toEqual([
      { subject: addresses[7], code: 'fabric.device-retired', message: expect.any(String) },
    ]);
    expect(await banned()).toBe(129);
    // The running fabric acts on each part, not on each device.
    expect(notified() - before).toBe(3);
    const again = await ended(on, await changeDevices.run(on, { network: NETWORK, change: 'ban' }));
    expect([again.rows, again.changed, again.effect]).toEqual([130, 0, null]);
    const back = await ended(on, await changeDevices.run(on, { standing: 'banned', change: 'unban' }));
    expect(back.changed).toBe(129);
  });

  test('is not begun without a filter, or if the filter finds others than before', async () => {
    const { on, banned } = await fleet(3);
    expect(await refused(changeDevices.run(on, { change: 'ban' }))).toBe('fabric.bad-input');
    for (const expected of [0, 2, 4, 1_000_000])
      expect(await refused(changeDevices.run(on, { tunnel: 'never', change: 'ban', expected }))).toBe(
        'bulk.changed',
      );
    expect(await refused(changeDevices.run(on, { q: 'pump', change: 'ban' } as never))).toBe(
      'fabric.bad-input',
    );
    expect(await refused(changeDevices.run(on, { gid: '00000000', change: 'ban' }))).toBe(
      'fabric.unknown-group',
    );
    expect(await banned()).toBe(0);
    expect((await listJobs.run(on, {})).rows).toEqual([]);
  });

  test('has its place while it is counted, and is not begun if the fabric has another owner by then', async () => {
    const { on, banned } = await fleet(3);
    const begun = changeDevices.run(on, { tunnel: 'never', change: 'ban', expected: 3 });
    await expect.poll(async () => (await listJobs.run(on, {})).rows.length).toBe(1);
    const job = await ended(on, await begun);
    expect([job.state, await banned()]).toEqual(['done', 3]);
    await on.whole!.addOwner('root', 'acme');
    for (const expected of [undefined, 3])
      expect(await refused(changeDevices.run(on, { tunnel: 'never', change: 'unban', expected }))).toBe(
        'bulk.changed',
      );
    expect([await banned(), (await listJobs.run(on, {})).rows.length]).toEqual([3, 1]);
    // Whoever runs the fabric sees all of it, as before.
    await ended(on, await changeDevices.run({ ...on, role: 'host' }, { tunnel: 'never', change: 'unban' }));
    expect(await banned()).toBe(0);
  });

  test('ends when somebody cancels it; what was done stays done', async () => {
    const { on, banned } = await fleet(200);
    const { id } = await changeDevices.run(on, { tunnel: 'never', change: 'ban' });
    const job = await ended(on, await cancelJob.run(on, { id }));
    expect(job.state).toBe('cancelled');
    expect(await banned()).toBe(job.changed);
    expect(job.changed).toBeLessThan(200);
    expect((await listDevices.run(on, { limit: 9, standing: 'active' })).rows.length).toBeGreaterThan(0);
    expect(await refused(showJob.run(on, { id: 99 }))).toBe('jobs.unknown');
    expect(await refused(cancelJob.run(on, { id: 99 }))).toBe('jobs.unknown');
  });
});

describe('jobs', () => {
  const OF = { operation: 'test', input: {}, actor: 'alice', owner: 0 };

  test('are four at a time, and the newest fifty are remembered', async () => {
    const jobs = openJobs(() => 0);
    let release = (): void => {};
    const wait = new Promise<void>((resolve) => {
      release = resolve;
    });
    for (let i = 0; i < 4; i++) await jobs.start(OF, () => wait);
    expect(await refused(jobs.start(OF, async () => {}))).toBe('jobs.too-many');
    release();
    await wait;
    for (let i = 0; i < 80; i++) {
      await jobs.start(OF, async () => {});
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(jobs.list(EVERYTHING)).toHaveLength(50);
    expect(jobs.list(EVERYTHING)[0]).toMatchObject({
      id: 84,
      state: 'done',
      ended: '1970-01-01T00:00:00.000Z',
    });
    expect(() => jobs.show(EVERYTHING, 1)).toThrow(expect.objectContaining({ code: 'jobs.unknown' }));
  });

  test('that fail say why, and keep a bounded number of reasons', async () => {
    const jobs = openJobs(() => 0);
    const failure = new Failure('fabric.unknown-device', 'operator', 'no such device', { action: 'Look.' });
    const failing = await jobs.start(OF, async ({ failed }) => {
      for (let i = 0; i < 1_000; i++) failed(`device ${i}`, failure);
      throw new Error('the disk is gone');
    });
    await new Promise((resolve) => setImmediate(resolve));
    const job = jobs.show(EVERYTHING, failing.id);
    expect(job).toMatchObject({ state: 'failed', failed: 1_001 });
    expect(job.failures).toHaveLength(100);
  });
});
