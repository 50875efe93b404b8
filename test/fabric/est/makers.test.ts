/** Certificates of makers: whose machines enrol without a code, and whose do not. */
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { readCertificate } from '../../../crypto/certificates.ts';
import type { Context } from '../../../fabric/operations/contract/operation.ts';
import { setStanding } from '../../../fabric/operations/devices.ts';
import { setGroupStatus } from '../../../fabric/operations/groups.ts';
import {
  addAnchor,
  importListed,
  removeAnchor,
  revokeCertificate,
  setEnrols,
  takeCrl,
} from '../../../fabric/operations/pki/cas.ts';
import { listIssued } from '../../../fabric/operations/pki/issuing.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { formatIpv6, formatPrefix, type Prefix, parseIpv6 } from '../../../protocol/ipv6.ts';
import { caFolder, type MadeCertificate } from '../openssl-ca.ts';
import { newKey } from '../requests.ts';
import { DAY_MS, DEPOT, FOREIGN, PLANT, type Place, place } from './place.ts';

const PAGE = { limit: 100 };
const files = caFolder();
afterAll(() => files.remove());
const root = files.ca({ subject: '/CN=maker' });
const issuing = files.ca({ subject: '/CN=maker issuing', by: root });
const machine = files.leaf({ subject: '/CN=pump-1', by: root, addresses: [] });
const other = files.leaf({ subject: '/CN=pump-2', by: root, addresses: [] });
const below = files.leaf({ subject: '/CN=pump-3', by: issuing, addresses: [] });

const derOf = ({ pem }: MadeCertificate): Uint8Array => new Uint8Array(new X509Certificate(pem).raw);
const base64 = (made: MadeCertificate): string => Buffer.from(derOf(made)).toString('base64');
const serialOf = (made: MadeCertificate): string => toHex(readCertificate(derOf(made))!.serial);
const addressOf = (certificate: Uint8Array): string => formatIpv6(readCertificate(certificate)!.addresses);
const refused = (work: Promise<unknown>, code: string) =>
  expect(work).rejects.toSatisfy((error) => isFailure(error, code));

let here: Place;
beforeEach(async () => {
  here = await place();
});

const enrol = (made: MadeCertificate, more: { key?: ReturnType<typeof newKey>; anchor?: number } = {}) =>
  here.enrol({ maker: derOf(made), chain: [] }, more.key === undefined ? {} : { key: more.key }, more.anchor);

/** Adds the maker's CA; returns its number. */
async function maker({
  on = here.on,
  network = PLANT,
  admits = 'anybody' as const,
  certificates = [root],
}: {
  on?: Context;
  network?: Prefix;
  admits?: 'anybody' | 'listed';
  certificates?: readonly MadeCertificate[];
} = {}): Promise<number> {
  const networks = [formatPrefix(network)];
  const input = { name: 'maker', certificates: certificates.map(base64), networks, admits };
  return (await addAnchor.run(on, input)).view.id;
}

/** The same, and lets its machines enrol. */
async function enrolling(wanted: Parameters<typeof maker>[0] = {}): Promise<number> {
  const id = await maker(wanted);
  await setEnrols.run(wanted.on ?? here.on, { id, network: formatPrefix(wanted.network ?? PLANT) });
  return id;
}

const vouched = (id: number, certificate: Uint8Array): boolean =>
  here.registry.vouches({ anchor: id, names: [readCertificate(certificate)!] });

