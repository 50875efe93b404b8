import { expect, test } from 'vitest';
import { entityTag, names, shownBy } from '../../../fabric/api/etags.ts';
import { idempotency } from '../../../fabric/api/idempotency.ts';
import { CATALOGUE } from '../../../fabric/operations/contract/catalogue.ts';
import { Failure } from '../../../protocol/failure.ts';

const ASKED = {
  caller: 'alice',
  owner: 1,
  key: 'k-1',
  operation: 'network-add',
  input: { prefix: 'fd00::/64' },
};
const refused = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    ({ code }: { code: string }) => code,
  );

test('a request with the same key is done once, also while the first is under way', async () => {
  const { once } = idempotency(() => 0);
  let times = 0;
  const work = async (): Promise<number> => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return ++times;
  };
  expect(await Promise.all([once(ASKED, work), once(ASKED, work)])).toEqual([1, 1]);
  expect(await once(ASKED, work)).toBe(1);
  expect(await once({ ...ASKED, key: 'k-2' }, work)).toBe(2);
  // Keys are each caller's own.
  expect(await once({ ...ASKED, caller: 'bob' }, work)).toBe(3);
});

test('a key that is no key, or of another request, is refused', async () => {
  const { once } = idempotency(() => 0);
  const work = async (): Promise<number> => 1;
  await once(ASKED, work);
  expect(await refused(once({ ...ASKED, input: { prefix: 'fd01::/64' } }, work))).toBe('request.key-reused');
  expect(await refused(once({ ...ASKED, operation: 'network-remove' }, work))).toBe('request.key-reused');
  for (const key of ['', 'a b', 'x'.repeat(65), 'ä'])
    expect(await refused(once({ ...ASKED, key }, work))).toBe('request.bad-key');
});

test('neither a refusal nor an answer that holds a secret is remembered', async () => {
  const { once } = idempotency(() => 0);
  let times = 0;
  const failing = async (): Promise<never> => {
    times++;
    throw new Failure('fabric.network-exists', 'operator', 'there is one', { action: 'Look.' });
  };
  const both = await Promise.all([refused(once(ASKED, failing)), refused(once(ASKED, failing))]);
  expect([both, times]).toEqual([['fabric.network-exists', 'fabric.network-exists'], 1]);
  expect(await refused(once(ASKED, failing))).toBe('fabric.network-exists');
  expect(times).toBe(2);
  expect(await once(ASKED, async () => 'done')).toBe('done');
  const secret = { ...ASKED, key: 'k-3', operation: 'token-create' };
  let made = 0;
  for (let i = 0; i < 2; i++) await once(secret, async () => ++made);
  expect(made).toBe(2);
  expect(['token-create', 'person-invite', 'hook-add'].every((name) => name in CATALOGUE)).toBe(true);
});

test('keys are forgotten after a day, and the oldest of a caller who has a hundred; nobody else loses one', async () => {
  let clock = 0;
  const { once } = idempotency(() => clock);
  let times = 0;
  const work = async (): Promise<number> => ++times;
  await once({ ...ASKED, caller: 'bob' }, work);
  for (let i = 0; i < 150; i++) await once({ ...ASKED, key: `k-${i}` }, work);
  const before = times;
  await once({ ...ASKED, key: 'k-149' }, work);
  expect(times).toBe(before);
  await once({ ...ASKED, key: 'k-3' }, work);
  expect(times).toBe(before + 1);
  expect(await once({ ...ASKED, caller: 'bob' }, work)).toBe(1);
  clock += 24 * 3_600_000;
  await once({ ...ASKED, caller: 'bob' }, work);
  expect(times).toBe(before + 2);
});

test('whoever is refused, with however many tokens, makes nobody lose a key', async () => {
  const { once } = idempotency(() => 0);
  let times = 0;
  const work = async (): Promise<number> => ++times;
  await once(ASKED, work);
  const bad = async (): Promise<never> => {
    throw new Failure('access.bad-token', 'operator', 'no such token', { action: 'Make one.' });
  };
  for (let i = 0; i < 500; i++)
    expect(await refused(once({ ...ASKED, caller: `guess-${i}` }, bad))).toBe('access.bad-token');
  expect(await once(ASKED, work)).toBe(1);
});

test('callers of one owner make those of another lose no key', async () => {
  const { once } = idempotency(() => 0);
  let times = 0;
  const work = async (): Promise<number> => ++times;
  await once(ASKED, work);
  for (let i = 0; i < 150; i++) await once({ ...ASKED, caller: `robot ${i}`, owner: 2 }, work);
  expect(await once(ASKED, work)).toBe(1);
  expect(await once({ ...ASKED, caller: 'robot 149', owner: 2 }, work)).toBe(151);
  expect(await once({ ...ASKED, caller: 'robot 0', owner: 2 }, work)).toBe(152);
  // The same caller for another owner has asked for something else.
  expect(await once({ ...ASKED, owner: 2 }, work)).toBe(153);
});

test('an answer that is too long to be kept is given all the same', async () => {
  const { once } = idempotency(() => 0);
  const long = 'x'.repeat(20_000);
  expect(await once(ASKED, async () => long)).toBe(long);
  expect(await once(ASKED, async () => 'anew')).toBe('anew');
});

test('an entity tag is the same for the same view, and another one for another', () => {
  const tag = entityTag('{"a":1}');
  expect(tag).toMatch(/^"[\w-]{22}"$/);
  expect(entityTag('{"a":1}')).toBe(tag);
  expect(entityTag('{"a":2}')).not.toBe(tag);
  for (const header of [tag, `"x", ${tag}`, '*', `W/${tag}`]) expect(names(header, tag)).toBe(true);
  for (const header of ['', '"x"', tag.slice(1)]) expect(names(header, tag)).toBe(false);
});

test('changes of a device and a group have something with a tag, others have not', () => {
  const shown = Object.values(CATALOGUE)
    .filter(({ method }) => method !== 'GET')
    .map(({ path }) => [path, shownBy(path)?.operation] as const);
  expect(shown).toContainEqual(['/devices/{address}/standing', 'device-show']);
  expect(shown).toContainEqual(['/groups/{gid}', 'group-show']);
  expect(shown).toContainEqual(['/devices/bulk', undefined]);
  expect(shown).toContainEqual(['/networks', undefined]);
});
