import { describe, expect, test } from 'vitest';
import { OPERATIONS } from '../../../fabric/operations/all.ts';
import { acceptLoss, listAudit, listHandshakes, verifyAudit } from '../../../fabric/operations/audit.ts';
import type { Running } from '../../../fabric/operations/contract/operation.ts';
import { listDevices, setStanding, showDevice } from '../../../fabric/operations/devices.ts';
import { admitGroup, listGroups, setGroupStatus } from '../../../fabric/operations/groups.ts';
import { addNetwork, listNetworks } from '../../../fabric/operations/networks.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { basenameText } from '../../../protocol/label.ts';
import '../checked.ts';
import { makeBatch } from '../device.ts';
import { opened, registryFile, seenBy, type TestContext } from '../place.ts';
import { applicant } from '../registry/contract/place.ts';

const NETWORK = 'fd00:1:2:3::/64';

/** A registry, and a running fabric of which only the notifications are counted. */
function context(running: Partial<Running> = {}): TestContext & { notified: () => number } {
  let notified = 0;
  return {
    ...seenBy(opened(registryFile(), { now: () => Date.parse('2026-01-02T03:04:05.678Z') })),
    running: {
      notify: async () => `notified ${++notified}`,
      presence: async () => undefined,
      ...running,
    },
    actor: 'alice',
    now: () => Date.parse('2026-01-02T03:04:05.678Z'),
    notified: () => notified,
  };
}

async function withDevice(running: Partial<Running> = {}) {
  const on = context(running);
  const batch = makeBatch();
  await addNetwork.run(on, { prefix: NETWORK, name: 'plant' });
  await admitGroup.run(on, { label: batch.label, network: NETWORK });
  const chip = applicant(batch);
  const address = await on.registry.admit(chip);
  return { on, batch, chip, address, text: formatIpv6(address) };
}

describe('an owner', () => {
  test('adds a network and a group, and sees them as they are kept', async () => {
    const { on, batch } = await withDevice();
    const created = '2026-01-02T03:04:05.678Z';
    const host = 'fd00:1:2:3::1';
    const network = {
      prefix: NETWORK,
      name: 'plant',
      owner: 'default',
      zone: null,
      note: null,
      residentOnly: false,
      pool: null,
      host,
      created,
    };
    expect(await listNetworks.run(on, { limit: 9 })).toEqual({ rows: [network], next: undefined });
    expect((await listGroups.run(on, { limit: 9 })).rows).toEqual([
      {
        gid: toHex(batch.gid),
        name: 'batch 7',
        basename: basenameText(batch.basename),
        ca: null,
        network: NETWORK,
        owner: 'default',
        status: 'active',
        hasClaim: false,
        announced: null,
        most: null,
        countries: null,
        created,
        ...{ devices: 1, active: 1, banned: 0, evicted: 0, bannedAndEvicted: 0, retired: 0 },
      },
    ]);
    expect(on.notified()).toBe(2);
  });

  test('changes standing and status; the view says what is so, the effect whether it is in force', async () => {
    const { on, batch, text } = await withDevice();
    const ban = { address: text, change: 'ban' } as const;
    expect(await setStanding.run(on, ban)).toEqual({
      view: { address: text, standing: 'banned', changed: true },
      effect: 'notified 3',
    });
    expect((await setStanding.run(on, ban)).view.changed).toBe(false);
    const gid = toHex(batch.gid).slice(0, 8);
    expect((await setGroupStatus.run(on, { gid, status: 'suspended' })).view).toMatchObject({
      status: 'suspended',
      changed: true,
    });
    const { rows } = await listAudit.run(on, { limit: 9 });
    expect(rows.map(({ actor, action }) => `${actor} ${action}`)).toEqual([
      'alice group.suspend',
      'alice device.ban',
      'fabric device.admit',
      'alice group.add',
      'alice network.add',
      'test fabric.init',
    ]);
    expect(await verifyAudit.run(on, {})).toEqual({ entries: 6, head: rows[0]!.hash });
    expect(await verifyAudit.run(on, { seq: 6, hash: rows[0]!.hash! })).toMatchObject({ entries: 6 });
    await expect(verifyAudit.run(on, { seq: 5, hash: rows[0]!.hash! })).rejects.toMatchObject({
      code: 'audit.broken',
    });
  });

  test('sees who is online if a fabric serves, and that nobody knows if none does', async () => {
    const nobody = await withDevice();
    expect((await listDevices.run(nobody.on, { limit: 1 })).rows[0]).toMatchObject({ online: null });
    const connected = new Set<string>();
    const presence = async () => (address: Uint8Array) => ({ online: connected.has(formatIpv6(address)) });
    const { on, text } = await withDevice({ presence });
    expect(await showDevice.run(on, { address: text })).toMatchObject({ online: false, twins: null });
    connected.add(text);
    expect(await showDevice.run(on, { address: text })).toMatchObject({ online: true });
    expect((await listDevices.run(on, { limit: 1 })).rows).toMatchObject([{ address: text, online: true }]);
  });

  test('sees in which country the sources of handshakes are registered', async () => {
    const { on, batch } = await withDevice();
    const sources = { '130.59.1.1': 'CH', '2001:620::1': 'CH', '192.168.1.1': 'private', unknown: null };
    const chip = applicant(batch);
    for (const source of Object.keys(sources)) await on.registry.admit({ ...chip, source });
    const address = formatIpv6(await on.registry.admit({ ...chip, source: '::1' }));
    const { rows } = await listHandshakes.run(on, { limit: 5 });
    const expected = ['private', ...Object.values(sources).reverse()];
    expect(rows.map(({ country }) => country)).toEqual(expected);
    const shown = await showDevice.run(on, { address });
    expect(shown.handshakes.map(({ country }) => country)).toEqual(expected);
  });

  test('gets the failures of the registry by name, and nothing is changed or told then', async () => {
    const { on, text } = await withDevice();
    const refused = async (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => 'done',
        ({ code }: { code: string }) => code,
      );
    expect(await refused(addNetwork.run(on, { prefix: NETWORK, name: '' }))).toBe('fabric.network-exists');
    expect(await refused(addNetwork.run(on, { prefix: 'fe80::/64', name: '' }))).toBe('fabric.bad-network');
    expect(await refused(admitGroup.run(on, { label: 'ENF1:X', network: NETWORK }))).toMatch(/^label\./);
    expect(await refused(setGroupStatus.run(on, { gid: '00000000', status: 'active' }))).toBe(
      'fabric.unknown-group',
    );
    expect(await refused(setStanding.run(on, { address: 'fd00::1', change: 'ban' }))).toBe(
      'fabric.unknown-device',
    );
    expect(await refused(setStanding.run(on, { address: 'non:sense', change: 'ban' }))).toBe(
      'ipv6.bad-address',
    );
    expect(await refused(listDevices.run(on, { limit: 1, after: text }))).toBe('fabric.bad-cursor');
    expect(on.notified()).toBe(2);
  });
});

