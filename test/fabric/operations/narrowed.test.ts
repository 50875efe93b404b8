import { describe, expect, test } from 'vitest';
import { listHandshakes } from '../../../fabric/operations/audit.ts';
import { listDevices, nameDevice, setStanding, showDevice } from '../../../fabric/operations/devices.ts';
import {
  admitGroup,
  changeGroup,
  groupArrivals,
  listGroups,
  setGroupStatus,
  showGroup,
} from '../../../fabric/operations/groups.ts';
import { readLabel } from '../../../fabric/operations/labels.ts';
import { addNetwork, listNetworks, renameNetwork } from '../../../fabric/operations/networks.ts';
import { handshakeCountries, handshakeHours, overview } from '../../../fabric/operations/overview.ts';
import { searchFor } from '../../../fabric/operations/search.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { formatIpv6, parseIpv6 } from '../../../protocol/ipv6.ts';
import { encodeLabel } from '../../../protocol/label.ts';
import '../checked.ts';
import { makeBatch } from '../device.ts';
import { opened, registryFile, seenBy, type TestContext } from '../place.ts';
import { applicant } from '../registry/contract/place.ts';

const PLANT = 'fd00:1:2:3::/64';
const HARBOUR = 'fd00:1:2:4::/64';
const COUNTRIES: Readonly<Record<string, string>> = { '130.59.1.1': 'CH', '193.0.0.1': 'NL' };

function context(): TestContext {
  return {
    ...seenBy(opened(registryFile(), { locate: (source) => COUNTRIES[source] })),
    running: { notify: async () => 'in force', presence: async () => () => ({ online: false }) },
    actor: 'alice',
    now: Date.now,
  };
}

/** Two networks with a batch each; `devices` of the first, one of the second. */
async function fleet(devices: number) {
  const on = context();
  const [one, other] = [makeBatch(), makeBatch()];
  await addNetwork.run(on, { prefix: PLANT, name: 'plant' });
  await addNetwork.run(on, { prefix: HARBOUR, name: 'harbour' });
  await admitGroup.run(on, { label: one.label, network: PLANT, announced: 5 });
  await admitGroup.run(on, { label: other.label, network: HARBOUR });
  const addresses: string[] = [];
  for (let i = 0; i < devices; i++)
    addresses.push(formatIpv6(await on.registry.admit({ ...applicant(one), source: '130.59.1.1' })));
  const last = formatIpv6(await on.registry.admit({ ...applicant(other), source: '193.0.0.1' }));
  return { on, one, other, addresses, last };
}

const failed = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    ({ code }: { code: string }) => code,
  );

describe('a list of devices', () => {
  test('is narrowed by batch, network, standing and tunnel, and by all of them', async () => {
    const { on, one, other, addresses, last } = await fleet(3);
    const listed = async (filter: object): Promise<string[]> =>
      (await listDevices.run(on, { limit: 9, ...filter })).rows.map(({ address }) => address);
    await setStanding.run(on, { address: addresses[0]!, change: 'ban' });
    await setStanding.run(on, { address: addresses[1]!, change: 'evict' });
    expect(await listed({ gid: toHex(one.gid).slice(0, 8) })).toEqual(addresses);
    expect(await listed({ network: HARBOUR })).toEqual([last]);
    expect(await listed({ standing: 'banned' })).toEqual([addresses[0]]);
    expect(await listed({ standing: 'evicted' })).toEqual([addresses[1]]);
    expect(await listed({ standing: 'active' })).toEqual([addresses[2], last]);
    expect(await listed({ tunnel: 'never' })).toEqual([...addresses, last]);
    expect(await listed({ tunnel: 'open' })).toEqual([]);
    expect(await listed({ gid: toHex(other.gid), standing: 'banned' })).toEqual([]);
    expect(
      await listed({ gid: toHex(one.gid), standing: 'banned', tunnel: 'never', network: PLANT }),
    ).toEqual([addresses[0]]);
    await setGroupStatus.run(on, { gid: toHex(other.gid), status: 'suspended' });
    expect(await listed({ standing: 'suspended' })).toEqual([last]);
    expect(await failed(listed({ gid: '00000000' }))).toBe('fabric.unknown-group');
    expect(await failed(listed({ network: 'fe80::/64' }))).toBe('fabric.bad-network');
    expect(await failed(listed({ standing: 'lost' }))).toBe('fabric.bad-input');
    expect(await failed(listed({ colour: 'red' }))).toBe('fabric.bad-input');
  });

  test('goes on page by page, also when few rows of many fulfil the filter', async () => {
    const { on, addresses } = await fleet(30);
    const banned = [addresses[3]!, addresses[17]!, addresses[29]!];
    for (const address of banned) await setStanding.run(on, { address, change: 'ban' });
    const found: string[] = [];
    let after: string | undefined;
    do {
      const page = await listDevices.run(on, { limit: 1, after, tunnel: 'never', standing: 'banned' });
      found.push(...page.rows.map(({ address }) => address));
      after = page.next;
    } while (after !== undefined);
    expect(found).toEqual(banned);
  });

  test('is searched by the beginning of a name, and the end, beginning or whole of an address', async () => {
    const { on, addresses } = await fleet(3);
    await nameDevice.run(on, { address: addresses[1]!, name: 'berlin-3' });
    const found = async (q: string): Promise<string[]> =>
      (await listDevices.run(on, { limit: 9, q })).rows.map(({ address }) => address);
    const address = addresses[2]!;
    expect(await found('berl')).toEqual([addresses[1]]);
    expect(await found(' Berlin-3 ')).toEqual([addresses[1]]);
    expect(await found('erlin')).toEqual([addresses[1]]);
    expect(await found('elin')).toEqual([]);
    expect(await found(address)).toEqual([address]);
    expect(await found(address.slice(address.lastIndexOf(':') + 1))).toContain(address);
    expect(await found(address.toUpperCase())).toEqual([address]);
    expect(await found('100%')).toEqual([]);
  });

  test.each([
    ['55f2', { name: '55f2', end: Uint8Array.of(0x55, 0xf2) }],
    [':f2', { end: Uint8Array.of(0, 0xf2) }],
    ['fd00:1:2:3:4a2e:', { from: '0001000200034a2e', to: 'ffff' }],
    ['fd00:1:2:3:', {}],
    ['x y', {}],
  ])('the search for %j looks for %j', (text, expected) => {
    const { from, to, ...others } = searchFor(text);
    if ('from' in expected) {
      expect(toHex(from!)).toMatch(new RegExp(`${expected.from}0+$`));
      expect(toHex(to!)).toMatch(new RegExp(`${expected.to}$`));
    } else expect({ from, to, ...others }).toEqual({ from: undefined, to: undefined, ...expected });
  });
});

