import { describe, expect, test } from 'vitest';
import type { Identifier } from '../../../../fabric/registry/address.ts';
import type { Applicant, City, Device } from '../../../../fabric/registry/records.ts';
import type { NewGroup, RegistryOptions } from '../../../../fabric/registry/registry.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { isFailure } from '../../../../protocol/failure.ts';
import { formatIpv6 } from '../../../../protocol/ipv6.ts';
import {
  allOf,
  anyGroup,
  NETWORK,
  opened,
  type WholeRegistry as Registry,
  random,
  registryFile,
} from '../../place.ts';
import { anyPseudonym, giveRoster, makeRoster, type Rostered } from '../../rosters.ts';
import { applicant, type OpenEmpty, ZERO } from './place.ts';

const START = Date.parse('2026-11-30T09:00:00Z');
const DAY = 86_400_000;
const city: City = {
  country: 'CH',
  region: 'Zurich',
  city: 'Uster',
  point: { latitude: 47.3471, longitude: 8.7209, radiusKm: 20 },
};
const COUNTRIES: Readonly<Record<string, string>> = {
  '192.0.2.1': 'CH',
  '192.0.2.2': 'NL',
  '10.0.0.1': 'private',
};

/** The same for both registries of a test: of the chip alone, and two that begin alike have the same first one. */
const identifier: Identifier = (_key, pseudonym, counter) =>
  Uint8Array.of(0xaa, ...pseudonym.subarray(1, 7), pseudonym[7]! + counter);

type Listed = Rostered & { readonly pseudonym: Uint8Array };

/** The chip again, with another key. */
const renewed = (chip: Applicant, fields: Partial<Applicant> = {}): Applicant => ({
  ...chip,
  longtermKey: random(65),
  ...fields,
});

const outcome = (admission: Promise<Uint8Array>): Promise<string> =>
  admission.then(formatIpv6, (error: unknown) => (isFailure(error) ? error.code : Promise.reject(error)));

