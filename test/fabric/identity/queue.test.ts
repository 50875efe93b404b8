import { describe, expect, test } from 'vitest';
import { type Job, lanes } from '../../../fabric/identity/queue.ts';
import { suspectList } from '../../../fabric/identity/reputation.ts';

/** Jobs that say when they ran or were dropped, and end when told to. */
function workshop() {
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

describe('lanes', () => {
  test('everybody is served in order, as many at a time as there are places', async () => {
    const { story, job, end } = workshop();
    const queue = lanes({ running: 2, now: () => 0 });
    for (const name of ['a', 'b', 'c', 'd']) queue.enter(false, job(name));
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

  test('suspects wait until there is little to do, whoever came first', async () => {
    const { story, job, end } = workshop();
    const queue = lanes({ running: 3, idle: 1, now: () => 0 });
    queue.enter(false, job('a'));
    queue.enter(true, job('suspect'));
    queue.enter(false, job('b'));
    expect(story).toEqual(['a', 'b']);
    await end('a');
    expect(story).toEqual(['a', 'b']);
    await end('b');
    expect(story).toEqual(['a', 'b', 'suspect']);
  });

  test('a suspect that waited too long is dropped instead of served', async () => {
    let now = 0;
    const { story, job, end } = workshop();
    const queue = lanes({ running: 1, idle: 1, patienceMs: 100, now: () => now });
    queue.enter(false, job('a'));
    queue.enter(true, job('early'));
    now = 50;
    queue.enter(true, job('late'));
    now = 120;
    await end('a');
    expect(story).toEqual(['a', 'no early', 'late']);
  });

  test('a full lane drops the newcomer, not those who wait', async () => {
    const { story, job, end } = workshop();
    const queue = lanes({ running: 1, waiting: { everybody: 2, suspects: 1 }, now: () => 0 });
    for (const name of ['a', 'b', 'c', 'd']) queue.enter(false, job(name));
    queue.enter(true, job('s'));
    queue.enter(true, job('t'));
    expect(story).toEqual(['a', 'no d', 'no t']);
    await end('a');
    await end('b');
    expect(story).toEqual(['a', 'no d', 'no t', 'b', 'c']);
  });

  test('newcomers are sent away before they work in vain: suspects first', async () => {
    const { job, end } = workshop();
    const queue = lanes({ running: 2, idle: 1, waiting: { everybody: 4, suspects: 4 }, now: () => 0 });
    expect([queue.crowded(false), queue.crowded(true)]).toEqual([false, false]);
    queue.enter(false, job('a'));
    expect([queue.crowded(false), queue.crowded(true)]).toEqual([false, true]);
    queue.enter(false, job('b'));
    queue.enter(false, job('c'));
    expect([queue.crowded(false), queue.crowded(true)]).toEqual([true, true]);
    await end('a', 'b');
    await end('c');
    expect([queue.crowded(false), queue.crowded(true)]).toEqual([false, false]);
  });

  test('a job that fails gives its place back', async () => {
    const { story, job } = workshop();
    const queue = lanes({ running: 1, now: () => 0 });
    queue.enter(false, { run: () => Promise.resolve().finally(() => story.push('failed')), drop: () => {} });
    queue.enter(false, job('next'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(story).toEqual(['failed', 'next']);
  });

  test('dismissing drops all that wait, and keeps order in long queues', async () => {
    const { story, job, end } = workshop();
    const queue = lanes({ running: 1, waiting: { everybody: 5_000, suspects: 5 }, now: () => 0 });
    for (let i = 0; i < 3_000; i++) queue.enter(false, job(String(i)));
    queue.enter(true, job('s'));
    for (let i = 0; i < 2_500; i++) await end(String(i));
    expect(story).toEqual(Array.from({ length: 2_501 }, (_, i) => String(i)));
    queue.dismiss();
    expect(story.slice(2_501)).toHaveLength(500);
    expect(story.at(-1)).toBe('no s');
    expect(queue.load).toBe(1);
  });
});

describe('suspects', () => {
  test('three refusals more than good handshakes make one, for a minute after the last', () => {
    let now = 0;
    const list = suspectList(() => now);
    for (let i = 0; i < 2; i++) list.blame('192.0.2.1');
    expect(list.isSuspect('192.0.2.1')).toBe(false);
    list.blame('192.0.2.1');
    expect(list.isSuspect('192.0.2.1')).toBe(true);
    expect(list.isSuspect('192.0.2.2')).toBe(false);
    now = 59_999;
    expect(list.isSuspect('192.0.2.1')).toBe(true);
    now = 60_000;
    expect(list.isSuspect('192.0.2.1')).toBe(false);
    list.blame('192.0.2.1');
    expect(list.isSuspect('192.0.2.1')).toBe(false);
  });

  test('good handshakes from the same source outweigh them, but not without end', () => {
    const list = suspectList(() => 0);
    for (let i = 0; i < 100; i++) list.blame('192.0.2.1');
    for (let i = 0; i < 10; i++) list.trust('192.0.2.1');
    expect(list.isSuspect('192.0.2.1')).toBe(false);
    for (let i = 0; i < 5; i++) list.trust('192.0.2.1');
    for (let i = 0; i < 3; i++) list.blame('192.0.2.1');
    expect(list.isSuspect('192.0.2.1')).toBe(true);
  });

  test('an IPv6 /64 is one source', () => {
    const list = suspectList(() => 0);
    for (let i = 1; i <= 3; i++) list.blame(`2001:db8::${i}`);
    expect(list.isSuspect('2001:db8::ffff')).toBe(true);
    expect(list.isSuspect('2001:db8:0:1::1')).toBe(false);
  });

  test('only so many are remembered', () => {
    const list = suspectList(() => 0);
    for (let i = 0; i < 3; i++) list.blame('198.51.100.1');
    for (let i = 0; i < 65_536; i++) list.blame(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
    expect(list.isSuspect('198.51.100.1')).toBe(false);
  });
});