describe('a name', () => {
  test('is given, shown, changed and taken back, with a note; each is in the trail', async () => {
    const { on, addresses } = await fleet(2);
    const [address, other] = addresses as [string, string];
    const { view, effect } = await nameDevice.run(on, { address, name: 'berlin-3', note: 'behind the pump' });
    expect([view, effect]).toEqual([{ address, name: 'berlin-3', note: 'behind the pump' }, 'in force']);
    expect(await showDevice.run(on, { address })).toMatchObject({
      name: 'berlin-3',
      note: 'behind the pump',
    });
    expect(await failed(nameDevice.run(on, { address: other, name: 'berlin-3' }))).toBe('fabric.name-exists');
    for (const name of ['Berlin', 'berlin_3', '-berlin', 'b'.repeat(64)])
      expect(await failed(nameDevice.run(on, { address, name })), name).toBe('fabric.bad-input');
    expect(await failed(nameDevice.run(on, { address }))).toBe('fabric.bad-input');
    expect(await failed(nameDevice.run(on, { address: 'fd00::1', name: 'a' }))).toBe('fabric.unknown-device');
    await nameDevice.run(on, { address, name: '' });
    await nameDevice.run(on, { address: other, name: 'berlin-3' });
    expect(await showDevice.run(on, { address })).toMatchObject({ name: null, note: 'behind the pump' });
  });

  test('of a group and of a network changes; what was announced, too', async () => {
    const { on, one } = await fleet(1);
    const gid = toHex(one.gid);
    expect((await listGroups.run(on, { limit: 9 })).rows[0]).toMatchObject({ announced: 5 });
    expect((await changeGroup.run(on, { gid, name: 'Pumps' })).view).toMatchObject({
      name: 'Pumps',
      announced: 5,
    });
    expect((await changeGroup.run(on, { gid, announced: 0 })).view).toMatchObject({
      name: 'Pumps',
      announced: null,
    });
    expect(await failed(changeGroup.run(on, { gid }))).toBe('fabric.bad-input');
    expect(await failed(changeGroup.run(on, { gid, name: ' ' }))).toBe('fabric.bad-input');
    await renameNetwork.run(on, { prefix: PLANT, name: 'north plant' });
    expect((await listNetworks.run(on, { limit: 1 })).rows).toMatchObject([{ name: 'north plant' }]);
    expect(await failed(renameNetwork.run(on, { prefix: 'fd00:9::/64', name: 'n' }))).toBe(
      'fabric.unknown-network',
    );
  });

  test('keeps what is noted of a network, until somebody notes something else', async () => {
    const on = context();
    const prefix = 'fd00:9::/64';
    const noted = async () => (await listNetworks.run(on, { limit: 9, q: prefix })).rows[0]!.note;
    const { view } = await addNetwork.run(on, { prefix, name: 'annex', note: 'behind the dike' });
    expect(view.note).toBe('behind the dike');
    await renameNetwork.run(on, { prefix, name: 'annex 2' });
    expect(await noted()).toBe('behind the dike');
    await renameNetwork.run(on, { prefix, name: 'annex 2', note: 'under water' });
    expect(await noted()).toBe('under water');
    await renameNetwork.run(on, { prefix, name: 'annex 2', note: '' });
    expect(await noted()).toBeNull();
    expect(await failed(renameNetwork.run(on, { prefix, name: 'n', note: 'x'.repeat(501) }))).toBe(
      'fabric.bad-input',
    );
  });
});

