import { expect, test } from 'vitest';
import { remoteClient } from '../../../fabric/api/client.ts';
import { createToken } from '../../../fabric/operations/people/tokens.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { parsePrefix } from '../../../protocol/ipv6.ts';
import { makeBatch } from '../device.ts';
import { opened, registryFile, seenBy } from '../place.ts';
import { makeRoster, rostered } from '../rosters.ts';
import { served } from './console.ts';

const NETWORK = 'fd00:1:2:3::/64';

async function place() {
  const registry = opened(registryFile());
  const { port } = await served(registry);
  const running = { notify: async () => '', presence: async () => undefined };
  const on = { ...seenBy(registry), running, actor: 'alice', now: Date.now };
  const { token } = await createToken.run(on, { name: 'x', role: 'operator', days: 1 });
  const run = remoteClient({ url: new URL(`http://127.0.0.1:${port}`), token });
  const send = (path: string, body: object) =>
    fetch(`http://127.0.0.1:${port}/api/v1${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  await registry.addNetwork('alice', parsePrefix(NETWORK), 'plant');
  return { run, send };
}

test('[H-E26] a roster comes over the API in parts that are longer than other bodies, and its devices are listed and banned', async () => {
  const { run, send } = await place();
  const batch = makeBatch();
  const roster = makeRoster(batch.gid, rostered(1_500), { perBox: 100 });
  await run('group-add', { label: batch.label, network: NETWORK, roster: roster.header });
  const gid = toHex(batch.gid);
  expect(await run('group-show', { gid })).toMatchObject({ rosterAwaited: true, roster: null });
  const { lines } = roster;
  let { offset } = await run('roster-begin', { gid, header: roster.header });
  const middle = lines.indexOf(0x0a, lines.length / 2) + 1;
  for (const end of [middle, lines.length]) {
    const part = lines.subarray(offset, end).toString('base64');
    expect(part.length).toBeGreaterThan(100_000);
    ({ offset } = await run('roster-part', { gid, offset, lines: part }));
  }
  const { view } = await run('roster-index', { gid });
  expect(view).toMatchObject({
    rosterAwaited: false,
    roster: { state: 'in-force', seen: 0, devices: 1_500, perBox: 100, maker: toHex(roster.known.maker) },
  });
  const first = await run('roster-list', { gid, limit: 2, box: 3, state: 'unseen' });
  expect(first.rows.map(({ serial }) => serial)).toEqual(['S201', 'S202']);
  const second = await run('roster-list', { gid, limit: 1, box: 3, state: 'unseen', after: first.next! });
  expect(second.rows.map(({ serial, box }) => [serial, box])).toEqual([['S203', 3]]);
  const { id } = await run('roster-standing', { gid, change: 'ban', from: 'S1499' });
  await expect.poll(async () => (await run('job-show', { id })).state).toBe('done');
  expect(await run('job-show', { id })).toMatchObject({ rows: 2, changed: 2, operation: 'roster-standing' });
  const banned = await run('roster-list', { gid, limit: 9, state: 'banned' });
  // They are behind the rows that one call looks at.
  const more =
    banned.rows.length > 0
      ? banned
      : await run('roster-list', { gid, limit: 9, state: 'banned', after: banned.next! });
  expect(more.rows.map(({ serial, device }) => [serial, device])).toEqual([
    ['S1499', null],
    ['S1500', null],
  ]);

  for (const nobody of [{ serial: 'S01' }, { box: 16 }, { from: 'S1501' }])
    await expect(run('roster-standing', { gid, change: 'ban', ...nobody })).rejects.toMatchObject({
      code: 'roster.no-such-device',
    });

  const long = { offset: 0, lines: 'e30K'.repeat(300_000) };
  expect((await send(`/groups/${gid}/roster/parts`, long)).status).toBe(413);
  expect((await send('/networks', { prefix: 'x'.repeat(70_000), name: 'n' })).status).toBe(413);
});

test.each([
  [{ serial: ' S1' }, 'fabric.bad-input'],
  [{ serial: 'S1', from: 'S1' }, 'fabric.bad-input'],
  [{}, 'fabric.bad-input'],
  [{ box: 0 }, 'fabric.bad-input'],
  [{ box: 1 }, 'fabric.no-roster'],
])('a ban of %j is refused: %s', async (part, code) => {
  const { run } = await place();
  const batch = makeBatch();
  await run('group-add', { label: batch.label, network: NETWORK });
  const gid = toHex(batch.gid);
  await expect(run('roster-standing', { gid, change: 'ban', ...part })).rejects.toMatchObject({ code });
  expect((await run('job-list', {})).rows).toEqual([]);
});

test('a part that is none is refused, and nothing of it is kept', async () => {
  const { run } = await place();
  const batch = makeBatch();
  await run('group-add', { label: batch.label, network: NETWORK });
  const gid = toHex(batch.gid);
  const roster = makeRoster(batch.gid, rostered(3));
  const part = (lines: string) => run('roster-part', { gid, offset: 0, lines });
  await expect(part(roster.lines.toString('base64'))).rejects.toMatchObject({ code: 'roster.out-of-step' });
  await run('roster-begin', { gid, header: roster.header });
  for (const lines of ['', '!!!!', roster.lines.subarray(0, -1).toString('base64')])
    await expect(part(lines)).rejects.toMatchObject({ code: 'fabric.bad-input' });
  expect((await run('roster-show', { gid })).roster).toMatchObject({ state: 'arriving', received: 0 });
});
