import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { generateMakerKey } from '../../../crypto/maker-key.ts';
import type { RosterDeviceView, RosterStatusView } from '../../../fabric/operations/views/rosters.ts';
import { connect } from '../../../fabric/registry/sqlite/connect.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { parseTrust } from '../../../protocol/identity/trust.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { type Chip, makeBatch, provision } from '../device.ts';
import { scratch } from '../place.ts';
import { makeRoster, rostered } from '../rosters.ts';
import { fabricProgram } from './program.ts';

const fabric = fabricProgram();
const NETWORK = 'fd00:1:2:3::/64';

async function founded() {
  const folder = scratch();
  const at = ['--data', join(folder, 'fabric')];
  const { trust } = await fabric.json<{ trust: string }>('init', ...at);
  await fabric.json('network', 'add', NETWORK, '--name', 'plant', ...at);
  return { folder, at, root: parseTrust(readFileSync(trust, 'utf8')).xttRoot };
}

const pseudonymOf = async (chip: Chip): Promise<Uint8Array> => (await chip(new Uint8Array(64))).slice(-65);

test('[H-E26] a batch is admitted with its roster, whose devices are seen, named, and banned before they come', async () => {
  const { folder, at, root } = await founded();
  const batch = makeBatch();
  const gid = toHex(batch.gid).slice(0, 12);
  const chips = await Promise.all([1, 2, 3].map(() => batch.chip()));
  const devices = await Promise.all(
    chips.map(async (chip, i) => ({ pseudonym: await pseudonymOf(chip), serial: `GW-${i + 1}` })),
  );
  const roster = makeRoster(batch.gid, devices, { perBox: 2 });
  const file = roster.write(join(folder, 'march.roster'));
  const key = join(folder, 'maker.pub');
  writeFileSync(key, roster.maker.publicKey);
  const serving = await fabric.serve(at[1]!);
  const add = ['group', 'add', '--label', batch.label, '--network', 'plant', ...at];
  // Without a roster it is the label that has to be signed, and this one is not.
  expect(await fabric.refusal(...add, '--maker', key)).toMatchObject({ code: 'label.other-maker' });
  const strange = join(folder, 'strange.pub');
  writeFileSync(strange, generateMakerKey().publicKey);
  expect(await fabric.refusal(...add, '--roster', file, '--maker', strange)).toMatchObject({
    code: 'roster.other-maker',
  });
  const foreign = makeRoster(makeBatch().gid, devices).write(join(folder, 'foreign.roster'));
  expect(await fabric.refusal(...add, '--roster', foreign)).toMatchObject({ code: 'roster.other-group' });
  expect(await fabric.refusal(...add, '--roster', key)).toMatchObject({ code: 'roster.bad-header' });
  expect(await fabric.json('group', 'list', ...at)).toEqual([]);

  const added = await fabric.run(...add, '--roster', file, '--maker', key, '--name-by-serial');
  expect(added.out).toContain('is in force (in force): 0 of 3 devices have been seen.');
  expect(added.out).toContain(
    `Compare with the key that the maker has told you: ${toHex(roster.known.maker)}`,
  );
  expect(await fabric.refusal(...add, '--roster', file)).toMatchObject({
    code: 'fabric.group-exists',
    action: expect.stringContaining('enf-fabric roster add'),
  });
  const come = (chip: Chip) => provision({ port: serving.identityPort, root, gid: batch.gid, chip });
  const refused = { code: 'xtt.error-received' };
  await expect(come(await batch.chip())).rejects.toMatchObject(refused);
  const [newest] = (await fabric.json<{ result: string }[]>('audit', '--handshakes', ...at)).slice(-1);
  expect(newest).toMatchObject({ result: 'fabric.not-on-roster' });
  const address = formatIpv6((await come(chips[0]!)).identity);

  const list = (...narrowed: string[]) =>
    fabric.json<RosterDeviceView[]>('roster', 'list', gid, ...narrowed, ...at);
  expect(await list()).toMatchObject([
    { serial: 'GW-1', box: 1, device: { address, name: 'gw-1', standing: 'active' } },
    { serial: 'GW-2', box: 1, device: null, banned: false },
    { serial: 'GW-3', box: 2, device: null },
  ]);
  const ban = await fabric.run('roster', 'ban', gid, '--box', '1', ...at);
  expect(ban.out).toMatch(/of 2 devices 2 were banned/);
  await expect(come(chips[1]!)).rejects.toMatchObject(refused);
  await expect(come(chips[0]!)).rejects.toMatchObject(refused);
  await come(chips[2]!);
  expect((await list('--state', 'banned')).map(({ serial }) => serial)).toEqual(['GW-1', 'GW-2']);
  expect((await list('--from', 'GW-2', '--to', 'GW-10')).map(({ serial }) => serial)).toEqual([
    'GW-2',
    'GW-3',
  ]);
  const text = await fabric.run('roster', 'list', gid, '--state', 'unseen', ...at);
  expect(text.out).toMatch(/GW-2\s+1\s+-\s+banned, not yet seen/);
  await fabric.json('roster', 'unban', gid, '--serial', 'GW-2', ...at);
  await come(chips[1]!);
  const shown = await fabric.run('roster', 'show', gid, ...at);
  expect(shown.out).toContain('3 of 3 devices have been seen.');
  expect(await fabric.refusal('roster', 'ban', gid, ...at)).toMatchObject({ code: 'fabric.bad-input' });
  expect(await fabric.refusal('roster', 'ban', gid, '--box', '0', ...at)).toMatchObject({
    code: 'cli.bad-option',
  });

  expect(await fabric.refusal('roster', 'remove', gid, ...at)).toMatchObject({
    code: 'fabric.not-confirmed',
  });
  await fabric.json('roster', 'remove', gid, '--yes', ...at);
  await come(await batch.chip());
  const without = await fabric.run('roster', 'show', gid, ...at);
  expect(without.out).toContain("Whoever has the issuer's key can make such devices.");
  expect(await fabric.refusal('roster', 'list', gid, ...at)).toMatchObject({ code: 'fabric.no-roster' });
});

