import { describe, expect, test } from 'vitest';
import { scopeOf } from '../../../../fabric/access/scope.ts';
import { isFailure } from '../../../../protocol/failure.ts';
import { allOf, anyGroup, type WholeRegistry } from '../../place.ts';
import { anyPseudonym, giveRoster, makeRoster, type Rostered, rostered } from '../../rosters.ts';
import { applicant, type OpenEmpty, withGroup } from './place.ts';

const outcome = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'ok',
    (error: unknown) => (isFailure(error) ? error.code : Promise.reject(error)),
  );

/** The devices that a maker has signed, and nobody else. */
export function rostersContract(openEmpty: OpenEmpty): void {
  const come = (registry: WholeRegistry, gid: Uint8Array, { pseudonym }: Rostered): Promise<Uint8Array> =>
    registry.admit({ ...applicant({ gid }), pseudonym: pseudonym! });
  const serials = async (
    registry: WholeRegistry,
    gid: Uint8Array,
    filter?: Parameters<WholeRegistry['rosterRows']>[2],
  ): Promise<(string | undefined)[]> =>
    (await allOf((page) => registry.rosterRows(gid, { ...page, limit: 2 }, filter))).map(
      ({ serial }) => serial,
    );

  describe('the roster of a group', () => {
    test('admits who is on it and refuses every other member; without one both come in', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const without = await registry.addGroup('owner', anyGroup('without'));
      const devices = rostered(3);
      const forged = { pseudonym: anyPseudonym() };
      // One whose key in the index is that of a device that is on it.
      const near = { pseudonym: devices[0]!.pseudonym.with(64, devices[0]!.pseudonym[64]! ^ 1) };
      await giveRoster(registry, group.gid, makeRoster(group.gid, devices), 1);
      for (const each of [forged, near]) {
        expect(await outcome(come(registry, without.gid, each))).toBe('ok');
        expect(await outcome(come(registry, group.gid, each))).toBe('fabric.not-on-roster');
      }
      expect((await registry.devices({ limit: 9 }, { gid: group.gid })).rows).toEqual([]);
      const [first] = devices;
      const address = await come(registry, group.gid, first!);
      expect(await come(registry, group.gid, first!)).toEqual(address);
      expect((await registry.roster(group.gid)).roster).toMatchObject({
        ...{ state: 'in-force', devices: 3, banned: 0 },
        inForce: { seen: 1, outside: 0 },
      });
    });

    test('shows each device before it comes, by serial number, box and whether it was seen', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const devices: Rostered[] = [
        ...rostered(9, 3),
        { serial: 'S2', resident: true },
        { pseudonym: anyPseudonym() },
      ];
      devices[5] = { ...devices[5]!, resident: false };
      await giveRoster(registry, group.gid, makeRoster(group.gid, devices, { perBox: 4 }));
      const address = await come(registry, group.gid, devices[5]!);
      const { gid } = group;
      const all = ['S3', 'S4', 'S5', 'S6', 'S7', 'S8', 'S9', 'S10', 'S11', 'S2', undefined];
      expect(await serials(registry, gid)).toEqual(all);
      expect(await serials(registry, gid, { box: 2 })).toEqual(['S7', 'S8', 'S9', 'S10']);
      expect(await serials(registry, gid, { box: 3 })).toEqual(['S11', 'S2', undefined]);
      expect(await serials(registry, gid, { box: 4 })).toEqual([]);
      expect(await serials(registry, gid, { from: 'S9' })).toEqual(['S9', 'S10', 'S11']);
      expect(await serials(registry, gid, { from: 'S2', to: 'S4' })).toEqual(['S2', 'S3', 'S4']);
      expect(await serials(registry, gid, { from: 'S9', box: 2 })).toEqual(['S9', 'S10']);
      expect(await serials(registry, gid, { to: 'S8', box: 2, seen: false })).toEqual(['S7']);
      expect(await serials(registry, gid, { serial: 'S7', box: 2 })).toEqual(['S7']);
      expect(await serials(registry, gid, { serial: 'S7', box: 1 })).toEqual([]);
      expect(await serials(registry, gid, { serial: 'S10' })).toEqual(['S10']);
      expect(await serials(registry, gid, { serial: 'S010' })).toEqual([]);
      expect(await serials(registry, gid, { seen: true })).toEqual(['S8']);
      expect(await serials(registry, gid, { seen: false, box: 2 })).toEqual(['S7', 'S9', 'S10']);
      const [row] = (await registry.rosterRows(gid, { limit: 9 }, { seen: true })).rows;
      expect(row).toMatchObject({
        ...{ line: 6, box: 2, serial: 'S8', banned: false, pseudonym: devices[5]!.pseudonym },
        device: { address, standing: 'active' },
      });
      expect((await registry.roster(gid)).roster).toMatchObject({ unnamed: 1, perBox: 4 });
      expect(await registry.rosterEntry(await registry.device(address))).toEqual({
        ...{ serial: 'S8', box: 2, resident: false },
      });
      const kept = (await registry.rosterRows(gid, { limit: 20 })).rows.map(({ resident }) => resident);
      expect(kept.slice(4, 10)).toEqual([undefined, false, undefined, undefined, undefined, true]);
    });

    test('lets a network take only devices whose chips keep their keys, if that is wanted', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const { gid, network } = group;
      const devices = rostered(3);
      const [kept, sealed, unsaid] = [
        { ...devices[0]!, resident: true },
        { ...devices[1]!, resident: false },
        devices[2]!,
      ];
      const all = [kept, sealed, unsaid];
      const outcomes = async (): Promise<string[]> => {
        const each = [];
        for (const device of all) each.push(await outcome(come(registry, gid, device)));
        return each;
      };
      const residentOnly = async () => (await registry.networks({ limit: 1 })).rows[0]!.residentOnly;
      expect(await residentOnly()).toBe(false);
      // Without a roster nobody says so of any.
      expect(await outcomes()).toEqual(['ok', 'ok', 'ok']);
      await registry.setResidentOnly('anna', network, true);
      expect(await residentOnly()).toBe(true);
      expect(await outcomes()).toEqual(Array(3).fill('fabric.not-resident'));
      await giveRoster(registry, gid, makeRoster(gid, all));
      expect(await outcomes()).toEqual(['ok', 'fabric.not-resident', 'fabric.not-resident']);
      // Whoever is in stays where it is.
      expect((await registry.devices({ limit: 9 })).rows.map(({ standing }) => standing)).toEqual(
        Array(3).fill('active'),
      );
      expect(await outcome(come(registry, gid, { pseudonym: anyPseudonym() }))).toBe('fabric.not-on-roster');
      await registry.setResidentOnly('anna', network, false);
      expect(await outcomes()).toEqual(['ok', 'ok', 'ok']);
      const [newest] = (await registry.audit({ limit: 99 })).rows.filter(
        ({ action }) => action === 'network.resident',
      );
      expect(newest).toMatchObject({ actor: 'anna', detail: { required: false } });
      await expect(
        registry.setResidentOnly('anna', { ...network, address: new Uint8Array(16) }, true),
      ).rejects.toMatchObject({ code: 'fabric.unknown-network' });
    });

    test('bans devices that have never come, and those that have, until they are unbanned', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const { gid } = group;
      const devices = rostered(450);
      await giveRoster(registry, gid, makeRoster(gid, devices, { perBox: 225 }));
      const seen = await come(registry, gid, devices[224]!);
      const change = async (of: object, change: 'ban' | 'unban') => {
        let [rows, changed, calls, after] = [0, 0, 0, undefined as string | undefined];
        do {
          const done = await registry.setRosterStanding('anna', gid, { of, change, after });
          expect(done.failures).toEqual([]);
          rows += done.rows;
          changed += done.changed;
          after = done.next;
          calls++;
        } while (after !== undefined);
        return { rows, changed, calls };
      };
      expect(await change({ box: 1 }, 'ban')).toEqual({ rows: 225, changed: 225, calls: 2 });
      expect(await outcome(come(registry, gid, devices[0]!))).toBe('fabric.device-banned');
      expect(await outcome(come(registry, gid, devices[224]!))).toBe('fabric.device-banned');
      expect(await outcome(come(registry, gid, devices[225]!))).toBe('ok');
      expect((await registry.device(seen)).standing).toBe('banned');
      expect((await registry.roster(gid)).roster).toMatchObject({ banned: 224, inForce: { seen: 2 } });
      expect(await serials(registry, gid, { banned: true, from: 'S224' })).toEqual(['S224', 'S225']);
      expect((await registry.devices({ limit: 9 })).rows).toHaveLength(2);
      const { rows } = await registry.audit({ limit: 9 });
      const bans = rows.filter(({ action }) => action === 'roster.ban');
      expect(bans.map(({ actor, detail }) => [actor, detail.devices, detail.from, detail.to])).toEqual([
        ['anna', 24, 'S201', 'S224'],
        ['anna', 200, 'S1', 'S200'],
      ]);
      expect(await change({ from: 'S2', to: 'S225' }, 'unban')).toMatchObject({ rows: 224, changed: 224 });
      expect(await outcome(come(registry, gid, devices[1]!))).toBe('ok');
      expect(await outcome(come(registry, gid, devices[224]!))).toBe('ok');
      expect(await outcome(come(registry, gid, devices[0]!))).toBe('fabric.device-banned');
      expect(await change({ serial: 'S1' }, 'unban')).toMatchObject({ rows: 1, changed: 1 });
      expect(await change({ serial: 'S1' }, 'unban')).toMatchObject({ rows: 1, changed: 0 });
      expect((await registry.roster(gid)).roster).toMatchObject({ banned: 0 });
      await registry.verifyAudit();
    });

    test('names devices by serial number, if that was chosen and the name is free', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const { gid } = group;
      const devices = [...rostered(2), { pseudonym: anyPseudonym(), serial: 'S 1' }];
      await giveRoster(registry, gid, makeRoster(gid, devices, { names: true }));
      const nameOf = async (address: Uint8Array) => (await registry.device(address)).name;
      const addresses = [];
      for (const device of devices) addresses.push(await come(registry, gid, device));
      expect(await Promise.all(addresses.map(nameOf))).toEqual(['s1', 's2', 's-1']);
      const found = await registry.devices({ limit: 10 }, { search: { text: 's-1' } });
      expect(found.rows.map(({ address }) => address)).toEqual([addresses[2]]);
      const other = await registry.addGroup('owner', anyGroup('other'));
      const more = [...rostered(1), { pseudonym: anyPseudonym() }];
      await giveRoster(registry, other.gid, makeRoster(other.gid, more, { names: true }));
      expect(await nameOf(await come(registry, other.gid, more[0]!))).toBeUndefined();
      expect(await nameOf(await come(registry, other.gid, more[1]!))).toBeUndefined();
    });

    test('is not in force before all of it has come, also if the program ends meanwhile', async () => {
      const open = await openEmpty();
      let registry = await open();
      const { prefix: network } = await registry.addNetwork('owner', anyGroup().network, 'plant');
      const { gid } = await registry.addGroup('owner', { ...anyGroup(), network });
      const devices = rostered(1_000);
      const roster = makeRoster(gid, devices);
      const { lines, known } = roster;
      const cut = lines.indexOf(0x0a, lines.length / 2) + 1;
      expect(await registry.beginRoster('owner', gid, known)).toEqual({ offset: 0 });
      expect(await registry.addRosterPart(gid, 0, lines.subarray(0, cut))).toEqual({ offset: cut });
      expect(await registry.beginRoster('owner', gid, known)).toEqual({ offset: cut });
      expect((await registry.roster(gid)).roster).toMatchObject({ state: 'arriving', received: cut });
      expect(await outcome(registry.indexRoster('owner', gid))).toBe('roster.incomplete');
      expect(await outcome(registry.rosterRows(gid, { limit: 1 }))).toBe('fabric.no-roster');
      const ban = { of: { serial: 'S1' }, change: 'ban' as const };
      expect(await outcome(registry.setRosterStanding('owner', gid, ban))).toBe('fabric.no-roster');
      // Who is not on it comes in still.
      const outside = { pseudonym: anyPseudonym() };
      await come(registry, gid, outside);
      expect(await outcome(registry.addRosterPart(gid, 0, lines))).toBe('roster.out-of-step');

      // Another program knows what is kept, and no hash of it.
      registry = await open();
      expect(await outcome(registry.addRosterPart(gid, cut, lines.subarray(cut)))).toBe('roster.out-of-step');
      expect(await registry.beginRoster('owner', gid, known)).toEqual({ offset: 0 });
      const third = lines.indexOf(0x0a, cut / 3) + 1;
      expect(await registry.addRosterPart(gid, 0, lines.subarray(0, third))).toEqual({ offset: third });
      expect((await registry.roster(gid)).roster).toMatchObject({ received: cut });
      await registry.addRosterPart(gid, third, lines.subarray(third));
      expect((await registry.roster(gid)).roster).toMatchObject({ state: 'indexing', indexed: 0 });

      registry = await open();
      expect(await registry.beginRoster('owner', gid, known)).toEqual({ offset: lines.length });
      await giveRoster(registry, gid, roster);
      expect((await registry.roster(gid)).roster).toMatchObject({
        ...{ state: 'in-force', indexed: 1_000 },
        inForce: { seen: 0, outside: 1 },
      });
      expect(await outcome(come(registry, gid, outside))).toBe('fabric.not-on-roster');
      expect(await outcome(come(registry, gid, devices[999]!))).toBe('ok');
      expect(await outcome(registry.rosterRows(gid, { limit: 1 }, { box: 1 }))).toBe('roster.no-boxes');
      const found = await registry.devices({ limit: 9 }, { roster: 'outside' });
      expect(found.rows.map(({ pseudonym }) => pseudonym)).toEqual([outside.pseudonym]);
      expect((await registry.roster(gid)).roster).toMatchObject({ inForce: { seen: 1, outside: 1 } });
      const [entry] = (await registry.audit({ limit: 9 })).rows.filter(
        ({ action }) => action === 'roster.add',
      );
      expect(entry).toMatchObject({ actor: 'owner', detail: { devices: 1_000, outside: 1 } });
    });

    test('that is another than the one signed is refused, and nothing of it stays', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const { gid } = group;
      const roster = makeRoster(gid, rostered(2_400));
      const { lines, known } = roster;
      const send = async (bytes: Uint8Array, from = known): Promise<string> => {
        const { offset } = await registry.beginRoster('owner', gid, from);
        return outcome(registry.addRosterPart(gid, offset, bytes.subarray(offset)));
      };
      const forged = Buffer.from(lines.toString().replace('S2400', 'S2401'));
      expect(await send(forged)).toBe('roster.changed');
      expect((await registry.roster(gid)).roster).toBeUndefined();
      expect(await send(Buffer.concat([lines, lines]))).toBe('roster.changed');
      expect(await send(lines, { ...known, devices: 2_399 })).toBe('roster.changed');
      const torn = lines.subarray(0, lines.length / 2);
      expect(await send(torn)).toBe('roster.bad-row');
      // What came before that is kept, and is no other one's beginning.
      expect((await registry.roster(gid)).roster!.received).toBeGreaterThan(0);
      expect(await send(Buffer.from(lines.toString().replace('S1"', 'S7"')))).toBe('roster.changed');
      expect(await send(Buffer.from('{}\nnot a device\n'))).toBe('roster.bad-row');
      const twice = rostered(3);
      const doubled = makeRoster(gid, [...twice, { ...twice[0]!, serial: 'S9' }]);
      expect(await send(doubled.lines, doubled.known)).toBe('ok');
      await expect(registry.indexRoster('owner', gid)).rejects.toMatchObject({
        code: 'roster.duplicate',
        message: expect.stringContaining('lines 1 and 4'),
      });
      expect((await registry.roster(gid)).roster).toBeUndefined();
      await giveRoster(registry, gid, roster);
      expect(await serials(registry, gid, { from: 'S2399' })).toEqual(['S2399', 'S2400']);
    });

    test('is awaited by a group that was added so, of one maker only; taken away, each member comes in', async () => {
      const { registry } = await withGroup(openEmpty);
      const devices = rostered(1);
      const added = anyGroup('waiting');
      const roster = makeRoster(added.gid, devices);
      const { gid } = await registry.addGroup('owner', { ...added, maker: roster.known.maker });
      expect(await registry.roster(gid)).toEqual({ awaited: true });
      expect(await outcome(come(registry, gid, devices[0]!))).toBe('fabric.roster-awaited');
      const other = makeRoster(gid, devices);
      expect(await outcome(registry.beginRoster('owner', gid, other.known))).toBe('roster.other-maker');
      await giveRoster(registry, gid, roster);
      expect((await registry.roster(gid)).awaited).toBe(false);
      await giveRoster(registry, gid, roster);
      const same = makeRoster(gid, rostered(1), { maker: roster.maker });
      expect(await outcome(registry.beginRoster('owner', gid, same.known))).toBe('fabric.roster-exists');
      const outside = { pseudonym: anyPseudonym() };
      expect(await outcome(come(registry, gid, outside))).toBe('fabric.not-on-roster');
      await registry.removeRoster('anna', gid);
      expect(await registry.roster(gid)).toEqual({ awaited: false });
      expect(await outcome(come(registry, gid, outside))).toBe('ok');
      expect(await outcome(registry.removeRoster('anna', gid))).toBe('fabric.no-roster');
      const [entry] = (await registry.audit({ limit: 9 })).rows.filter(({ actor }) => actor === 'anna');
      expect(entry).toMatchObject({ action: 'roster.remove', detail: { name: 'waiting', inForce: true } });
      await giveRoster(registry, gid, other);
      expect((await registry.roster(gid)).roster).toMatchObject({ inForce: { outside: 1 } });
    });

    test('[H-E22] whom it has kept out is found, as long as it would be kept out still', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const { gid } = group;
      await giveRoster(registry, gid, makeRoster(gid, rostered(1)));
      const refusal = { source: '192.0.2.1', proven: true, result: 'fabric.not-on-roster' };
      for (let times = 0; times < 3; times++) await registry.refused({ ...refusal, gid });
      expect(await registry.beyondLimits(0)).toMatchObject([
        { kind: 'group.off-roster', detail: { name: 'batch', times: 3 } },
      ]);
      await registry.removeRoster('owner', gid);
      expect(await registry.beyondLimits(0)).toEqual([]);
    });

    test('keeps no more of what a stolen key makes, each time another chip, than of those who prove nothing', async () => {
      const { registry, group } = await withGroup(openEmpty, { refusalsKept: 10 });
      const { gid } = group;
      const refusal = { gid, proven: true, result: 'fabric.not-on-roster' };
      for (let n = 0; n < 1_000; n++)
        registry.refused({ ...refusal, source: `${n}`, pseudonym: anyPseudonym() });
      await registry.refused({ ...refusal, source: 'last', pseudonym: anyPseudonym() }, 41);
      expect((await allOf((page) => registry.handshakes(page))).length).toBeLessThan(20);
      const counts = await registry.handshakeCounts();
      expect(counts).toMatchObject([{ result: 'fabric.not-on-roster' }]);
      expect(counts[0]!.times).toBeGreaterThan(1_000);
    });

    test('goes with its group, which has no devices, and is found again for another one of that id', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const { gid } = group;
      const devices = rostered(1);
      await giveRoster(registry, gid, makeRoster(gid, devices));
      await registry.removeGroup('owner', gid);
      expect(await outcome(registry.roster(gid))).toBe('fabric.unknown-group');
      await registry.addGroup('owner', group);
      expect(await registry.roster(gid)).toEqual({ awaited: false });
    });

    test('is of the owner whose group it is: for others there is no such group', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const { gid } = group;
      const roster = makeRoster(gid, rostered(2));
      await giveRoster(registry, gid, roster);
      const { id } = await registry.addOwner('root', 'umbra');
      const other = registry.of(scopeOf(id, false));
      const unknown = 'fabric.unknown-group';
      expect(await outcome(other.roster(gid))).toBe(unknown);
      expect(await outcome(other.rosterRows(gid, { limit: 1 }))).toBe(unknown);
      expect(await outcome(other.beginRoster('x', gid, roster.known))).toBe(unknown);
      expect(await outcome(other.addRosterPart(gid, 0, roster.lines))).toBe(unknown);
      expect(await outcome(other.indexRoster('x', gid))).toBe(unknown);
      const ban = { of: { serial: 'S1' }, change: 'ban' as const };
      expect(await outcome(other.setRosterStanding('x', gid, ban))).toBe(unknown);
      expect(await outcome(other.removeRoster('x', gid))).toBe(unknown);
      expect((await registry.roster(gid)).roster).toMatchObject({ state: 'in-force', banned: 0 });
    });
  });
}
