import { describe, expect, test } from 'vitest';
import type { Privacy, SweepPlace } from '../../../../fabric/registry/privacy.ts';
import type { WholeRegistry as Registry } from '../../place.ts';
import { allOf, anyGroup, NETWORK } from '../../place.ts';
import { applicant, type OpenEmpty, withGroup } from './place.ts';

const DAY = 86_400_000;
const START = 20_000 * DAY;

/** What is kept of where devices come from. */
export function privacyContract(openEmpty: OpenEmpty): void {
  /** Sweeps to the end; returns the places where a step ended. */
  async function swept(registry: Registry): Promise<SweepPlace[]> {
    const places: SweepPlace[] = [];
    for (let place = await registry.sweep(); place !== undefined; place = await registry.sweep(place))
      places.push(place);
    return places;
  }
  const sources = async (registry: Registry): Promise<string[]> =>
    (await allOf((page) => registry.handshakes(page))).map(({ source }) => source).reverse();

  describe('the privacy of devices', () => {
    async function opened() {
      let now = START;
      const places: string[] = [];
      const { registry, group } = await withGroup(openEmpty, {
        now: () => now,
        locate: (source) => {
          places.push(source);
          return 'CH';
        },
      });
      const come = async (source: string): Promise<Uint8Array> => {
        const address = await registry.admit(applicant(group, { source }));
        registry.connected(address, source.includes(':') ? `[${source}]:7` : `${source}:7`);
        registry.disconnected(address);
        await expect.poll(async () => (await registry.device(address)).tunnel?.ended).toBeDefined();
        return address;
      };
      const from = async (address: Uint8Array): Promise<(string | undefined)[]> => {
        const { handshake, tunnel } = await registry.device(address);
        return [handshake.from, tunnel?.from];
      };
      const pass = (ms: number): void => {
        now += ms;
      };
      return { registry, group, come, from, pass, places };
    }

    test('[H-E23] that another process has chosen counts here, too, once it is looked for', async () => {
      const open = await openEmpty();
      const [here, there] = [await open(), await open()];
      await here.addNetwork('owner', NETWORK, 'plant');
      const group = await here.addGroup('owner', anyGroup());
      const before = here.privacyChoices();
      expect(here.privacyChoices()).toBe(before);
      await there.setPrivacy('owner', { addresses: 'none' });
      expect(here.privacyChoices()).not.toBe(before);
      await here.admit(applicant(group, { source: '192.0.2.7' }));
      expect(await sources(here)).toEqual(['']);
    });

    test('[H-E23] whole addresses are kept unless somebody has chosen otherwise', async () => {
      const { registry, come, from } = await opened();
      expect(await registry.privacy()).toEqual({ addresses: 'whole' });
      const address = await come('192.0.2.7');
      expect((await swept(registry)).map(({ table }) => table)).toEqual(['device', 'alarm', 'delivery']);
      expect(await from(address)).toEqual(['192.0.2.7', '192.0.2.7:7']);
      expect(await sources(registry)).toEqual(['192.0.2.7']);
    });

    test('[H-E23] what is chosen holds for what is written, and after a sweep for what was there', async () => {
      const { registry, group, come, from, places } = await opened();
      const first = await come('2001:db8:1:2::7');
      await registry.setPrivacy('anna', { addresses: 'cut' });
      const second = await come('192.0.2.7');
      await registry.refused({ source: '198.51.100.9', proven: false, result: 'xtt.bad-cookie' });
      registry.clones(second, ['192.0.2.7', '2001:db8:1:2::7']);
      // Countries are those of the whole address.
      expect(places).toEqual(['2001:db8:1:2::7', '192.0.2.7', '198.51.100.9']);
      expect(await sources(registry)).toEqual(['2001:db8:1:2::7', '192.0.2.0/24', '198.51.100.0/24']);
      expect(await from(second)).toEqual(['192.0.2.0/24', '192.0.2.0/24']);
      await expect
        .poll(async () => (await registry.clonesOf(second))?.detail.from)
        .toEqual(['192.0.2.0/24', '2001:db8:1::/48']);
      await swept(registry);
      expect(await sources(registry)).toEqual(['2001:db8:1::/48', '192.0.2.0/24', '198.51.100.0/24']);
      expect(await from(first)).toEqual(['2001:db8:1::/48', '2001:db8:1::/48']);
      await registry.setPrivacy('anna', { addresses: 'none' });
      await swept(registry);
      expect(await sources(registry)).toEqual(['', '', '']);
      expect(await from(first)).toEqual(['', '']);
      // What is gone does not come back; countries stay.
      await registry.setPrivacy('bob', { addresses: 'whole' });
      await swept(registry);
      expect(await sources(registry)).toEqual(['', '', '']);
      expect(await registry.device(first)).toMatchObject({ country: 'CH' });
      await registry.admit(applicant(group, { source: '192.0.2.8' }));
      expect((await sources(registry)).at(-1)).toBe('192.0.2.8');
    });

    test('[H-E23] handshakes older than the days chosen are counted, and a device keeps when it came', async () => {
      const { registry, come, from, pass } = await opened();
      const old = await come('192.0.2.1');
      pass(10 * DAY);
      const young = await come('192.0.2.2');
      await registry.refused({ source: '192.0.2.3', proven: false, result: 'xtt.bad-cookie' });
      await registry.setPrivacy('anna', { addresses: 'whole', days: 10 });
      await swept(registry);
      expect(await sources(registry)).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.3']);
      pass(1);
      await swept(registry);
      expect(await sources(registry)).toEqual(['192.0.2.2', '192.0.2.3']);
      const device = await registry.device(old);
      expect(await registry.handshakeCounts(device)).toMatchObject([{ result: 'ok', times: 1 }]);
      expect(device.handshake.at).toBe(START);
      expect(await from(old)).toEqual(['', '']);
      expect(await from(young)).toEqual(['192.0.2.2', '192.0.2.2:7']);
      pass(30 * DAY);
      await swept(registry);
      expect(await sources(registry)).toEqual([]);
      expect(await registry.handshakeCounts()).toMatchObject([{ result: 'xtt.bad-cookie', times: 1 }]);
    });

    test('[H-E23] a step looks at a bounded number of rows, and nothing is left out between two', async () => {
      const { registry, group } = await opened();
      const chips = Array.from({ length: 450 }, () => applicant(group));
      await Promise.all(chips.map((chip) => registry.admit(chip)));
      await registry.setPrivacy('anna', { addresses: 'none' });
      const steps = await swept(registry);
      expect(steps.map(({ table, row }) => `${table} ${row}`)).toEqual([
        ...['handshake 200', 'handshake 400', 'device 0', 'device 200', 'device 400'],
        ...['alarm 0', 'delivery 0'],
      ]);
      expect(new Set(await sources(registry))).toEqual(new Set(['']));
      const devices = await allOf((page) => registry.devices(page));
      expect(devices.filter(({ handshake }) => handshake.from !== '')).toEqual([]);
    });

    test('[H-E23] a tunnel that waits to be written when the owner chooses is written as chosen', async () => {
      const open = await openEmpty();
      const registry = await open();
      await registry.addNetwork('owner', NETWORK, 'plant');
      const group = await registry.addGroup('owner', anyGroup());
      const address = await registry.admit(applicant(group));
      // So many that the newest one has to wait.
      for (let n = 1; n <= 20; n++) {
        registry.connected(address, `192.0.2.${n}:7`);
        await registry.networks({ limit: 1 });
      }
      await registry.setPrivacy('anna', { addresses: 'cut' });
      await swept(registry);
      await registry.close();
      const again = await open();
      expect((await again.device(address)).tunnel?.from).toBe('192.0.2.0/24');
    });

    test('[H-E23] the choice stands in the trail, is read by others, and takes addresses out of alarms', async () => {
      const open = await openEmpty();
      const registry = await open({ now: () => START });
      await registry.recordFindings(
        ['group.knocking'],
        [{ kind: 'group.knocking', owner: 0, subject: 'g', detail: { times: 3, from: '192.0.2.1' } }],
        DAY,
      );
      const chosen: Privacy = { addresses: 'cut', days: 30 };
      await registry.setPrivacy('anna', chosen);
      expect(await registry.privacy()).toEqual({ ...chosen, chosen: { of: 'host', by: 'anna', at: START } });
      expect(await (await open()).privacy()).toEqual(await registry.privacy());
      expect((await registry.audit({ limit: 1 })).rows).toMatchObject([
        {
          ...{ actor: 'anna', action: 'privacy.change' },
          detail: { ...chosen, before: { addresses: 'whole', days: 0 } },
        },
      ]);
      expect((await registry.alarms({ limit: 1 }, true)).rows[0]!.detail).toEqual({ times: 3 });
    });

    test('[H-E23] alarms, and what hooks heard of them, name no address that is older than the days chosen', async () => {
      let now = START;
      const registry = await (await openEmpty())({ now: () => now });
      const hook = await registry.addHook('anna', { name: 'h', url: 'https://h.example', secret: 's' });
      const knock = (n: number) =>
        registry.recordFindings(
          ['group.knocking'],
          [
            {
              kind: 'group.knocking',
              owner: 0,
              subject: `g${n}`,
              detail: { times: n, from: `192.0.2.${n}` },
            },
          ],
          100 * DAY,
        );
      await knock(1);
      now += 10 * DAY;
      await knock(2);
      await registry.setPrivacy('anna', { days: 10 });
      const seen = async () => {
        const [alarms, heard] = [
          await registry.alarms({ limit: 9 }, true),
          await registry.deliveries({ limit: 9 }, hook.id),
        ];
        const details = alarms.rows.map(({ detail }) => detail);
        expect(heard.rows.map(({ body }) => JSON.parse(body).alarm.detail)).toEqual(details);
        return details.reverse();
      };
      await swept(registry);
      expect(await seen()).toMatchObject([{ from: '192.0.2.1' }, { from: '192.0.2.2' }]);
      now += 1;
      await swept(registry);
      expect(await seen()).toEqual([{ times: 1 }, { times: 2, from: '192.0.2.2' }]);
      await registry.setPrivacy('anna', { addresses: 'cut' });
      expect(await seen()).toEqual([{ times: 1 }, { times: 2 }]);
    });
  });
}