/** So many that whoever gives them is killed meanwhile. */
const DEVICES = 40_000;

test('[H-E26] a roster that was interrupted goes on, whoever was killed, and is not in force before', async () => {
  const { folder, at } = await founded();
  const batch = makeBatch();
  const gid = toHex(batch.gid).slice(0, 12);
  const roster = makeRoster(batch.gid, rostered(DEVICES));
  const file = roster.write(join(folder, 'march.roster'));
  await fabric.json('group', 'add', '--label', batch.label, '--network', 'plant', ...at);
  const show = () => fabric.json<RosterStatusView>('roster', 'show', gid, ...at);
  const give = () => fabric.start('roster', 'add', gid, '--roster', file, ...at);
  const registry = connect(join(at[1]!, 'registry.db'), { readonly: true });
  onTestFinished(() => void registry.close());
  const received = registry.prepare('SELECT ifnull(max(received), 0) FROM roster').pluck();
  let kept = 0;
  for (const whom of ['the command', 'the fabric', 'the fabric']) {
    const serving = await fabric.serve(at[1]!);
    const command = give();
    // It goes on from where it was. A command that looks takes a while, in which everything may arrive.
    await expect.poll(() => received.get(), { interval: 1 }).toBeGreaterThan(kept);
    if (whom === 'the command') command.kill('SIGKILL');
    else await serving.stop('SIGKILL');
    if (whom === 'the command') await serving.stop();
    else command.kill('SIGKILL');
    const shown = (await show()).roster!;
    expect(shown.received).toBeGreaterThan(kept);
    expect(shown.received).toBeLessThan(roster.lines.length);
    expect(shown.state).toBe('arriving');
    kept = shown.received;
  }
  expect(await fabric.json('roster', 'add', gid, '--roster', file, ...at)).toMatchObject({
    roster: { state: 'in-force', devices: DEVICES, received: roster.lines.length, indexed: DEVICES },
  });
  const last = await fabric.json('roster', 'list', gid, '--from', `S${DEVICES - 1}`, ...at);
  expect(last).toMatchObject([{ serial: `S${DEVICES - 1}` }, { serial: `S${DEVICES}` }]);
});
