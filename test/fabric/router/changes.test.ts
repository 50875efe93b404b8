import { expect, test } from 'vitest';
import type { Listener } from '../../../fabric/registry/admission.ts';
import { followChanges } from '../../../fabric/router/reviews.ts';

/** Followed changes, what is done about them, and what of that fails. */
function place() {
  const done: string[] = [];
  const failing = new Set<string>();
  const act = (what: string): void => {
    done.push(what);
    if (failing.has(what)) throw new Error(what);
  };
  const heard: Record<string, Listener<never>> = {};
  const end = followChanges({
    admission: {
      onChange: (device, group, all) => {
        Object.assign(heard, { device, group, all });
        return () => act('end');
      },
    },
    threads: { forget: () => act('forget'), forgetAll: () => act('forget all') },
    arrivals: { casChanged: () => act('CAs') },
    sessions: { ofGroup: () => [] },
    reviews: {
      async one() {
        act('review one');
        await Promise.resolve();
        done.push('reviewed');
      },
      some: async () => act('review some'),
      all: async () => act('review all'),
      close: () => {},
    },
  });
  const hear = async (what: 'device' | 'group' | 'all'): Promise<void> => {
    await heard[what]!(new Uint8Array(16) as never);
  };
  return { done, failing, hear, end };
}

test('sessions are looked at after each change, and whoever waits for it waits for that', async () => {
  const { done, hear, end } = place();
  await hear('device');
  expect(done.splice(0)).toEqual(['forget', 'review one', 'reviewed']);
  await hear('group');
  expect(done.splice(0)).toEqual(['CAs', 'review some']);
  await hear('all');
  expect(done.splice(0)).toEqual(['forget all', 'CAs', 'review all']);
  end();
  expect(done).toEqual(['end']);
});

test('sessions are looked at also if the threads cannot be told what to forget', async () => {
  const { done, failing, hear } = place();
  for (const what of ['forget', 'forget all', 'CAs']) failing.add(what);
  await expect(hear('device')).rejects.toThrow('forget');
  expect(done.splice(0)).toEqual(['forget', 'review one', 'reviewed']);
  await expect(hear('group')).rejects.toThrow('CAs');
  expect(done.splice(0)).toEqual(['CAs', 'review some']);
  await expect(hear('all')).rejects.toThrow('CAs');
  expect(done).toEqual(['forget all', 'CAs', 'review all']);
});
