import { describe, expect, test } from 'vitest';
import { type Job, workQueue } from '../../../fabric/identity/queue.ts';
import { sourceReputation } from '../../../fabric/identity/reputation.ts';

/** Jobs that record when they ran or were dropped, and end when told to. */
function recorder() {
  const story: string[] = [];
  const ends = new Map<string, () => void>();
  const job = (name: string): Job => ({
    run: () => {
      story.push(name);
      return new Promise((resolve) => ends.set(name, resolve));
    },
    drop: () => story.push(`no ${name}`),
  });
  const end = async (...names: string[]): Promise<void> => {
    for (const name of names) ends.get(name)!();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { story, job, end };
}

describe('the queue of handshakes', () => {
  test('runs jobs in order, as many at a time as it is allowed', async () => {
    const { story, job, end } = recorder();
    const queue = workQueue({ running: 2, now: () => 0 });
    for (const name of ['a', 'b', 'c', 'd']) queue.add(false, job(name));
    expect(story).toEqual(['a', 'b']);
    expect(queue.load).toBe(4);
    await end('b');
    expect(story).toEqual(['a', 'b', 'c']);
    await end('a', 'c');
    expect(story).toEqual(['a', 'b', 'c', 'd']);
    expect(queue.load).toBe(1);
    await end('d');
    expect(queue.load).toBe(0);
  });

  test('runs jobs of suspects when there is little to do, whoever came first', async () => {
    const { story, job, end } = recorder();
    const queue = workQueue({ running: 3, idle: 1, now: () => 0 });
    queue.add(false, job('a'));
    queue.add(true, job('suspect'));
    queue.add(false, job('b'));
    expect(story).toEqual(['a', 'b']);
    await end('a');
    expect(story).toEqual(['a', 'b']);
    await end('b');
    expect(story).toEqual(['a', 'b', 'suspect']);
  });

  test('drops a job of a suspect that waited too long', async () => {
    let now = 0;
    const { story, job, end } = recorder();
    const queue = workQueue({ running: 1, idle: 1, maxWaitMs: 100, now: () => now });
    queue.add(false, job('a'));
    queue.add(true, job('early'));
    now = 50;
    queue.add(true, job('late'));
    now = 120;
    await end('a');
    expect(story).toEqual(['a', 'no early', 'late']);
  });

  test('drops a new job when it is full, not those that wait', async () => {
    const { story, job, end } = recorder();
    const queue = workQueue({ running: 1, waiting: { normal: 2, suspect: 1 }, now: () => 0 });
    for (const name of ['a', 'b', 'c', 'd']) queue.add(false, job(name));
    queue.add(true, job('s'));
    queue.add(true, job('t'));
    expect(story).toEqual(['a', 'no d', 'no t']);
    await end('a');
    await end('b');
    expect(story).toEqual(['a', 'no d', 'no t', 'b', 'c']);
  });

  test('is congested before it is full, and for suspects earlier', async () => {
    const { job, end } = recorder();
    const queue = workQueue({ running: 2, idle: 1, waiting: { normal: 4, suspect: 4 }, now: () => 0 });
    expect([queue.congested(false), queue.congested(true)]).toEqual([false, false]);
    queue.add(false, job('a'));
    expect([queue.congested(false), queue.congested(true)]).toEqual([false, true]);
    queue.add(false, job('b'));
    queue.add(false, job('c'));
    expect([queue.congested(false), queue.congested(true)]).toEqual([true, true]);
    await end('a', 'b');
    await end('c');
    expect([queue.congested(false), queue.congested(true)]).toEqual([false, false]);
  });

  test('[H-A2] the crowded prefix pays when it is full: its newest job is dropped for a new one of another', () => {
    const { story, job } = recorder();
    const queue = workQueue({ running: 1, waiting: { normal: 4, suspect: 1 }, now: () => 0 });
    queue.add(false, job('running'), '192.0.2.9');
    for (let i = 0; i < 4; i++) queue.add(false, job(`crowd ${i}`), `192.0.2.${i}`);
    queue.add(false, job('alone'), '198.51.100.1');
    queue.add(false, job('other'), '203.0.113.1');
    expect(story).toHaveLength(3);
    expect(story.slice(1).every((each) => each.startsWith('no crowd'))).toBe(true);
    expect(queue.load).toBe(5);
  });

  test('[H-A2] is congested for the prefix that fills it, for all only when three quarters are taken', () => {
    const { job } = recorder();
    const queue = workQueue({ running: 1, waiting: { normal: 8, suspect: 1 }, now: () => 0 });
    queue.add(false, job('running'), '192.0.2.9');
    const congested = (): boolean[] =>
      ['192.0.2.1', '198.51.100.1', '2001:db8::1'].map((source) => queue.congested(false, source));
    for (let i = 0; i < 5; i++) queue.add(false, job(`crowd ${i}`), `192.0.2.${i}`);
    expect(congested()).toEqual([true, false, false]);
    queue.add(false, job('alone'), '198.51.100.1');
    expect(congested()).toEqual([true, true, true]);
  });

  test('goes on after a job that fails', async () => {
    const { story, job } = recorder();
    const queue = workQueue({ running: 1, now: () => 0 });
    queue.add(false, { run: () => Promise.resolve().finally(() => story.push('failed')), drop: () => {} });
    queue.add(false, job('next'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(story).toEqual(['failed', 'next']);
  });

  test('keeps its order when it is long, and can drop all that wait', async () => {
    const { story, job, end } = recorder();
    const queue = workQueue({ running: 1, waiting: { normal: 5_000, suspect: 5 }, now: () => 0 });
    for (let i = 0; i < 3_000; i++) queue.add(false, job(String(i)));
    queue.add(true, job('s'));
    for (let i = 0; i < 2_500; i++) await end(String(i));
    expect(story).toEqual(Array.from({ length: 2_501 }, (_, i) => String(i)));
    queue.dropWaiting();
    expect(story.slice(2_501)).toHaveLength(500);
    expect(story.at(-1)).toBe('no s');
    expect(queue.load).toBe(1);
  });
});

describe('the reputation of sources', () => {
  test('three hostile handshakes more than good ones make a suspect, for a minute after the last', () => {
    let now = 0;
    const reputation = sourceReputation(() => now);
    for (let i = 0; i < 2; i++) reputation.penalise('192.0.2.1');
    expect(reputation.isSuspect('192.0.2.1')).toBe(false);
    reputation.penalise('192.0.2.1');
    expect(reputation.isSuspect('192.0.2.1')).toBe(true);
    expect(reputation.isSuspect('192.0.2.2')).toBe(false);
    now = 59_999;
    expect(reputation.isSuspect('192.0.2.1')).toBe(true);
    now = 60_000;
    expect(reputation.isSuspect('192.0.2.1')).toBe(false);
    reputation.penalise('192.0.2.1');
    expect(reputation.isSuspect('192.0.2.1')).toBe(false);
  });

  test('good handshakes from the same source outweigh them, but not without end', () => {
    const reputation = sourceReputation(() => 0);
    for (let i = 0; i < 100; i++) reputation.penalise('192.0.2.1');
    for (let i = 0; i < 10; i++) reputation.forgive('192.0.2.1');
    expect(reputation.isSuspect('192.0.2.1')).toBe(false);
    for (let i = 0; i < 5; i++) reputation.forgive('192.0.2.1');
    for (let i = 0; i < 3; i++) reputation.penalise('192.0.2.1');
    expect(reputation.isSuspect('192.0.2.1')).toBe(true);
  });

  test('an IPv6 /64 is one source', () => {
    const reputation = sourceReputation(() => 0);
    for (let i = 1; i <= 3; i++) reputation.penalise(`2001:db8::${i}`);
    expect(reputation.isSuspect('2001:db8::ffff')).toBe(true);
    expect(reputation.isSuspect('2001:db8:0:1::1')).toBe(false);
  });

  test('only so many are remembered', () => {
    const reputation = sourceReputation(() => 0);
    for (let i = 0; i < 3; i++) reputation.penalise('198.51.100.1');
    for (let i = 0; i < 65_536; i++) reputation.penalise(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
    expect(reputation.isSuspect('198.51.100.1')).toBe(false);
  });

  test('[H-A2] many /64s of a /56, a /48 or a /40 are suspect together, but not those of another', () => {
    const hostile = (count: number, sourceAt: (i: number) => string): ((source: string) => boolean) => {
      const reputation = sourceReputation(() => 0);
      for (let i = 0; i < count; i++) reputation.penalise(sourceAt(i));
      return reputation.isSuspect;
    };
    const of56 = (i: number): string => `2001:db8:1:2${i.toString(16).padStart(2, '0')}::1`;
    expect(hostile(11, of56)('2001:db8:1:2ff::1')).toBe(false);
    expect(['2001:db8:1:2ff::1', '2001:db8:1:3ff::1'].map(hostile(12, of56))).toEqual([true, false]);
    const of48 = (i: number): string => `2001:db8:1:${i.toString(16)}00::1`;
    expect(['2001:db8:1:ffff::1', '2001:db8:2:ffff::1'].map(hostile(48, of48))).toEqual([true, false]);
    const of40 = (i: number): string => `2001:db8:${i.toString(16)}::1`;
    expect(['2001:db8:ff::1', '2001:db8:100::1'].map(hostile(192, of40))).toEqual([true, false]);
    const of24 = (i: number): string => `192.0.2.${i}`;
    expect(['192.0.2.255', '192.0.3.255'].map(hostile(48, of24))).toEqual([true, false]);
  });

  test('[H-A2] one source does not make its neighbours suspect, however often it forges', () => {
    const reputation = sourceReputation(() => 0);
    for (let i = 0; i < 10_000; i++) reputation.penalise('192.0.2.1');
    expect(['192.0.2.1', '192.0.2.2'].map(reputation.isSuspect)).toEqual([true, false]);
  });
});
