import { describe, expect, test } from 'vitest';
import { listDevices, nameDevice, setStanding } from '../../../fabric/operations/devices.ts';
import { retireDevice } from '../../../fabric/operations/endings.ts';
import { admitGroup, changeGroup, listGroups } from '../../../fabric/operations/groups.ts';
import { addNetwork, listNetworks } from '../../../fabric/operations/networks.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { makeBatch } from '../device.ts';
import { opened, registryFile, type TestContext } from '../place.ts';
import { applicant } from '../registry/contract/place.ts';

const PLANT = 'fd00:1:2:3::/64';

/** A batch whose devices get identifiers that count: `:aa:0:0:1` and so on. */
async function fleet(devices: number) {
  let counter = 0;
  const path = registryFile();
  const registry = opened(path, {
    identifier: () => Uint8Array.of(0, 0xaa, 0, 0, 0, 0, ...[++counter >> 8, counter & 255]),
  });
  const on: TestContext = {
    registry,
    running: { notify: async () => 'in force', presence: async () => undefined },
    actor: 'alice',
    now: Date.now,
  };
  const batch = makeBatch();
  await addNetwork.run(on, { prefix: PLANT, name: 'Plant North' });
  await admitGroup.run(on, { label: batch.label, network: PLANT });
  const gid = toHex(batch.gid);
  await changeGroup.run(on, { gid, name: 'Pumps of 2026' });
  const addresses: string[] = [];
  for (let i = 0; i < devices; i++) addresses.push(formatIpv6(await registry.admit(applicant(batch))));
  const found = async (q: string, filter: object = {}): Promise<string[]> =>
    (await listDevices.run(on, { limit: 1_000, q, ...filter })).rows.map(({ address }) => address);
  return { on, path, gid, addresses, found };
}