describe('a name in place of an id', () => {
  test('is that of a device, a group or a network, if only one has it', async () => {
    const { on, one, addresses } = await fleet(2);
    const address = addresses[1]!;
    await nameDevice.run(on, { address, name: 'pump-7' });
    expect(await showDevice.run(on, { address: 'Pump-7' })).toMatchObject({ address });
    expect((await setStanding.run(on, { address: 'pump-7', change: 'ban' })).view).toMatchObject({ address });
    expect(await failed(showDevice.run(on, { address: 'pump-8' }))).toBe('fabric.unknown-device');

    expect(await failed(showGroup.run(on, { gid: 'batch 7' }))).toBe('fabric.ambiguous-group');
    await changeGroup.run(on, { gid: toHex(one.gid), name: 'Pumps' });
    expect(await showGroup.run(on, { gid: 'Pumps' })).toMatchObject({ gid: toHex(one.gid) });
    expect((await listDevices.run(on, { limit: 9, gid: 'Pumps' })).rows).toHaveLength(2);
    expect(await failed(showGroup.run(on, { gid: 'pumps' }))).toBe('fabric.unknown-group');

    expect((await listDevices.run(on, { limit: 9, network: 'harbour' })).rows).toHaveLength(1);
    await renameNetwork.run(on, { prefix: 'harbour', name: 'plant' });
    expect(await failed(listDevices.run(on, { limit: 9, network: 'plant' }))).toBe(
      'fabric.ambiguous-network',
    );
    for (const network of ['harbour', 'fd00:9::/64'])
      expect(await failed(listDevices.run(on, { limit: 9, network })), network).toBe(
        'fabric.unknown-network',
      );
  });
});

describe('a label', () => {
  test('says how many devices are expected, unless somebody says otherwise', async () => {
    const on = context();
    await addNetwork.run(on, { prefix: PLANT, name: 'plant' });
    for (const [given, expected] of [
      [undefined, 412],
      [500, 500],
      [0, null],
    ] as const) {
      const { gpk, basename, gid } = makeBatch();
      const label = encodeLabel({ gpk, basename, name: 'march', count: 412 });
      expect(await readLabel.run(on, { label })).toMatchObject({ announced: 412, group: null });
      const { view } = await admitGroup.run(on, { label, network: PLANT, announced: given });
      expect(view).toMatchObject({ gid: toHex(gid), announced: expected, most: null });
    }
    expect(await readLabel.run(on, { label: makeBatch().label })).toMatchObject({
      announced: null,
      box: null,
    });
    // The label of a box is that of its batch, and says which box it is of.
    const { gpk, basename, gid } = makeBatch();
    const box = { number: 2, boxes: 21, devices: 20 };
    const label = encodeLabel({
      gpk,
      basename,
      name: 'march',
      count: 412,
      box,
      signature: new Uint8Array(64),
    });
    expect(await readLabel.run(on, { label })).toMatchObject({
      announced: 412,
      box,
      signature: 'not-checked',
    });
    const { view } = await admitGroup.run(on, { label, network: PLANT });
    expect(view).toMatchObject({ gid: toHex(gid), announced: 412 });
    const of = { gpk, basename, name: 'march', count: 412, box: { ...box, number: 3 } };
    expect(await readLabel.run(on, { label: encodeLabel(of) })).toMatchObject({ group: { gid: toHex(gid) } });
  });

  test('is read: what it says, whether it is admitted, and since when its devices have tried', async () => {
    const on = context();
    const batch = makeBatch();
    await addNetwork.run(on, { prefix: PLANT, name: 'plant' });
    expect(await readLabel.run(on, { label: batch.label })).toMatchObject({
      gid: toHex(batch.gid),
      name: 'batch 7',
      group: null,
      knocking: null,
      signature: 'none',
      maker: null,
    });
    const refusal = { gid: batch.gid, proven: false, result: 'fabric.group-not-admitted' };
    for (const source of ['130.59.1.1', '193.0.0.1', '130.59.1.1'])
      await on.registry.refused({ ...refusal, source });
    await on.registry.refused({ ...refusal, gid: makeBatch().gid, source: '10.0.0.1' });
    const { knocking } = await readLabel.run(on, { label: batch.label });
    expect(knocking).toMatchObject({ attempts: 3, countries: ['CH', 'NL'] });
    await admitGroup.run(on, { label: batch.label, network: PLANT, status: 'suspended' });
    const { group, knocking: over } = await readLabel.run(on, { label: batch.label });
    expect(group).toMatchObject({ status: 'suspended', announced: null });
    expect(over).toBeNull();
    expect(await failed(on.registry.admit(applicant(batch)))).toBe('fabric.group-suspended');
    expect(await failed(readLabel.run(on, { label: 'ENF1:X' }))).toMatch(/^label\./);
  });
});