/** Chips that wait together are admitted together where an engine can: what is written is the same. */
export function togetherContract(openEmpty: OpenEmpty): void {
  describe('chips that come together', () => {
    test('are answered as those that come one after the other, and leave the same rows', async () => {
      const groups = ['open', 'other', 'small', 'closed'].map((name) => anyGroup(name));
      const [open, other, small, closed] = groups as [NewGroup, NewGroup, NewGroup, NewGroup];
      const pair = await sideBySide(openEmpty, groups);
      const { together, single, come, both } = pair;
      await both((registry) => registry.changeGroup('owner', small.gid, { most: 2 }));
      await both((registry) => registry.setGroupStatus('owner', closed.gid, 'suspended'));

      const chips = Array.from({ length: 12 }, (_, n) =>
        applicant(n % 3 === 0 ? other : open, { source: `192.0.2.${n % 4}`, suite: 1 + (n % 4) }),
      );
      const twin = applicant(open);
      const alike = applicant(other, {
        pseudonym: Uint8Array.from([...twin.pseudonym.subarray(0, 8), ...random(57)]),
      });
      const first = await come([
        ...chips,
        ...[
          twin,
          alike,
          applicant(anyGroup()),
          applicant(closed),
          applicant(open, { requested: random(16) }),
        ],
        ...Array.from({ length: 4 }, () => applicant(small)),
      ]);
      expect(first.filter((each) => each === 'fabric.group-full')).toHaveLength(2);
      expect(new Set(first.slice(0, 14)).size).toBe(14);

      const addressOf = async (chip: Applicant): Promise<Uint8Array> =>
        (await allOf((page) => single.devices(page))).find(
          ({ pseudonym }) => toHex(pseudonym) === toHex(chip.pseudonym),
        )!.address;
      const [banned, evicted, retired] = await Promise.all(chips.slice(0, 3).map(addressOf));
      await both((registry) => registry.setStanding('owner', banned!, 'ban'));
      await both((registry) => registry.setStanding('owner', evicted!, 'evict'));
      await both((registry) => registry.retireDevice('owner', retired!));
      pair.now += 60_000;
      const second = await come([
        ...chips.map((chip) => renewed(chip)),
        ...[renewed(alike), renewed(chips[5]!), renewed(chips[5]!, { source: '192.0.2.9' }), chips[6]!],
        renewed(chips[7]!, { requested: random(16) }),
        renewed(chips[8]!, { requested: await addressOf(chips[8]!) }),
        // From another country, and one that says nothing.
        ...[renewed(chips[9]!, { source: '192.0.2.2' }), renewed(chips[10]!, { source: '10.0.0.1' })],
        applicant(open),
      ]);
      expect(second.slice(0, 3)).toEqual(['fabric.device-banned', first[1], 'fabric.device-retired']);

      // Entries and rows of a device are no more than so many; what is beyond is counted, and later forgotten.
      const several = [...chips.slice(3, 6), alike];
      for (let n = 0; n < 52; n++) {
        pair.now += 1_000;
        await Promise.all(
          several.map((chip) => together.admit(renewed(chip, { longtermKey: chip.longtermKey.with(1, n) }))),
        );
        for (const chip of several)
          await single.admit(renewed(chip, { longtermKey: chip.longtermKey.with(1, n) }));
      }
      for (const later of [0, DAY, 2 * DAY, 500 * DAY]) {
        pair.now += later;
        await come([...several.map((chip) => renewed(chip)), applicant(other)]);
      }
      await together.verifyAudit();
    }, 120_000);

    test('also where there are a roster and limits', async () => {
      const groups = [
        ...['named', 'plain', 'few', 'swiss'].map((name) => anyGroup(name)),
        { ...anyGroup('waits'), maker: random(32) },
      ];
      const [named, plain, few, swiss, waits] = groups as [NewGroup, NewGroup, NewGroup, NewGroup, NewGroup];
      const pair = await sideBySide(openEmpty, groups);
      const { single, come, both } = pair;
      const serials = ['GW-0001', 'A_b/C 7', `${'9'.repeat(62)}.x`, 'S1', 's 1', 'taken', 'banned'];
      const [onNamed, onPlain] = [0, 1].map(() => [
        ...serials.map((serial) => ({ pseudonym: anyPseudonym(), serial, resident: true })),
        { pseudonym: anyPseudonym(), resident: false },
        { pseudonym: anyPseudonym(), serial: 'unsaid' },
      ]) as [Listed[], Listed[]];
      const rosters = [makeRoster(named.gid, onNamed, { names: true }), makeRoster(plain.gid, onPlain)];
      await both(async (registry) => {
        await giveRoster(registry, named.gid, rosters[0]!);
        await giveRoster(registry, plain.gid, rosters[1]!);
        for (const { gid } of [named, plain])
          await registry.setRosterStanding('owner', gid, { of: { serial: 'banned' }, change: 'ban' });
        await registry.changeGroup('owner', few.gid, { most: 5 });
        await registry.changeGroup('owner', swiss.gid, { countries: ['CH', 'private', 'unknown'] });
      });
      const oneOfFew = applicant(few);
      await come([oneOfFew]);
      const [{ address }] = (await allOf((page) => single.devices(page))) as [Device];
      await both((registry) => registry.nameDevice('owner', address, { name: 'taken' }));

      const of = ({ gid }: NewGroup, { pseudonym }: Listed, n: number): Applicant =>
        applicant({ gid }, { pseudonym, source: `192.0.2.${n % 4}` });
      const chips = [
        ...onNamed.map((each, n) => of(named, each, n)),
        ...onPlain.map((each, n) => of(plain, each, n)),
        ...Array.from({ length: 4 }, () => applicant(few)),
        ...['192.0.2.1', '10.0.0.1', '192.0.2.9'].map((source) => applicant(swiss, { source })),
      ];
      const first = await come(chips);
      expect(first.filter((each) => each === 'fabric.device-banned')).toHaveLength(2);
      const names = (await allOf((page) => single.devices(page))).map(({ name }) => name);
      expect(names.filter((name) => name !== undefined).sort()).toEqual([
        '9'.repeat(62),
        'a-b-c-7',
        'gw-0001',
        's-1',
        's1',
        'taken',
        'unsaid',
      ]);

      pair.now += 60_000;
      const again = chips.map((chip) => renewed(chip));
      const off = [
        ...[named, plain, waits].map((group) => applicant(group)),
        of(named, { pseudonym: onNamed[0]!.pseudonym.with(64, onNamed[0]!.pseudonym[64]! ^ 1) }, 0),
        ...[of(named, onPlain[0]!, 0), applicant(few), applicant(swiss, { source: '192.0.2.2' })],
      ];
      const second = await come([...again, ...off]);
      expect(second.slice(0, chips.length)).toEqual(first);
      expect(second.slice(chips.length)).toEqual([
        ...['fabric.not-on-roster', 'fabric.not-on-roster', 'fabric.roster-awaited'],
        ...['fabric.not-on-roster', 'fabric.not-on-roster', 'fabric.group-full', 'fabric.country-unexpected'],
      ]);

      await both((registry) => registry.setResidentOnly('owner', NETWORK, true));
      pair.now += 60_000;
      const third = await come(again.map((chip) => renewed(chip)));
      expect(third.slice(0, onNamed.length)).toEqual([
        ...first.slice(0, serials.length - 1),
        ...['fabric.device-banned', 'fabric.not-resident', 'fabric.not-resident'],
      ]);
      expect(new Set(third.slice(2 * onNamed.length))).toEqual(new Set(['fabric.not-resident']));
      await pair.together.verifyAudit();
    }, 120_000);

    test('an error of one of them is that one’s alone', async () => {
      const broken: Identifier = (_key, pseudonym, counter) => {
        if (pseudonym[0] === 0xee) throw new Error('no identifier');
        return identifier(_key, pseudonym, counter);
      };
      const registry = await (await openEmpty())({ identifier: broken });
      await registry.addNetwork('owner', NETWORK, 'plant');
      const group = await registry.addGroup('owner', anyGroup());
      const chips = Array.from({ length: 6 }, (_, n) =>
        applicant(group, { pseudonym: random(65).with(0, n === 3 ? 0xee : 4) }),
      );
      const done = await Promise.allSettled(chips.map((chip) => registry.admit(chip)));
      expect(done.map(({ status }) => status)).toEqual(
        chips.map((_, n) => (n === 3 ? 'rejected' : 'fulfilled')),
      );
      expect(await allOf((page) => registry.devices(page))).toHaveLength(5);
      expect(await allOf((page) => registry.handshakes(page))).toHaveLength(5);
      await registry.verifyAudit();
    });

    test('a device that comes twice at once has the key of the later one', async () => {
      const registry = await (await openEmpty())({ identifier });
      await registry.addNetwork('owner', NETWORK, 'plant');
      const group = await registry.addGroup('owner', anyGroup());
      for (const requested of [ZERO, undefined]) {
        const chip = applicant(group, requested === undefined ? {} : { requested });
        const again = { ...chip, longtermKey: random(65) };
        const [one, other] = await Promise.all([registry.admit(chip), registry.admit(again)]);
        expect(other).toEqual(one);
        expect((await registry.device(one)).longtermKey).toEqual(again.longtermKey);
        expect(await allOf((page) => registry.handshakes(page, { device: chip }))).toHaveLength(2);
      }
    });
  });
}