describe('an input', () => {
  /** A good input of each operation. */
  const GOOD: Record<string, Record<string, unknown>> = {
    'network-add': { prefix: 'fd00:9::/64', name: 'n' },
    'group-add': { label: 'ENF1:X', network: NETWORK },
    'group-status': { gid: '00000000', status: 'active' },
    'device-show': { address: 'fd00::1' },
    'device-standing': { address: 'fd00::1', change: 'ban' },
    'audit-verify': {},
    'network-list': { limit: 1 },
    'group-list': { limit: 1 },
    'device-list': { limit: 1 },
    'audit-list': { limit: 1 },
    'handshake-list': { limit: 1 },
    'audit-accept-loss': {},
    'token-list': { limit: 1 },
    'token-create': { name: 'n', role: 'auditor', days: 1 },
    'token-revoke': { id: 1 },
    'handshake-counts': {},
    'privacy-show': {},
    'privacy-change': { days: 90 },
    'prefix-list': {},
    'person-list': { limit: 1 },
    'person-invite': { role: 'auditor', hours: 1 },
    'invite-list': { limit: 1 },
    'invite-withdraw': { id: '0123456789abcdef' },
    'person-role': { person: 'anna', role: 'auditor' },
    'person-remove': { person: 'anna' },
    'network-rename': { prefix: NETWORK, name: 'n' },
    'network-zone': { prefix: NETWORK, zone: 'plant.internal' },
    'network-takes': { prefix: NETWORK, takes: 'resident' },
    'network-pool': { prefix: NETWORK, pool: 'fd00:9::/48' },
    'delegation-list': { prefix: NETWORK, limit: 1 },
    'group-delegate': { gid: '00000000', granted: true },
    'device-delegate': { address: 'fd00::1', granted: true },
    'label-read': { label: 'ENF1:X' },
    'group-show': { gid: '00000000' },
    'group-change': { gid: '00000000', name: 'n' },
    'group-arrivals': { gid: '00000000' },
    'rule-list': { network: NETWORK, limit: 1 },
    'rule-add': { network: NETWORK, action: 'deny', direction: 'in' },
    'rule-move': { id: 1, place: 1 },
    'rule-remove': { id: 1 },
    'rule-test': { from: 'host', to: 'pump', traffic: 'icmpv6' },
    'limit-list': { network: NETWORK, limit: 1 },
    'limit-set': { network: NETWORK, packets: 1 },
    'limit-remove': { network: NETWORK, devices: 'any' },
    'roster-begin': { gid: '00000000', header: '{}' },
    'roster-part': { gid: '00000000', offset: 0, lines: 'e30K' },
    'roster-index': { gid: '00000000' },
    'roster-show': { gid: '00000000' },
    'roster-list': { gid: '00000000', limit: 1 },
    'roster-standing': { gid: '00000000', change: 'ban', serial: 'S1' },
    'roster-remove': { gid: '00000000' },
    overview: {},
    'handshake-hours': {},
    'handshake-countries': {},
    'handshake-places': {},
    'device-name': { address: 'fd00::1', name: 'n' },
    'network-remove': { prefix: NETWORK },
    'group-remove': { gid: '00000000' },
    'device-retire': { address: 'fd00::1' },
    'device-replace': { address: 'fd00::1', by: 'fd00::2' },
    'device-register': { network: NETWORK, key: '04' },
    'alarm-list': { limit: 1 },
    'alarm-acknowledge': { id: 1 },
    'hook-list': {},
    'hook-add': { name: 'n', url: 'https://hooks.example.org' },
    'hook-remove': { id: 1 },
    'hook-test': { id: 1 },
    'hook-deliveries': { id: 1, limit: 1 },
    'delivery-retry': { id: 1 },
    'certificate-list': {},
    'certificate-rotate': { what: 'router' },
    'certificate-install': { answer: '{}' },
    'root-rotate': {},
    'device-count': {},
    'device-bulk': { change: 'ban', standing: 'banned' },
    'job-list': {},
    'job-show': { id: 999_999 },
    'job-cancel': { id: 999_999 },
    'root-end': { number: 1 },
    'root-keys-drop': { number: 1 },
    'pki-list': {},
    'pki-preview': { certificates: ['AAAA'] },
    'pki-add': { name: 'x', certificates: ['AAAA'], networks: [NETWORK], admits: 'listed' },
    'pki-remove': { id: 7 },
    'pki-import': { id: 7, devices: [] },
    'pki-crl': { id: 7, crl: 'MAA=' },
    'pki-crl-from': { id: 7, url: 'https://crl.example.org/ca.crl' },
    'pki-enrols': { id: 7, network: '' },
    'pki-revoke': { id: 7, serial: '01', reason: 'x' },
    'pki-create': { name: 'x', networks: ['fd00:9::/64'] },
    'pki-renew': { id: 7 },
    'pki-issued': { limit: 10 },
    'code-add': { network: NETWORK },
    'code-list': { limit: 10 },
    'code-withdraw': { id: 7 },
    'owner-list': { limit: 1 },
    'owner-add': { name: 'acme' },
    'owner-rename': { owner: 'default', name: 'acme' },
    'owner-close': { owner: 'acme' },
    'owner-lend': { owner: 'default', prefix: 'fd00:9::/48' },
    'owner-take-back': { owner: 'default', prefix: 'fd00:9::/48' },
    'limit-max': { network: NETWORK, packets: 1 },
    'owner-member': { owner: 'default', person: 'anna', role: 'auditor' },
    'node-list': { limit: 1 },
    'node-show': { node: 'a' },
    'node-drain': { node: 'a' },
    'node-resume': { node: 'a' },
    'node-remove': { node: 'a' },
  };

  const bad = { code: 'fabric.bad-input' };

  test('[H-C2] where nothing is missing there is no loss to accept, and the trail stays as it is', async () => {
    const on = context();
    const before = await verifyAudit.run(on, {});
    expect(await acceptLoss.run(on, {})).toEqual({ accepted: false });
    expect(await verifyAudit.run(on, {})).toEqual(before);
  });

  test('of audit-verify has an entry and its hash, or neither', async () => {
    for (const input of [{ seq: 1 }, { hash: '00'.repeat(32) }])
      await expect(verifyAudit.run(context(), input)).rejects.toMatchObject(bad);
    expect((await verifyAudit.run(context(), {})).entries).toBe(1);
  });

  test('of every operation is known here', () => {
    expect(Object.keys(GOOD).sort()).toEqual([...OPERATIONS.keys()].sort());
  });

  test.each(Object.entries(GOOD))(
    'of %s with a field too many, too few, too long or wrong is refused',
    async (name, good) => {
      const on = context();
      const run = async (input: unknown): Promise<unknown> => OPERATIONS.get(name)!.run(on, input as never);
      for (const input of [
        undefined,
        null,
        7,
        'text',
        [],
        { ...good, admin: true },
        { ...good, toString: 1 },
      ]) {
        await expect(run(input)).rejects.toMatchObject(bad);
      }
      for (const field of Object.keys(good)) {
        await expect(run({ ...good, [field]: undefined }), field).rejects.toMatchObject(bad);
        for (const value of [
          null,
          {},
          ...(typeof good[field] === 'boolean' ? ['true'] : [true]),
          'x'.repeat(5_000),
          'a\u0000b',
          '\ud800',
          '\u001b[2J',
          Number.NaN,
          -1,
        ]) {
          await expect(run({ ...good, [field]: value }), field).rejects.toMatchObject(bad);
        }
      }
      if ('limit' in good) {
        for (const input of [
          { limit: 0 },
          { limit: 1_001 },
          { limit: 1.5 },
          { limit: 1, after: 'x'.repeat(201) },
        ])
          await expect(run({ ...good, ...input })).rejects.toMatchObject(bad);
        await expect(run({ ...good, limit: 1, after: 'nonsense' })).rejects.toMatchObject({
          code: 'fabric.bad-cursor',
        });
      }
      const outcome = await run(good).catch((error: { code: string }) => error);
      expect(outcome).not.toMatchObject(bad);
    },
  );
});