describe('a certificate of a maker', () => {
  it('gets one of the fabric only once the owner of its CA says so', async () => {
    const ca = await here.ca();
    const id = await maker();
    await refused(enrol(machine), 'pki.bad-code');
    const { view } = await setEnrols.run(here.on, { id, network: 'plant' });
    expect(view).toMatchObject({ id, enrols: formatPrefix(PLANT) });
    const certificate = await enrol(machine);
    const facts = readCertificate(certificate)!;
    expect(facts.addresses.subarray(0, 8)).toEqual(PLANT.address.subarray(0, 8));
    expect(vouched(ca, certificate)).toBe(true);
    expect(await here.registry.device(facts.addresses)).toMatchObject({ kind: 'pki', standing: 'active' });
    const { rows } = await listIssued.run(here.on, PAGE);
    expect(rows).toMatchObject([{ serial: toHex(facts.serial), parent: null, code: null }]);
    const entries = (await here.registry.audit(PAGE)).rows;
    expect(entries.find(({ action }) => action === 'pki.enrol')).toMatchObject({
      subject: addressOf(certificate),
      detail: { ca, by: id, shown: serialOf(machine), serial: toHex(facts.serial) },
    });
    expect(entries.map(({ action }) => action)).toEqual(
      expect.arrayContaining(['pki.enrols', 'device.admit']),
    );
    await setEnrols.run(here.on, { id, network: '' });
    await refused(enrol(machine), 'pki.bad-code');
    // What it has got is renewed all the same.
    await here.enrol({ certificate }, { subject: addressOf(certificate) });
  });

  it('gets the same again for the same key; another key evicts the former one, and the address stays', async () => {
    const ca = await here.ca();
    await enrolling();
    const key = newKey();
    const first = await enrol(machine, { key });
    await here.again();
    expect(await enrol(machine, { key })).toEqual(first);
    const renewed = await here.enrol({ certificate: first }, { subject: addressOf(first) });
    const second = await enrol(machine);
    expect(addressOf(second)).toBe(addressOf(first));
    expect([first, renewed, second].map((each) => vouched(ca, each))).toEqual([false, false, true]);
    await refused(here.enrol({ certificate: first }, { subject: addressOf(first) }), 'pki.revoked');
    // The former key is another one now.
    const third = await enrol(machine, { key });
    expect([vouched(ca, second), third === first]).toEqual([false, false]);
    expect(addressOf(await enrol(other))).not.toBe(addressOf(first));
    const reasons = (await listIssued.run(here.on, PAGE)).rows.map(({ revoked }) => revoked?.reason ?? null);
    expect(reasons.filter((each) => each?.includes(serialOf(machine)))).toHaveLength(3);
  });

  it('keeps its address when another CA issues, and when its own is added anew', async () => {
    const first = await here.ca();
    const id = await enrolling();
    const address = addressOf(await enrol(machine));
    await here.ca();
    await removeAnchor.run(here.on, { id: first });
    expect(addressOf(await enrol(machine))).toBe(address);
    await removeAnchor.run(here.on, { id });
    await refused(enrol(machine), 'pki.bad-code');
    await enrolling();
    expect(addressOf(await enrol(machine))).toBe(address);
  });

  it('that is to be listed gets the address for which it is, and none otherwise', async () => {
    await here.ca();
    const id = await enrolling({ admits: 'listed' });
    await refused(enrol(machine), 'pki.not-vouched');
    const list = (device: { address: string; serial?: string; subject?: string; spki?: string }) =>
      importListed.run(here.on, { id, devices: [device] });
    await list({ address: 'fd00:1::a:0:0:1', serial: serialOf(machine), spki: '00'.repeat(32) });
    await refused(enrol(machine), 'pki.not-vouched');
    await list({ address: 'fd00:1::a:0:0:1', serial: serialOf(machine) });
    expect(addressOf(await enrol(machine))).toBe('fd00:1::a:0:0:1');
    await refused(enrol(other), 'pki.not-vouched');
    await list({ address: 'fd00:1::a:0:0:2', subject: 'CN=pump-2' });
    expect(addressOf(await enrol(other))).toBe('fd00:1::a:0:0:2');
    await list({ address: 'fd00:1::a:0:0:3', subject: 'CN=pump-2' });
    await refused(enrol(other), 'pki.not-vouched');
  });

  it('gets no address at which another device is, even if it is listed for it', async () => {
    const ca = await here.ca();
    const id = await enrolling({ admits: 'listed' });
    const address = 'fd00:1::a:0:0:1';
    const present = await here.enrol(await here.code({ address }));
    await importListed.run(here.on, { id, devices: [{ address, serial: serialOf(machine) }] });
    await refused(enrol(machine), 'pki.address-not-free');
    expect(vouched(ca, present)).toBe(true);
  });

  it('that is listed for another address later leaves nothing valid at the former one', async () => {
    const ca = await here.ca();
    const id = await enrolling();
    const key = newKey();
    const first = await enrol(machine, { key });
    const address = 'fd00:1::a:0:0:7';
    await importListed.run(here.on, { id, devices: [{ address, serial: serialOf(machine) }] });
    expect(addressOf(await enrol(machine, { key }))).toBe(address);
    expect(vouched(ca, first)).toBe(false);
  });

  it('with intermediates counts with those that are shown, or were added', async () => {
    await here.ca();
    const id = await enrolling();
    const proof = { maker: derOf(below), chain: [derOf(issuing)] };
    await refused(enrol(below), 'pki.not-vouched');
    const address = addressOf(await here.enrol(proof));
    await revokeCertificate.run(here.on, { id, serial: serialOf(issuing), reason: 'leaked' });
    await refused(here.enrol(proof), 'pki.revoked');
    await removeAnchor.run(here.on, { id });
    await enrolling({ certificates: [root, issuing] });
    expect(addressOf(await enrol(below))).toBe(address);
  });
});