describe('[H-E25] a search for devices', () => {
  test('finds of an address that is being typed what stands behind its network, and never all of a network', async () => {
    const { addresses, found } = await fleet(3);
    const [one] = addresses as [string];
    // fd00:1:2:3:aa::1
    expect(await found('fd00:1:2:3:a')).toEqual([]);
    expect(await found('fd00:1:2:3:aa')).toEqual([]);
    expect(await found('fd00:1:2:3:aa::1')).toEqual([one]);
    expect(await found('fd00:1:2:3:00aa')).toEqual(addresses);
  });

  test('finds any three characters of a name or a note, as they are now', async () => {
    const { on, addresses, found } = await fleet(3);
    const [one, two, three] = addresses as [string, string, string];
    await nameDevice.run(on, { address: one, name: 'berlin-north-3', note: 'Hinter der "Pumpe", Türe 7' });
    await nameDevice.run(on, { address: two, note: 'north gate' });
    expect(await found('lin')).toEqual([one]);
    expect(await found('n-north')).toEqual([one]);
    expect(await found('NORTH')).toEqual([one, two]);
    expect(await found('türe')).toEqual([one]);
    expect(await found('"pumpe"')).toEqual([one]);
    for (const nothing of ['ürx', 'lin AND ber', '"', "'--", 'name:ber', '*in*', 'NOT', '(((', '%%%'])
      expect(await found(nothing), nothing).toEqual([]);
    await nameDevice.run(on, { address: one, name: 'hamburg' });
    expect(await found('rlin')).toEqual([]);
    expect(await found('mbu')).toEqual([one]);
    expect(await found('hinter')).toEqual([one]);
    await nameDevice.run(on, { address: one, name: '', note: '' });
    expect(await found('mbu')).toEqual([]);
    await nameDevice.run(on, { address: three, name: 'munich' });
    await retireDevice.run(on, { address: three });
    expect(await found('uni')).toEqual([]);
  });

  test('finds any three characters of the last four groups of an address, also of devices that came later', async () => {
    const { on, addresses, found } = await fleet(300);
    expect(await found('aa:0:0:12c')).toEqual([addresses[299]]);
    expect(await found(':0:0:a1')).toEqual([addresses[0xa1 - 1]]);
    expect(await found('0:AA:0')).toEqual([]);
    expect(await found('aa:0')).toEqual(addresses);
    // Two addresses that stand side by side are not one text.
    expect(await found(':1:aa')).toEqual([]);
    const batch = makeBatch();
    await admitGroup.run(on, { label: batch.label, network: PLANT });
    const later = formatIpv6(await on.registry.admit(applicant(batch)));
    expect(await found('0:12d')).toEqual([later]);
  });

  test('finds the devices of groups that are called so, and is narrowed by all else', async () => {
    const { on, gid, addresses, found } = await fleet(5);
    expect(await found('pumps')).toEqual(addresses);
    expect(await found('of 2026')).toEqual(addresses);
    await nameDevice.run(on, { address: addresses[3]!, name: 'alone' });
    expect(await found('alone', { gid: gid.slice(0, 8), tunnel: 'never', network: PLANT })).toEqual([
      addresses[3],
    ]);
    expect(await found('alone', { standing: 'banned' })).toEqual([]);
    expect(await found('pumps', { standing: 'banned' })).toEqual([]);
  });

  test('finds letters of every alphabet, large or small, however they are composed', async () => {
    const { on, gid, addresses, found } = await fleet(1);
    const composed = 'Wärmepumpen ÖSTLICH'.normalize('NFC');
    const apart = composed.normalize('NFD');
    for (const [written, sought] of [
      [composed, apart],
      [apart, composed],
    ] as const) {
      await changeGroup.run(on, { gid, name: written });
      await nameDevice.run(on, { address: addresses[0]!, note: '' });
      for (const q of ['östlich', 'ÖSTLICH', 'wÄrme'])
        for (const text of [q.normalize('NFC'), q.normalize('NFD')]) {
          expect(await found(text), text).toEqual(addresses);
          expect((await listGroups.run(on, { limit: 9, q: text })).rows, text).toHaveLength(1);
        }
      expect((await listDevices.run(on, { limit: 9, gid: sought })).rows).toHaveLength(1);
      await changeGroup.run(on, { gid, name: 'x' });
      await nameDevice.run(on, { address: addresses[0]!, note: written });
      expect(await found(sought)).toEqual(addresses);
    }
    await addNetwork.run(on, { prefix: 'fd00:9::/64', name: apart });
    expect((await listNetworks.run(on, { limit: 9, q: 'östl'.normalize('NFC') })).rows).toHaveLength(1);
    expect((await listDevices.run(on, { limit: 9, network: composed })).rows).toEqual([]);
  });

  test('goes on page by page, beyond what is found at once, each device once', async () => {
    const { on, addresses } = await fleet(2_300);
    const all = async (filter: object): Promise<string[]> => {
      const found: string[] = [];
      let after: string | undefined;
      do {
        const page = await listDevices.run(on, { limit: 700, after, q: 'pumps', ...filter });
        found.push(...page.rows.map(({ address }) => address));
        after = page.next;
      } while (after !== undefined);
      return found;
    };
    expect(await all({})).toEqual(addresses);
    // By its name it is found before all that are found by their group were looked at.
    const late = addresses[2_000]!;
    await nameDevice.run(on, { address: late, name: 'pumps-x' });
    await setStanding.run(on, { address: late, change: 'ban' });
    expect(await all({ standing: 'banned' })).toEqual([late]);
    const rare = await listDevices.run(on, { limit: 5, q: 'aa:0', standing: 'evicted' });
    expect(rare).toEqual({ rows: [], next: undefined });
  });

  test('is the same beside a registry that was filled before', async () => {
    const { on, path, addresses } = await fleet(4);
    await nameDevice.run(on, { address: addresses[2]!, name: 'hamburg' });
    const registry = opened(path);
    const found = async (q: string) =>
      (await listDevices.run({ ...on, registry }, { limit: 9, q })).rows.length;
    expect([await found('mbur'), await found('0:0:3'), await found('pumps')]).toEqual([1, 1, 4]);
  });
});

describe('[H-E25] a search for groups and networks', () => {
  test('finds what their name, id or prefix has in it', async () => {
    const { on, gid } = await fleet(0);
    const groups = async (q: string) =>
      (await listGroups.run(on, { limit: 9, q })).rows.map(({ name }) => name);
    const networks = async (q: string) =>
      (await listNetworks.run(on, { limit: 9, q })).rows.map(({ name }) => name);
    for (const q of ['UMP', 'of 2', gid.slice(20, 26), `${gid.slice(0, 4)} ${gid.slice(4, 8)}`])
      expect(await groups(q), q).toEqual(['Pumps of 2026']);
    expect(await groups('xyz')).toEqual([]);
    for (const q of ['nort', '1:2:3', ':/64'.slice(1)]) expect(await networks(q), q).toEqual(['Plant North']);
    expect(await networks('south')).toEqual([]);
  });

  test('goes on page by page, also where few fit', async () => {
    const { on } = await fleet(0);
    for (let i = 0; i < 30; i++)
      await addNetwork.run(on, {
        prefix: `fd00:9:0:${i.toString(16)}::/64`,
        name: i % 7 === 0 ? `odd ${i}` : 'even',
      });
    const found: string[] = [];
    let after: string | undefined;
    do {
      const page = await listNetworks.run(on, { limit: 2, after, q: 'odd' });
      found.push(...page.rows.map(({ name }) => name));
      after = page.next;
    } while (after !== undefined);
    expect(found).toEqual(['odd 0', 'odd 7', 'odd 14', 'odd 21', 'odd 28']);
  });
});
