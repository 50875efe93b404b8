import { describe, expect, test } from 'vitest';
import { DEFAULT_OWNER, EVERYTHING, scopeOf } from '../../../../fabric/access/scope.ts';
import type { OwnedRegistry } from '../../../../fabric/registry/registry.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { type Prefix, parsePrefix } from '../../../../protocol/ipv6.ts';
import { anyGroup, NETWORK, random } from '../../place.ts';
import { applicant, type OpenEmpty } from './place.ts';

const LENT = parsePrefix('fd00:9::/48');
const LENT_NETWORK = parsePrefix('fd00:9:0:1::/64');
const HOLD_MS = 600_000;
const BOB = { issuer: 'https://login.example', subject: 'u-1', login: 'bob@example.org' };

/** What one owner does changes nothing for another one. */
export function ownersApartContract(openEmpty: OpenEmpty): void {
  async function two() {
    let at = 1_000;
    const registry = await (await openEmpty())({ now: () => at });
    const { id } = await registry.addOwner('root', 'acme');
    await registry.lendPrefix('root', 'acme', LENT);
    const [first, acme] = [registry.of(scopeOf(DEFAULT_OWNER, false)), registry.of(scopeOf(id, false))];
    await first.addNetwork('bob', NETWORK, 'plant');
    await acme.addNetwork('anna', LENT_NETWORK, 'plant');
    const pass = (ms: number): void => {
      at += ms;
    };
    return { registry, first, acme, pass };
  }
  const open = async (one: OwnedRegistry) => (await one.alarms({ limit: 100 }, true)).rows;
  const hooksOf = async (one: OwnedRegistry, count: number): Promise<number[]> => {
    const ids: number[] = [];
    for (let n = 0; n < count; n++)
      ids.push((await one.addHook('x', { name: `${n}`, url: 'https://x.example', secret: 's' })).id);
    return ids;
  };

  describe('an owner', () => {
    test("[H-E23] chooses what is kept of its own devices; the host, for who has not chosen, and for what is nobody's", async () => {
      const { registry, first, acme, pass } = await two();
      const come = async (one: OwnedRegistry, prefix: Prefix, source: string) => {
        const group = await one.addGroup('x', { ...anyGroup('batch'), network: prefix });
        const address = await registry.admit(applicant(group, { source }));
        registry.connected(address, `${source}:7`);
        registry.clones(address, [source]);
        await registry.refused({ source, proven: false, result: 'xtt.bad-cookie', gid: group.gid });
        await expect.poll(async () => (await one.device(address)).tunnel).toBeDefined();
        return address;
      };
      const kept = async () => {
        const pages = await registry.of(EVERYTHING).handshakes({ limit: 99 });
        return pages.rows.map(({ source }) => source).reverse();
      };
      const sweep = async () => {
        for (let place = await registry.sweep(); place !== undefined; place = await registry.sweep(place));
      };
      await acme.setPrivacy('anna', { addresses: 'cut', days: 10 });
      const address = await come(acme, LENT_NETWORK, '192.0.2.1');
      const other = await come(first, NETWORK, '198.51.100.1');
      await registry.refused({ source: '203.0.113.1', proven: false, result: 'xtt.bad-cookie' });
      const own = ['192.0.2.0/24', '192.0.2.0/24'];
      expect(await kept()).toEqual([...own, '198.51.100.1', '198.51.100.1', '203.0.113.1']);
      expect((await acme.device(address)).tunnel?.from).toBe('192.0.2.0/24');
      expect((await first.device(other)).tunnel?.from).toBe('198.51.100.1:7');
      await expect.poll(async () => (await acme.clonesOf(address))?.detail.from).toEqual(['192.0.2.0/24']);
      await expect.poll(async () => (await first.clonesOf(other))?.detail.from).toEqual(['198.51.100.1']);
      await sweep();
      expect(await kept()).toEqual([...own, '198.51.100.1', '198.51.100.1', '203.0.113.1']);

      await registry.of(EVERYTHING).setPrivacy('root', { addresses: 'none' });
      await sweep();
      expect(await kept()).toEqual([...own, '', '', '']);
      expect(await acme.privacy()).toMatchObject({ addresses: 'cut', chosen: { of: 'owner', by: 'anna' } });
      // Who it was, is the host's.
      expect(await first.privacy()).toEqual({ addresses: 'none', chosen: { of: 'host', at: 1_000 } });
      await first.setPrivacy('bob', { addresses: 'whole' });
      await registry.refused({ source: '203.0.113.2', proven: false, result: 'xtt.bad-cookie' });
      await come(first, NETWORK, '198.51.100.2');
      expect((await kept()).slice(5)).toEqual(['', '198.51.100.2', '198.51.100.2']);

      // Only what is of the owner with a number of days grows too old.
      pass(10 * 86_400_000 + 1);
      await sweep();
      expect(await kept()).toEqual(['', '', '', '', '198.51.100.2', '198.51.100.2']);
      const choosers = async (one: OwnedRegistry): Promise<string[]> =>
        (await one.audit({ limit: 99 })).rows
          .filter(({ action }) => action === 'privacy.change')
          .map(({ actor }) => actor);
      expect(await choosers(acme)).toEqual(['anna']);
      expect(await choosers(first)).toEqual(['bob']);
    });

    test('[H-E23] whose alarms name no addresses any more leaves those of others as they are', async () => {
      const { registry, first, acme } = await two();
      const host = registry.of(EVERYTHING);
      const hook = await host.addHook('root', { name: 'h', url: 'https://h.example', secret: 's' });
      const found = [first, acme].map(({ scope }) => ({
        ...{ kind: 'group.knocking' as const, owner: scope.owner, subject: `${scope.owner}` },
        detail: { times: 1, from: '192.0.2.1' },
      }));
      await registry.recordFindings(['group.knocking'], found, HOLD_MS);
      await acme.setPrivacy('anna', { addresses: 'none' });
      expect((await open(acme))[0]!.detail).toEqual({ times: 1 });
      expect((await open(first))[0]!.detail).toEqual({ times: 1, from: '192.0.2.1' });
      const { rows } = await host.deliveries({ limit: 9 }, hook.id);
      const told = rows.map(({ body }) => JSON.parse(body).alarm as { subject: string; detail: object });
      const details = Object.fromEntries(told.map(({ subject, detail }) => [subject, detail]));
      expect(details).toEqual({
        [first.scope.owner]: { times: 1, from: '192.0.2.1' },
        [acme.scope.owner]: { times: 1 },
      });
    });

    test('whose receivers do not answer keeps no hook of another one from being tried', async () => {
      const { registry, first, acme } = await two();
      const slow = await hooksOf(acme, 20);
      for (let n = 0; n < 5; n++) for (const id of slow) await acme.testHook('anna', id);
      const [quick] = await hooksOf(first, 1);
      await first.testHook('bob', quick!);
      const due = await registry.dueDeliveries(20);
      expect(due.filter(({ hook }) => hook === quick)).toHaveLength(1);
      // What is left is for whoever has more.
      expect(due).toHaveLength(20);
    });

    test('is told of its deliveries in turn with others, however many of those there are', async () => {
      const { registry, first } = await two();
      const hooks = await hooksOf(first, 1);
      for (let n = 0; n < 4; n++) {
        const { id } = await registry.addOwner('root', `o${n}`);
        hooks.push(...(await hooksOf(registry.of(scopeOf(id, false)), 1)));
      }
      for (const id of hooks) await registry.testHook('root', id);
      const tried = [];
      for (let n = 0; n < 5; n++) tried.push((await registry.dueDeliveries(1))[0]!.hook);
      expect(new Set(tried)).toEqual(new Set(hooks));
    });

    test('that claims a group of another one sees nothing of its alarms, and has its own', async () => {
      const { registry, first, acme } = await two();
      const batch = anyGroup('batch');
      const subject = toHex(batch.gid);
      const finding = { kind: 'country.unexpected', subject, detail: {} } as const;
      const others = { kind: 'device.failing', subject: `${subject} tpm.lost`, detail: {} } as const;
      await acme.addGroup('anna', { ...batch, network: LENT_NETWORK });
      for (const each of [finding, others])
        await registry.recordFindings([], [{ ...each, owner: acme.scope.owner }], HOLD_MS);
      expect(await open(acme)).toHaveLength(2);
      await registry.recordFindings([], [{ ...finding, kind: 'group.knocking', owner: 0 }], HOLD_MS);
      await acme.removeGroup('anna', batch.gid);
      expect(await open(acme)).toEqual([]);
      expect(await open(registry)).toMatchObject([{ kind: 'group.knocking' }]);
      await first.addGroup('bob', batch);
      // As if the former owner's alarm was found once more.
      await registry.recordFindings(
        [],
        [{ ...finding, owner: acme.scope.owner, detail: { name: 'former' } }],
        HOLD_MS,
      );
      await registry.recordFindings(
        [],
        [{ ...finding, owner: DEFAULT_OWNER, detail: { name: 'own' } }],
        HOLD_MS,
      );
      expect(await open(first)).toMatchObject([{ detail: { name: 'own' } }]);
      expect(await open(acme)).toMatchObject([{ detail: { name: 'former' } }]);
    });

    test('is named in the entries, handshakes and alarms that the host sees, and the host in none', async () => {
      const { registry, first, acme } = await two();
      const group = await acme.addGroup('anna', { ...anyGroup('batch'), network: LENT_NETWORK });
      await registry.admit(applicant(group));
      await registry.refused({ ...applicant({ gid: random(32) }), proven: false, result: 'net.closed' });
      const finding = { kind: 'group.over-announced', subject: 'x', detail: {} } as const;
      await registry.recordFindings([], [{ ...finding, owner: acme.scope.owner }], HOLD_MS);
      await registry.recordFindings([], [{ ...finding, owner: 0 }], HOLD_MS);
      const names = ({ rows }: { readonly rows: readonly { readonly ownerName?: string }[] }) =>
        rows.map(({ ownerName }) => ownerName);
      const page = { limit: 100 };
      expect(names(await registry.handshakes(page))).toEqual([undefined, 'acme']);
      expect(names(await registry.alarms(page, true))).toEqual([undefined, 'acme']);
      expect(new Set(names(await registry.audit(page)))).toEqual(new Set([undefined, 'acme', 'default']));
      expect(new Set(names(await acme.audit(page)))).toEqual(new Set(['acme']));
      expect(new Set(names(await first.audit(page)))).toEqual(new Set(['default']));
      await registry.renameOwner('root', 'acme', 'umbra');
      expect(names(await acme.handshakes(page))).toEqual(['umbra']);
      expect((await registry.verifyAudit()).entries).toBeGreaterThan(5);
    });

    test('whose groups refuse many devices hides no refusal of another one, nor what a former owner refused', async () => {
      const { registry, first, acme, pass } = await two();
      const countries = ['CH'];
      const loud = await acme.addGroup('anna', { ...anyGroup('l'), network: LENT_NETWORK, countries });
      const quiet = await first.addGroup('bob', { ...anyGroup('q'), countries });
      const knock = (gid: Uint8Array): Promise<void> =>
        registry.refused(
          { ...applicant({ gid }), proven: true, result: 'fabric.country-unexpected', country: 'NL' },
          3,
        );
      await knock(quiet.gid);
      pass(1);
      await Promise.all(Array.from({ length: 1_010 }, () => knock(loud.gid)));
      const found = await registry.beyondLimits(0);
      expect(found.map(({ owner, subject }) => [owner, subject])).toEqual(
        expect.arrayContaining([
          [acme.scope.owner, toHex(loud.gid)],
          [DEFAULT_OWNER, toHex(quiet.gid)],
        ]),
      );
      await acme.removeGroup('anna', loud.gid);
      await first.addGroup('bob', { ...loud, network: NETWORK, countries });
      expect((await registry.beyondLimits(0)).map(({ subject }) => subject)).toEqual([toHex(quiet.gid)]);
    });

    test('that invites somebody by a login takes it from no other one: it comes in at all that have', async () => {
      const { registry, first, acme } = await two();
      const invite = (one: OwnedRegistry, role: 'owner' | 'auditor', expires: number) =>
        one.addInvite('x', { hash: random(32), role, expires, login: BOB.login });
      await invite(first, 'owner', 2_000);
      await invite(first, 'auditor', 1_500);
      await invite(acme, 'auditor', 9_000);
      const bob = await registry.personByAccount(BOB, { names: ['Bob'] });
      expect(bob?.owners).toEqual([
        { owner: DEFAULT_OWNER, name: 'default', role: 'owner' },
        { owner: acme.scope.owner, name: 'acme', role: 'auditor' },
      ]);
      const entries = async (one: OwnedRegistry): Promise<string[]> =>
        (await one.audit({ limit: 20 })).rows
          .filter(({ subject }) => subject === `person ${bob!.id}`)
          .map(({ action }) => action);
      expect((await entries(first)).length + (await entries(acme)).length).toBe(2);
      // They are used up: whoever was sent away does not come back by one.
      await acme.removePerson('anna', bob!.id);
      await first.removePerson('x', bob!.id).catch(() => undefined);
      expect((await registry.personByAccount(BOB, { names: ['Bob'] }))?.owners).toHaveLength(1);
    });

    test('that is closed has no part in what becomes of its people, and gets no token', async () => {
      const { registry, first, acme } = await two();
      const hash = random(32);
      await first.addInvite('x', { hash, role: 'auditor', expires: 2_000 });
      const { id } = await registry.acceptInvite(hash, { name: 'Bob', password: 'p' });
      await registry.setMembership('root', 'acme', id, 'auditor');
      const token = { name: 't', role: 'auditor', hash: random(32), expires: 2_000 } as const;
      await acme.addToken('anna', { ...token, hash: random(32) });
      await registry.endSessions('Bob', id);
      const newest = async () => (await first.audit({ limit: 1 })).rows[0]?.action;
      expect(await newest()).not.toBe('person.signout');
      await registry.closeOwner('root', 'acme');
      await registry.endSessions('Bob', id);
      expect(await newest()).toBe('person.signout');
      await expect(acme.addToken('anna', token)).rejects.toMatchObject({ code: 'fabric.unknown-owner' });
      expect(await first.addToken('bob', token)).toMatchObject({ owner: DEFAULT_OWNER });
    });

    test('has its former names for itself: whoever still sends one does not reach another by it', async () => {
      const { registry } = await two();
      await registry.addOwner('root', 'umbra');
      await registry.renameOwner('root', 'acme', 'apex');
      const taken = { code: 'fabric.owner-exists' };
      await expect(registry.renameOwner('root', 'umbra', 'acme')).rejects.toMatchObject(taken);
      await expect(registry.addOwner('root', 'acme')).rejects.toMatchObject(taken);
      expect(await registry.renameOwner('root', 'apex', 'acme')).toMatchObject({ name: 'acme' });
      await expect(registry.renameOwner('root', 'umbra', 'apex')).rejects.toMatchObject(taken);
    });

    test('that invites the login of somebody who is known already makes it nothing', async () => {
      const { registry, first, acme } = await two();
      const login = BOB.login;
      await first.addInvite('x', { hash: random(32), role: 'auditor', expires: 2_000, login });
      const known = await registry.personByAccount(BOB, { names: ['Bob'] });
      await acme.addInvite('x', { hash: random(32), role: 'auditor', expires: 9_000, login });
      expect(await registry.personByAccount(BOB, { names: ['Bob'] })).toEqual(known);
      expect((await acme.people({ limit: 9 })).rows).toEqual([]);
    });
  });
}