describe('no certificate is got', () => {
  it('by one that was revoked, by the owner or a list', async () => {
    await here.ca();
    const id = await enrolling();
    await enrol(machine);
    await revokeCertificate.run(here.on, { id, serial: serialOf(machine), reason: 'stolen' });
    await refused(enrol(machine), 'pki.revoked');
    const crl = files.crl(root, [serialOf(other)]).replaceAll(/-----[^-]+-----|\s/g, '');
    await enrol(other);
    await takeCrl.run(here.on, { id, crl });
    await refused(enrol(other), 'pki.revoked');
  });

  it('by one that has expired, is signed by another, or is for something else', async () => {
    await here.ca();
    await enrolling();
    const expired = files.leaf({ subject: '/CN=old', by: root, addresses: [], seconds: -60 });
    const impostor = files.ca({ subject: '/CN=maker' });
    const forged = files.leaf({ subject: '/CN=pump-1', by: impostor, addresses: [] });
    const server = files.leaf({ subject: '/CN=web', by: root, addresses: [], usage: 'serverAuth' });
    const weak = files.leaf({ subject: '/CN=weak', by: root, addresses: [], key: 'rsa1024' });
    for (const each of [expired, forged, server, weak, impostor])
      await refused(enrol(each), 'pki.not-vouched');
    await refused(here.enrol({ maker: new Uint8Array(9), chain: [] }), 'pki.not-vouched');
    await enrol(machine);
    here.pass(2 * DAY_MS);
    await refused(enrol(machine), 'pki.not-vouched');
    expect((await here.registry.devices(PAGE)).rows).toHaveLength(1);
  });

  it.each([
    ['ban', 'fabric.device-banned'],
    ['evict', 'pki.evicted'],
  ] as const)('for a device after its %s', async (change, code) => {
    await here.ca();
    await enrolling();
    const key = newKey();
    const address = addressOf(await enrol(machine, { key }));
    await setStanding.run(here.on, { address, change });
    await refused(enrol(machine), code);
    await refused(enrol(machine, { key }), code);
    // Nor if it is listed for another address.
    const { id } = (await here.registry.anchors()).find(({ enrols }) => enrols !== undefined)!;
    const devices = [{ address: 'fd00:1::a:0:0:7', serial: serialOf(machine) }];
    await importListed.run(here.on, { id, devices });
    await refused(enrol(machine), code);
  });

  it('for a device that was retired', async () => {
    await here.ca();
    await enrolling();
    const address = addressOf(await enrol(machine));
    await here.registry.retireDevice('test', parseIpv6(address));
    await refused(enrol(machine), 'fabric.device-retired');
  });

  it('while the group is suspended as which it comes, or in which it is', async () => {
    const ca = await here.ca();
    const id = await enrolling();
    await enrol(machine);
    for (const suspended of [id, ca]) {
      const { gid } = (await here.registry.groups(PAGE)).rows.find(({ anchor }) => anchor === suspended)!;
      await setGroupStatus.run(here.on, { gid: toHex(gid), status: 'suspended' });
      await refused(enrol(machine), 'fabric.group-suspended');
      await setGroupStatus.run(here.on, { gid: toHex(gid), status: 'active' });
    }
    await enrol(machine);
  });

  it('once a code has taken the place, or what it got was revoked', async () => {
    const ca = await here.ca();
    await enrolling();
    const address = addressOf(await enrol(machine));
    const next = await here.enrol(await here.code({ address }));
    await refused(enrol(machine), 'pki.revoked');
    expect(vouched(ca, next)).toBe(true);
    const stolen = readCertificate(await enrol(other))!;
    const revoked = { id: ca, serial: toHex(stolen.serial), reason: 'stolen', lineage: true };
    await revokeCertificate.run(here.on, revoked);
    await refused(enrol(other), 'pki.revoked');
    // Nor by another CA that issues.
    await here.ca();
    await removeAnchor.run(here.on, { id: ca });
    await refused(enrol(other), 'pki.revoked');
  });
});

