import { expect } from 'vitest';
import { generateMakerKey, signAsMaker } from '../../../../crypto/maker-key.ts';
import { generateP256 } from '../../../../crypto/primitives.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { formatIpv6 } from '../../../../protocol/ipv6.ts';
import { encodeLabel, parseLabel, signLabel } from '../../../../protocol/label.ts';
import { pemBody } from '../../../../protocol/pem.ts';
import { makeBatch } from '../../device.ts';
import { applicant } from '../../registry/contract/place.ts';
import { anyPseudonym, makeRoster, rostered } from '../../rosters.ts';

import { NETWORK, PAGE, PEER, registry, run, setOnline } from './place.ts';

export async function inventory(): Promise<void> {
  const batch = makeBatch();
  const gid = toHex(batch.gid);
  const { gpk, basename } = batch;
  const claimed = { ...PEER, gid: batch.gid, suite: 1, proven: false };
  const knocks = { ...claimed, result: 'fabric.group-not-admitted' };
  for (let knock = 0; knock < 2; knock++)
    await registry.refused({ ...knocks, pseudonym: new Uint8Array(65) });
  await registry.refused({ source: 'unknown', proven: false, result: 'xtt.bad-message' }, 3);
  for (const prefix of [NETWORK, 'fd00:9::/64']) await run('network-add', { prefix, name: 'plant' });
  await run('network-rename', { prefix: NETWORK, name: 'plant 2', note: 'by the river' });
  await run('network-zone', { prefix: NETWORK, zone: 'Plant.Internal.' });
  await run('network-list', { limit: 9 });
  await run('network-zone', { prefix: NETWORK, zone: '' });
  for (const takes of ['resident', 'any'] as const) await run('network-takes', { prefix: NETWORK, takes });
  await run('network-list', { limit: 1 });

  await run('network-remove', { prefix: 'fd00:9::/64' });

  const box = { number: 1, boxes: 2, devices: 5 };
  const label = encodeLabel({ gpk, basename, name: 'batch 7', vendor: 'ACME', count: 9, box });
  await run('label-read', { label });
  const maker = generateMakerKey();
  const signed = await signLabel(parseLabel(label), async (message) =>
    signAsMaker(maker.secret, maker.publicKey, message),
  );
  await run('label-read', { label: signed, maker: pemBody(maker.publicKey) });
  await run('group-add', { label, network: NETWORK, announced: 5 });
  await run('label-read', { label });
  const other = makeBatch('other');
  await run('group-add', { label: other.label, network: NETWORK });
  await run('group-list', { limit: 1 });
  await run('group-remove', { gid: toHex(other.gid) });
  await run('group-change', { gid, name: 'batch 8', most: 4, countries: ['CH'] });
  await run('group-list', PAGE);

  const chips = [1, 2, 3, 4].map((end) =>
    applicant(batch, { source: `130.59.1.${end}`, pseudonym: anyPseudonym() }),
  );
  const [first, second, third, fourth] = (await Promise.all(chips.map((chip) => registry.admit(chip)))).map(
    (address) => ({ address, text: formatIpv6(address) }),
  ) as [Device, Device, Device, Device];
  setOnline(first.text);
  await registry.refused({ ...claimed, result: 'xtt.bad-signature' });
  const kept = { ...applicant(batch, PEER), proven: true, result: 'fabric.group-full' };
  await registry.refused(kept);
  for (let more = 0; more < 60; more++) await registry.admit(chips[0]!);
  registry.connected(first.address, '[2001:db8::7]:4433');
  registry.reported(first.address, { version: '1.1', failure: { code: 'tls.clock', seconds: 60 } });
  registry.clones(first.address, ['192.0.2.1:1', '192.0.2.2:2']);
  registry.disconnected(first.address);
  await run('group-arrivals', { gid });
  await run('group-show', { gid });
  const devices = [{ pseudonym: chips[0]!.pseudonym, serial: 'GW-1', resident: true }, ...rostered(3)];
  const roster = makeRoster(batch.gid, devices, { perBox: 2 });
  await run('roster-begin', { gid, header: roster.header });
  await run('roster-part', { gid, offset: 0, lines: roster.lines.toString('base64') });
  await run('roster-index', { gid });
  await run('roster-show', { gid });
  await run('roster-list', { gid, limit: 1 });
  await run('roster-standing', { gid, change: 'ban', box: 2 });
  await run('group-show', { gid });
  await run('device-name', { address: first.text, name: 'gw-1' });
  await run('roster-list', { gid, ...PAGE });
  await run('device-show', { address: first.text });
  await run('roster-remove', { gid });
  await run('group-status', { gid, status: 'suspended' });
  await run('group-status', { gid, status: 'active' });

  await run('device-name', { address: first.text, name: 'pump-1', note: 'by the door' });
  await run('device-list', { limit: 2 });
  await run('device-show', { address: 'pump-1' });
  await run('device-standing', { address: first.text, change: 'ban' });
  await run('device-standing', { address: first.text, change: 'unban' });
  await run('network-pool', { prefix: NETWORK, pool: 'fd00:a::/48' });
  await run('network-list', { limit: 1 });
  await run('group-delegate', { gid, granted: true });
  await run('group-show', { gid });
  await run('device-delegate', { address: first.text, granted: true });
  await run('device-delegate', { address: second.text, granted: true });
  await run('device-show', { address: first.text });
  await run('delegation-list', { limit: 1, prefix: NETWORK });
  await run('delegation-list', { ...PAGE, prefix: NETWORK });
  await run('group-delegate', { gid, granted: false });
  for (const { text } of [first, second]) await run('device-delegate', { address: text, granted: false });
  await run('delegation-list', { ...PAGE, prefix: NETWORK });
  await run('network-pool', { prefix: NETWORK, pool: '' });
  await run('device-replace', { address: first.text, by: second.text });
  await run('device-register', { network: NETWORK, key: toHex(generateP256().publicKey) });
  await run('device-retire', { address: third.text });
  await run('device-list', PAGE);
  await run('device-show', { address: second.text });
  for (const { text } of [third, fourth]) await run('device-show', { address: text });

  const named = { network: NETWORK, note: 'for repairs', devices: `group:${gid}`, traffic: 'tcp/22' };
  await run('rule-add', { ...named, action: 'allow', direction: 'out', with: 'network:plant 2' });
  await run('rule-add', { ...named, action: 'allow', direction: 'in', with: 'device:pump-1' });
  await run('rule-list', { ...PAGE, network: NETWORK });
  await run('rule-list', { limit: 1, network: NETWORK });
  await run('rule-test', { from: 'pump-1', to: fourth.text, traffic: 'tcp/22' });
  const { view: moved } = await run('rule-move', { id: 2, place: 1 });
  await run('rule-remove', { id: moved.id });

  await run('limit-max', { network: NETWORK, packets: 90, bytes: 900_000 });
  await run('limit-set', { network: NETWORK, direction: 'in', packets: 9 });
  for (const devices of [`group:${gid}`, 'device:pump-1'])
    await run('limit-set', { network: NETWORK, devices, packets: 8, bytes: 80_000 });
  await run('limit-list', { limit: 1, network: NETWORK });
  await run('limit-list', { ...PAGE, network: NETWORK });
  await run('device-show', { address: 'pump-1' });
  for (const devices of ['any', 'device:pump-1']) await run('limit-remove', { network: NETWORK, devices });

  await run('device-count', { gid, change: 'ban' });
  for (const standing of ['active', 'retired'] as const) {
    const { id } = await run('device-bulk', { standing, change: 'ban' });
    await expect.poll(async () => (await run('job-show', { id })).state).toBe('done');
    await run('job-cancel', { id });
  }
  await run('job-list', {});
  expect(fourth.text).toContain('fd00:');
}

interface Device {
  readonly address: Uint8Array;
  readonly text: string;
}