describe('handshakes', () => {
  test('are narrowed by batch as claimed, by result and by device', async () => {
    const { on, one, addresses } = await fleet(2);
    await on.registry.refused({
      gid: one.gid,
      source: '193.0.0.1',
      proven: false,
      result: 'xtt.bad-signature',
    });
    const results = async (filter: object): Promise<string[]> =>
      (await listHandshakes.run(on, { limit: 9, ...filter })).rows.map(({ result }) => result);
    expect(await results({ gid: toHex(one.gid) })).toEqual(['xtt.bad-signature', 'ok', 'ok']);
    expect(await results({ result: 'refused' })).toEqual(['xtt.bad-signature']);
    expect(await results({ result: 'ok' })).toHaveLength(3);
    expect(await results({ device: addresses[0] })).toEqual(['ok']);
    expect(await failed(results({ device: 'fd00::1' }))).toBe('fabric.unknown-device');
    expect(await failed(results({ gid: 'xyz' }))).toBe('bytes.bad-hex');
  });

  test('are counted by hour and country, devices by where they are; a batch shows who was refused', async () => {
    const { on, one } = await fleet(3);
    await on.registry.refused({ gid: one.gid, source: '193.0.0.1', proven: false, result: 'x.y' }, 9);
    const view = await overview.run(on, {});
    expect(view).toMatchObject({
      networks: 2,
      groups: 2,
      devices: { total: 4, online: 0, banned: 0, evicted: 0, suspended: 0 },
      handshakes: { ok: 4, refused: 10 },
      countries: [
        { country: 'CH', devices: 3, ok: 3, refused: 0 },
        { country: 'NL', devices: 1, ok: 1, refused: 10 },
      ],
    });
    expect(view.handshakes.hours).toHaveLength(24);
    expect(view.handshakes.hours.at(-1)).toMatchObject({ ok: 4, refused: 10 });
    expect((await handshakeHours.run(on, { hours: 3 })).rows).toHaveLength(3);
    expect((await handshakeCountries.run(on, {})).rows).toEqual(view.countries);
    const shown = await showGroup.run(on, { gid: toHex(one.gid) });
    expect(shown).toMatchObject({ devices: 3, connected: 0, announced: 5 });
    expect(shown.refusals).toMatchObject([{ result: 'x.y', country: 'NL' }]);
    expect((await groupArrivals.run(on, { gid: toHex(one.gid) })).rows.at(-1)).toMatchObject({ devices: 3 });
    expect(await failed(showGroup.run(on, { gid: '00000000' }))).toBe('fabric.unknown-group');
    expect(await failed(handshakeHours.run(on, { hours: 100_000 }))).toBe('fabric.bad-input');
  });

  test('and tunnels: how many devices of a batch have one, as they come and go', async () => {
    const { on, one, addresses } = await fleet(3);
    const connected = async (): Promise<number> =>
      (await showGroup.run(on, { gid: toHex(one.gid) })).connected;
    for (const address of addresses) on.registry.connected(parseIpv6(address), '193.0.0.1:4000');
    await expect.poll(connected).toBe(3);
    expect((await listDevices.run(on, { limit: 9, tunnel: 'open' })).rows).toHaveLength(3);
    expect((await overview.run(on, {})).devices.online).toBe(3);
    on.registry.disconnected(parseIpv6(addresses[0]!));
    await expect.poll(connected).toBe(2);
    on.registry.connected(parseIpv6(addresses[0]!), '193.0.0.1:4001');
    await expect.poll(connected).toBe(3);
    expect((await listDevices.run(on, { limit: 9, tunnel: 'never' })).rows).toHaveLength(1);
  });

  test('of a device that moves count for the country it is in', async () => {
    const { on, one } = await fleet(1);
    const chip = applicant(one);
    for (const source of ['130.59.1.1', '193.0.0.1', 'nowhere']) await on.registry.admit({ ...chip, source });
    const { countries } = await overview.run(on, {});
    expect(countries.map(({ country, devices }) => [country, devices])).toEqual([
      ['CH', 1],
      ['NL', 1],
      [null, 0],
    ]);
  });
});