interface Pair {
  /** The registry of the engine that is tested, and a file, whose engine knows one way only. */
  readonly together: Registry;
  readonly single: Registry;
  now: number;
  /** The chips come together to the one, and one after the other to the other: with the same answers, which it returns, and the same rows. */
  come(applicants: readonly Applicant[]): Promise<readonly string[]>;
  both(change: (registry: Registry) => Promise<unknown>): Promise<void>;
}

/** Two registries with these groups. */
async function sideBySide(openEmpty: OpenEmpty, groups: readonly NewGroup[]): Promise<Pair> {
  const state = { now: START };
  const options: RegistryOptions = {
    now: () => state.now,
    identifier,
    locate: (source) => COUNTRIES[source],
    cityOf: (source) => (source === '192.0.2.1' ? city : undefined),
  };
  const [together, single] = [await (await openEmpty())(options), opened(registryFile(), options)];
  const pair: Pair = Object.assign(state, {
    ...{ together, single },
    async come(applicants: readonly Applicant[]) {
      const answers = await Promise.all(applicants.map((each) => outcome(together.admit(each))));
      const others: string[] = [];
      for (const each of applicants) others.push(await outcome(single.admit(each)));
      expect(answers).toEqual(others);
      expect(await rowsOf(together, groups)).toEqual(await rowsOf(single, groups));
      return answers;
    },
    async both(change: (registry: Registry) => Promise<unknown>) {
      for (const each of [together, single]) await change(each);
    },
  });
  await pair.both(async (registry) => {
    await registry.addNetwork('owner', NETWORK, 'plant');
    for (const group of groups) await registry.addGroup('owner', group);
  });
  return pair;
}

/** All that admissions write, in an order of its own. */
async function rowsOf(registry: Registry, groups: readonly { readonly gid: Uint8Array }[]) {
  const devices = await allOf((page) => registry.devices(page));
  const text = (row: unknown): string =>
    JSON.stringify(row, (_, value) => (value instanceof Uint8Array ? toHex(value) : value));
  const sorted = (rows: Iterable<unknown>): string[] => Array.from(rows, text).sort();
  const audit = await allOf((page) => registry.audit(page));
  return {
    devices: sorted(devices),
    handshakes: sorted(await allOf((page) => registry.handshakes(page))),
    audit: sorted(audit.map(({ seq: _, hash: __, ...entry }) => entry)),
    ofDevices: sorted(
      await Promise.all(
        devices.map(async (device) => [
          device.address,
          (await allOf((page) => registry.handshakes(page, { device }))).length,
          await registry.handshakeCounts(device),
        ]),
      ),
    ),
    counts: sorted(await registry.handshakeCounts()),
    hours: sorted(await registry.hourTallies(0)),
    tallies: sorted(await registry.countryTallies(0)),
    countries: sorted(await registry.deviceCountries()),
    cities: sorted(await registry.deviceCities(9)),
    groups: sorted(
      await Promise.all(
        groups.map(async ({ gid }) => [gid, await registry.groupNumbers(gid), await registry.arrivals(gid)]),
      ),
    ),
    census: text(await registry.census()),
  };
}