describe('owners', () => {
  it('enrol the machines of their own CAs alone', async () => {
    const mine = await here.ca();
    const theirs = await here.ca([FOREIGN], here.other);
    await enrolling({ on: here.other, network: FOREIGN });
    await refused(enrol(machine, { anchor: mine }), 'pki.bad-code');
    const unlike = files.ca({ subject: '/CN=own' });
    await enrolling({ certificates: [unlike] });
    await refused(enrol(machine, { anchor: mine }), 'pki.not-vouched');
    expect(addressOf(await enrol(machine, { anchor: theirs })).startsWith('fd00:9::')).toBe(true);
    await refused(enrol(machine), 'pki.which-ca');
    await refused(enrol(machine, { anchor: 99 }), 'pki.unknown-ca');
  });

  it('with the same CA are told apart by the number of the one that issues', async () => {
    const mine = await here.ca();
    const theirs = await here.ca([FOREIGN], here.other);
    await enrolling();
    const first = await enrol(machine);
    await enrolling({ on: here.other, network: FOREIGN });
    await refused(enrol(machine), 'pki.which-ca');
    const there = await enrol(machine, { anchor: theirs });
    expect(addressOf(there).startsWith('fd00:9::')).toBe(true);
    expect([vouched(mine, first), vouched(theirs, there)]).toEqual([true, true]);
    expect(addressOf(await enrol(machine, { anchor: mine }))).toBe(addressOf(first));
  });

  it('let machines enrol in a network of a CA that they have added, for which another one issues', async () => {
    const ca = await here.ca();
    const id = await maker();
    const set = (network: string, which = id, on: Context = here.on) =>
      setEnrols.run(on, { id: which, network });
    await refused(set('plant', ca), 'pki.cannot-enrol');
    await refused(set('depot'), 'pki.cannot-enrol');
    await refused(set('nowhere'), 'fabric.unknown-network');
    await refused(set('', id, here.other), 'pki.unknown-ca');
    await refused(set(formatPrefix(FOREIGN), id, here.other), 'pki.unknown-ca');
    await removeAnchor.run(here.on, { id });
    await refused(set('depot', await maker({ network: DEPOT })), 'pki.no-issuer');
    expect((await here.registry.anchors()).map(({ enrols }) => enrols)).toEqual([undefined, undefined]);
  });

  it('show whoever has a certificate of a maker their CA, if it is the only one', async () => {
    const mine = await here.ca();
    await enrolling();
    const { certificate } = await here.registry.issuingCa(mine);
    const ask = () => here.authority({ kind: 'issuers', proof: { certificate: derOf(machine) } });
    expect(await ask()).toEqual([certificate]);
    await here.ca([FOREIGN], here.other);
    await refused(ask(), 'pki.which-ca');
  });
});
