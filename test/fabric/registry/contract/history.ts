import { describe, expect, test } from 'vitest';
import { formatIpv6 } from '../../../../protocol/ipv6.ts';
import type { WholeRegistry as Registry } from '../../place.ts';
import { allOf, random } from '../../place.ts';
import { applicant, type OpenEmpty, withGroup } from './place.ts';

const DAY = 86_400_000;
const MINUTE = 60_000;
const START = 20_000 * DAY;

/** How many rows a device's history may have: handshakes, and audit entries for each day. */
const [MOST_ROWS, MOST_ENTRIES_A_DAY] = [50, 3];

const actionsOn = async (registry: Registry, address: Uint8Array, action: string) =>
  (await allOf((page) => registry.audit(page))).filter(
    (entry) => entry.action === action && entry.subject === formatIpv6(address),
  );

/** What one device or stranger can cause again and again. */
export function historyContract(openEmpty: OpenEmpty): void {
  describe('[H-A6] history', () => {
    test('of a chip that provisions again and again: one address, bounded rows, nothing uncounted', async () => {
      let now = START;
      const { registry, group } = await withGroup(openEmpty, { now: () => now });
      const [chip, honest] = [applicant(group), applicant(group)];
      const address = await registry.admit(chip);
      const other = await registry.admit(honest);
      for (let n = 1; n <= 200; n++) {
        now = START + n * MINUTE;
        expect(await registry.admit({ ...chip, longtermKey: random(65) })).toEqual(address);
      }
      const device = await registry.device(address);
      const rows = await allOf((page) => registry.handshakes(page, { device }));
      expect(rows).toHaveLength(MOST_ROWS);
      expect(rows[0]).toMatchObject({ at: now, result: 'ok', proven: true });
      const left = 201 - MOST_ROWS;
      expect(await registry.handshakeCounts(device)).toEqual([
        { result: 'ok', times: left, first: START, last: START + (left - 1) * MINUTE },
      ]);
      expect(await actionsOn(registry, address, 'device.rekey')).toHaveLength(MOST_ENTRIES_A_DAY);
      expect(await registry.handshakeCounts(await registry.device(other))).toEqual([]);
      expect(await registry.handshakes({ limit: 9 }, { device: await registry.device(other) })).toMatchObject(
        {
          rows: [{ result: 'ok' }],
        },
      );
      await registry.verifyAudit();

      now += DAY;
      await registry.admit({ ...chip, longtermKey: random(65) });
      const [newest] = await actionsOn(registry, address, 'device.rekey');
      expect(newest?.detail).toEqual({ rekeyed: true, unlisted: 200 - MOST_ENTRIES_A_DAY });
      await registry.verifyAudit();
    });

    test('of a banned chip that tries again and again is bounded, and says how often', async () => {
      const { registry, group } = await withGroup(openEmpty, { now: () => START });
      const chip = applicant(group);
      const address = await registry.admit(chip);
      const { gid, pseudonym } = chip;
      const tried = { source: 'x', gid, pseudonym, proven: true, result: 'fabric.device-banned' };
      for (let n = 0; n < 100; n++) await registry.refused(tried);
      await registry.refused(tried, 528);
      const device = await registry.device(address);
      expect(await allOf((page) => registry.handshakes(page, { device }))).toHaveLength(MOST_ROWS);
      const counted = await registry.handshakeCounts(device);
      expect(counted.map(({ result, times }) => [result, times])).toEqual([
        ['fabric.device-banned', 101 - MOST_ROWS + 528],
        ['ok', 1],
      ]);
      expect(await registry.handshakeCounts()).toEqual([]);
    });

    test('of those who prove nothing is nobody’s, whoever they claim to be, and counted when it is forgotten', async () => {
      const { registry, group } = await withGroup(openEmpty, { now: () => START, refusalsKept: 10 });
      const chip = applicant(group);
      const device = await registry.device(await registry.admit(chip));
      const { gid, pseudonym } = chip;
      for (let n = 0; n < 60; n++)
        await registry.refused({ source: 'x', gid, pseudonym, proven: false, result: 'xtt.forged' });
      for (let n = 0; n < 1_000; n++)
        registry.refused({ source: `${n}`, proven: false, result: 'net.timeout' });
      await registry.refused({ source: 'last', proven: false, result: 'net.timeout' }, 41);
      const kept = await allOf((page) => registry.handshakes(page));
      const counts = await registry.handshakeCounts();
      const total = [...counts.map(({ times }) => times), kept.length].reduce((sum, times) => sum + times, 0);
      expect(kept.length).toBeLessThan(1_000);
      expect(await registry.handshakeCounts(device)).toMatchObject([{ result: 'ok', times: 1 }]);
      expect(total + 1).toBe(1 + 60 + 1_001 + 41);
    });

    test('of two devices with one key has a few entries a day', async () => {
      let now = START;
      const { registry, group } = await withGroup(openEmpty, { now: () => now });
      const address = await registry.admit(applicant(group));
      for (let n = 0; n < 50; n++) {
        await registry.clones(address, [`192.0.2.${n}`, 'y']);
        now += 25 * MINUTE;
      }
      expect(await actionsOn(registry, address, 'device.twins')).toHaveLength(MOST_ENTRIES_A_DAY);
      await registry.verifyAudit();
    });

    test('a readmission is an entry each time: it takes an eviction by the owner', async () => {
      const { registry, group } = await withGroup(openEmpty, { now: () => START });
      const chip = applicant(group);
      const address = await registry.admit(chip);
      for (let n = 0; n < 5; n++) {
        await registry.setStanding('owner', address, 'evict');
        await registry.admit({ ...chip, longtermKey: random(65) });
      }
      expect(await actionsOn(registry, address, 'device.readmit')).toHaveLength(5);
    });

    test('is summed up by hour or by country, over weeks', async () => {
      let now = START;
      const { registry, group } = await withGroup(openEmpty, {
        now: () => now,
        locate: (source) => (source === '' ? undefined : source.slice(0, 2)),
      });
      expect([...(await registry.hourTallies(0)), ...(await registry.countryTallies(0))]).toEqual([]);
      const HOUR = 60 * MINUTE;
      const first = Math.floor(START / HOUR) * HOUR;
      const refuse = (source: string) =>
        registry.refused({ source, proven: false, result: 'xtt.bad-cookie' });
      await registry.admit(applicant(group, { source: 'CH' }));
      await refuse('CH');
      await refuse('DE');
      for (let day = 1; day <= 20; day++) {
        now = START + day * DAY;
        await refuse('CH');
        await refuse('');
      }
      const hours = [...(await registry.hourTallies(0))];
      expect(hours).toHaveLength(21);
      expect(hours.slice(0, 2)).toEqual([
        [first, { ok: 1, refused: 2, abandoned: 0 }],
        [first + DAY, { ok: 0, refused: 2, abandoned: 0 }],
      ]);
      expect(Object.fromEntries(await registry.countryTallies(0))).toEqual({
        CH: { ok: 1, refused: 21, abandoned: 0 },
        DE: { ok: 0, refused: 1, abandoned: 0 },
        undefined: { ok: 0, refused: 20, abandoned: 0 },
      });
      expect([...(await registry.hourTallies(START + 20 * DAY))]).toEqual(hours.slice(-1));
      expect(Object.fromEntries(await registry.countryTallies(first + 20 * DAY))).toEqual({
        CH: { ok: 0, refused: 1, abandoned: 0 },
        undefined: { ok: 0, refused: 1, abandoned: 0 },
      });
    });

    test('counts a handshake that its client has left neither as good nor as refused, and lists it', async () => {
      const { registry, group } = await withGroup(openEmpty, { now: () => START });
      await registry.admit(applicant(group));
      for (const result of ['net.closed', 'net.abandoned'])
        await registry.refused({ source: 'x', proven: false, result }, 2);
      expect([...(await registry.hourTallies(0)).values()]).toEqual([{ ok: 1, refused: 3, abandoned: 3 }]);
      const results = async (result?: string): Promise<string[]> =>
        (await registry.handshakes({ limit: 9 }, result === undefined ? {} : { result })).rows.map(
          (row) => row.result,
        );
      expect(await results()).toEqual(['net.abandoned', 'net.closed', 'ok']);
      expect(await results('refused')).toEqual(['net.closed']);
      expect(await results('net.abandoned')).toEqual(['net.abandoned']);
      expect((await registry.handshakeCounts()).map(({ result, times }) => [result, times])).toEqual(
        expect.arrayContaining([['net.abandoned', 2]]),
      );
    });

    test('what is counted is forgotten after more than a year', async () => {
      let now = START;
      const { registry, group } = await withGroup(openEmpty, { now: () => now });
      const chip = applicant(group);
      const device = await registry.device(await registry.admit(chip));
      for (let n = 0; n < 60; n++) await registry.admit(chip);
      expect(await registry.handshakeCounts(device)).toMatchObject([{ times: 11, first: START }]);
      now += 500 * DAY;
      for (let n = 0; n < 51; n++) await registry.admit(chip);
      expect(await registry.handshakeCounts(device)).toEqual([
        { result: 'ok', times: 1, first: now, last: now },
      ]);
    });
  });

  test('[H-A6] a device whose tunnel comes and goes is noted as it is in the end', async () => {
    let now = START;
    const open = await openEmpty();
    const registry = await open({ now: () => now });
    const { group } = await withGroup(async () => async () => registry);
    const address = await registry.admit(applicant(group));
    for (let n = 0; n < 1_000; n++) {
      now++;
      registry.connected(address, `192.0.2.1:${n}`);
      registry.reported(address, {
        version: `${n}`,
        ...(n === 500 && { failure: { code: 'x', seconds: 0 } }),
      });
      registry.disconnected(address);
    }
    registry.connected(address, '192.0.2.1:9999');
    await registry.close();
    const { tunnel, agent } = await (await open()).device(address);
    expect(tunnel).toEqual({ at: now, from: '192.0.2.1:9999' });
    expect(agent).toMatchObject({ at: now, version: '999', failure: { code: 'x' } });
  });
}
