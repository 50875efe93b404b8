/** Certificates that the fabric issues: codes, renewals, and who gets none. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { judgeCertificate, readCertificate } from '../../../crypto/certificates.ts';
import { setStanding } from '../../../fabric/operations/devices.ts';
import { setGroupStatus } from '../../../fabric/operations/groups.ts';
import { setResidentOnly } from '../../../fabric/operations/networks.ts';
import { listAnchors, removeAnchor, revokeCertificate } from '../../../fabric/operations/pki/cas.ts';
import {
  addCodes,
  createCa,
  listCodes,
  listIssued,
  renewCa,
  withdrawCode,
} from '../../../fabric/operations/pki/issuing.ts';
import { commonName } from '../../../fabric/pki/certificate.ts';
import {
  deviceCertificate,
  issuingCertificate,
  newIssuingKey,
  readIssuingKey,
} from '../../../fabric/pki/issuing.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { Failure, isFailure } from '../../../protocol/failure.ts';
import { formatIpv6, formatPrefix, parseIpv6 } from '../../../protocol/ipv6.ts';
import { newKey } from '../requests.ts';
import { DAY_MS, DEPOT, FOREIGN, MINUTE_MS, PLANT, type Place, place } from './place.ts';

const PAGE = { limit: 100 };
const NOTHING = new Uint8Array(0);
let here: Place;

const refused = (work: Promise<unknown>, code: string) =>
  expect(work).rejects.toSatisfy((error) => isFailure(error, code));
const addressOf = (certificate: Uint8Array): string => formatIpv6(readCertificate(certificate)!.addresses);
const renew = (certificate: Uint8Array, more = {}): Promise<Uint8Array> =>
  here.enrol({ certificate }, { subject: addressOf(certificate), ...more });
const judged = async (certificate: Uint8Array, id: number, now = here.on.now()) => {
  const ca = await here.registry.issuingCa(id);
  return judgeCertificate(certificate, NOTHING, ca.certificate, Math.floor(now / 1_000));
};

beforeEach(async () => {
  here = await place();
});

describe('a code', () => {
  it('gets a certificate for a free address, which its CA vouches for', async () => {
    const id = await here.ca();
    const certificate = await here.enrol(await here.code({ name: 'pump-1' }));
    const facts = readCertificate(certificate)!;
    expect(facts.addresses.subarray(0, 8)).toEqual(PLANT.address.subarray(0, 8));
    expect(facts).toMatchObject({ commonName: addressOf(certificate), authority: false, sound: true });
    expect(facts.serial).toHaveLength(16);
    const days = (facts.notAfter * 1_000 - here.on.now()) / DAY_MS;
    expect(Math.round(days)).toBe(90);
    expect((await judged(certificate, id)).refused).toBeUndefined();
    const device = await here.registry.device(facts.addresses);
    expect(device).toMatchObject({ kind: 'pki', name: 'pump-1', standing: 'active', country: 'CH' });
    const { rows } = await listCodes.run(here.on, PAGE);
    expect(rows).toMatchObject([{ state: 'used', name: 'pump-1', serial: toHex(facts.serial) }]);
    const actions = (await here.registry.audit(PAGE)).rows.map(({ action }) => action);
    expect(actions).toEqual(expect.arrayContaining(['pki.create', 'pki.code', 'pki.enrol', 'device.admit']));
  });

  it.each(['P-256', 'P-384', 'ed25519'] as const)(
    'gets one for a key of %s, by a CA of either curve',
    async (kind) => {
      for (const curve of ['P-256', 'P-384'] as const) {
        const networks = [formatPrefix(PLANT)];
        const input = { name: curve, networks, curve, certificateDays: 7 };
        const { id } = (await createCa.run(here.on, input)).view.ca;
        const certificate = await here.enrol(await here.code(), { key: newKey(kind) });
        expect((await judged(certificate, id)).refused).toBeUndefined();
        expect(readCertificate(certificate)!.notAfter * 1_000).toBeLessThanOrEqual(
          here.on.now() + 7 * DAY_MS,
        );
      }
    },
  );

  it('may name the address', async () => {
    await here.ca();
    const address = 'fd00:1::e:0:0:1';
    expect(addressOf(await here.enrol(await here.code({ address })))).toBe(address);
  });

  it('gets the same certificate again for the same key, and none for another', async () => {
    await here.ca();
    const code = await here.code();
    const key = newKey();
    const certificate = await here.enrol(code, { key });
    expect(await here.enrol(code, { key, subject: 'other' })).toEqual(certificate);
    await refused(here.enrol(code), 'pki.bad-code');
    // Also after a crash; not after it has expired.
    await here.again();
    expect(await here.enrol(code, { key })).toEqual(certificate);
    here.pass(25 * 60 * MINUTE_MS);
    await refused(here.enrol(code, { key }), 'pki.bad-code');
    expect((await here.registry.issued(PAGE)).rows).toHaveLength(1);
  });

  it('that is unknown, withdrawn or has expired gets none', async () => {
    await here.ca();
    await refused(here.enrol({ code: new Uint8Array(32) }), 'pki.bad-code');
    const [withdrawn, late] = [await here.code(), await here.code({ hours: 1 })];
    const { id } = (await listCodes.run(here.on, PAGE)).rows[1]!;
    expect((await withdrawCode.run(here.on, { id })).changed).toBe(true);
    expect((await withdrawCode.run(here.on, { id })).changed).toBe(false);
    await refused(here.enrol(withdrawn), 'pki.bad-code');
    here.pass(61 * MINUTE_MS);
    await refused(here.enrol(late), 'pki.bad-code');
    expect((await here.registry.devices(PAGE)).rows).toEqual([]);
  });

  it('is not used up by a request that is refused', async () => {
    await here.ca();
    const code = await here.code();
    await refused(here.enrol(code, { signer: newKey() }), 'pki.bad-request');
    await refused(here.enrol(code, { key: newKey('rsa1024') }), 'pki.bad-request');
    await here.enrol(code);
  });

  it('is not made for a network without a CA, an address that is not free, or a name that is taken', async () => {
    const network = formatPrefix(PLANT);
    await refused(here.code(), 'pki.no-issuer');
    await here.ca();
    await here.code({ name: 'pump-1', address: 'fd00:1::e:0:0:1' });
    await refused(here.code({ name: 'pump-1' }), 'fabric.name-exists');
    await refused(here.code({ address: 'fd00:1::e:0:0:1' }), 'pki.address-not-free');
    await refused(here.code({ address: 'fd00:2::e:0:0:1' }), 'pki.address-not-free');
    await refused(here.code({ address: 'fd00:1::1' }), 'pki.address-not-free');
    await refused(addCodes.run(here.on, { network, count: 2, name: 'pump-2' }), 'fabric.bad-input');
    await refused(addCodes.run(here.on, { network, name: 'Pump 2' }), 'fabric.bad-input');
    const { codes } = await addCodes.run(here.on, { network, count: 3 });
    expect(new Set(codes.map(({ code }) => code)).size).toBe(3);
  });

  it('is of one owner, and its network', async () => {
    const mine = await here.ca();
    const theirs = await here.ca([FOREIGN], here.other);
    await refused(here.code({ network: PLANT }, here.other), 'fabric.unknown-network');
    await refused(here.ca([PLANT], here.other), 'fabric.unknown-network');
    await refused(renewCa.run(here.other, { id: mine }), 'pki.unknown-ca');
    await refused(
      renewCa.run(here.other, { id: theirs, networks: [formatPrefix(PLANT)] }),
      'fabric.unknown-network',
    );
    const code = await here.code({ network: FOREIGN }, here.other);
    await refused(here.enrol(code, {}, mine), 'pki.no-issuer');
    const certificate = await here.enrol(code, {}, theirs);
    expect(addressOf(certificate).startsWith('fd00:9::')).toBe(true);
    await refused(here.enrol({ certificate }, { subject: addressOf(certificate) }, mine), 'pki.no-issuer');
    expect((await listIssued.run(here.other, PAGE)).rows).toHaveLength(1);
    expect((await listCodes.run(here.other, PAGE)).rows).toHaveLength(1);
    const { id } = (await listCodes.run(here.other, PAGE)).rows[0]!;
    const first = { ...here.other, registry: here.registry.of({ owner: 1, everything: false }) };
    expect((await listIssued.run(first, PAGE)).rows).toEqual([]);
    await refused(withdrawCode.run(first, { id }), 'pki.unknown-code');
  });

  it('gets none that is not recorded', async () => {
    await here.ca();
    const proof = await here.code({ name: 'pump-1' });
    const died = here.registry.issue({ proof, spki: new Uint8Array(32), source: '::1' }, () => {
      throw new Error('the power goes');
    });
    await expect(died).rejects.toThrow('the power goes');
    expect((await here.registry.issued(PAGE)).rows).toEqual([]);
    expect((await here.registry.devices(PAGE)).rows).toEqual([]);
    await here.enrol(proof);
  });

  it('is a new beginning for its address: what was issued before is revoked', async () => {
    const id = await here.ca();
    const first = await here.enrol(await here.code());
    const address = addressOf(first);
    const second = await here.enrol(await here.code({ address }));
    expect(addressOf(second)).toBe(address);
    const names = [readCertificate(first)!, readCertificate(second)!];
    expect(names.map((name) => here.registry.vouches({ anchor: id, names: [name] }))).toEqual([false, true]);
    const { rows } = await listIssued.run(here.on, { ...PAGE, address });
    expect(rows.map(({ revoked }) => revoked?.reason ?? null)).toEqual([null, 'superseded by code 2']);
    await refused(renew(first), 'pki.revoked');
  });
});

describe('a renewal', () => {
  it('keeps the address, is of the lineage, and leaves the former certificate', async () => {
    const id = await here.ca();
    const first = await here.enrol(await here.code());
    here.pass(60 * DAY_MS);
    const key = newKey();
    const second = await renew(first, { key, addresses: [parseIpv6(addressOf(first))] });
    expect(addressOf(second)).toBe(addressOf(first));
    expect((await judged(second, id)).refused).toBeUndefined();
    expect((await judged(first, id)).refused).toBeUndefined();
    // The same question has the same answer.
    expect(await renew(first, { key })).toEqual(second);
    const third = await renew(second);
    const { rows } = await listIssued.run(here.on, PAGE);
    const serials = [third, second, first].map((each) => toHex(readCertificate(each)!.serial));
    expect(rows.map(({ serial }) => serial)).toEqual(serials);
    expect(rows.map(({ parent }) => parent)).toEqual([serials[1], serials[2], null]);
    here.pass(40 * DAY_MS);
    await refused(renew(first), 'pki.revoked');
    expect((await here.registry.devices(PAGE)).rows).toHaveLength(1);
  });

  it('is for the same subject and no other names', async () => {
    await here.ca();
    const certificate = await here.enrol(await here.code());
    const address = parseIpv6(addressOf(certificate));
    await refused(renew(certificate, { subject: 'pump' }), 'pki.other-subject');
    await refused(renew(certificate, { addresses: [address, address] }), 'pki.other-subject');
    await refused(
      renew(certificate, { addresses: [address.with(15, address[15]! ^ 1)] }),
      'pki.other-subject',
    );
    await renew(certificate, { subject: toHex(address).replace(/.{4}(?=.)/g, '$&:') });
  });

  it('is not for a certificate that was revoked, nor for a device that is out', async () => {
    const id = await here.ca();
    const certificate = await here.enrol(await here.code());
    const address = addressOf(certificate);
    for (const [change, code, back] of [
      ['ban', 'fabric.device-banned', 'unban'],
      ['evict', 'pki.evicted', undefined],
    ] as const) {
      await setStanding.run(here.on, { address, change });
      await refused(renew(certificate), code);
      if (back !== undefined) {
        await setStanding.run(here.on, { address, change: back });
        await renew(certificate);
      }
    }
    // A code for the address brings it back, and its former certificates do not.
    const next = await here.enrol(await here.code({ address }));
    expect(await here.registry.device(parseIpv6(address))).toMatchObject({ standing: 'active' });
    await refused(renew(certificate), 'pki.revoked');
    const { serial } = readCertificate(next)!;
    await revokeCertificate.run(here.on, { id, serial: toHex(serial), reason: 'stolen' });
    await refused(renew(next), 'pki.revoked');
  });

  it('got before an eviction does not end it', async () => {
    const id = await here.ca();
    const first = await here.enrol(await here.code());
    here.pass(DAY_MS);
    const second = await renew(first);
    const [address, gid] = [
      parseIpv6(addressOf(first)),
      here.registry.vouchers(parseIpv6(addressOf(first)), readCertificate(first)!)[0]!.gid,
    ];
    const shown = (certificate: Uint8Array) => ({
      ...{ address, gid, anchor: id, names: [], source: '192.0.2.7', facts: readCertificate(certificate)! },
    });
    await here.registry.admitVouched(shown(first));
    await setStanding.run(here.on, { address: formatIpv6(address), change: 'evict' });
    await here.registry.admitVouched(shown(second));
    expect((await here.registry.device(address)).standing).toBe('evicted');
  });

  it('is not for the certificate of another CA, or of none', async () => {
    const id = await here.ca();
    const certificate = await here.enrol(await here.code());
    const key = newIssuingKey('P-256');
    const networks = [PLANT];
    const time = { fromMs: here.on.now(), untilMs: here.on.now() + DAY_MS };
    const own = issuingCertificate(key, { subject: commonName('plant devices'), networks, ...time });
    const { serial } = readCertificate(certificate)!;
    const address = parseIpv6(addressOf(certificate));
    const forged = deviceCertificate({ certificate: own, key }, { address, serial, key: newKey(), ...time });
    await refused(renew(forged), 'pki.not-issued');
    await refused(here.enrol({ certificate: new Uint8Array(9) }), 'pki.not-issued');
    await removeAnchor.run(here.on, { id });
    await refused(renew(certificate), 'pki.revoked');
  });

  it('is not for a group that is suspended', async () => {
    const id = await here.ca();
    const certificate = await here.enrol(await here.code());
    const code = await here.code();
    const { gid } = (await here.registry.groups(PAGE)).rows.find(({ anchor }) => anchor === id)!;
    await setGroupStatus.run(here.on, { gid: toHex(gid), status: 'suspended' });
    await refused(renew(certificate), 'fabric.group-suspended');
    await refused(here.enrol(code), 'fabric.group-suspended');
  });

  it('leaves eight valid certificates of an address at most', async () => {
    await here.ca();
    const certificate = await here.enrol(await here.code());
    for (let i = 1; i < 8; i++) await renew(certificate);
    await refused(renew(certificate), 'pki.too-many-valid');
  });

  it('of a lineage that is revoked as a whole is out', async () => {
    const id = await here.ca();
    const first = await here.enrol(await here.code());
    const second = await renew(first);
    const third = await renew(second);
    const [a, b, c] = [first, second, third].map((each) => toHex(readCertificate(each)!.serial));
    const one = await revokeCertificate.run(here.on, { id, serial: b!, reason: 'lost' });
    expect(one.view).toMatchObject({ changed: true, revoked: [] });
    expect([...one.view.valid].sort()).toEqual([a, c].sort());
    await renew(third);
    const all = await revokeCertificate.run(here.on, { id, serial: b!, reason: 'lost', lineage: true });
    expect(all.view).toMatchObject({ changed: false, valid: [] });
    expect(all.view.revoked).toHaveLength(3);
    for (const each of [first, second, third]) await refused(renew(each), 'pki.revoked');
  });

  it('is of a CA of the owner whose network it is for, also if whoever runs the fabric makes that', async () => {
    const id = await here.ca([FOREIGN]);
    expect((await listAnchors.run(here.other, {})).rows).toMatchObject([{ id, owner: 'umbra' }]);
    await here.enrol(await here.code({ network: FOREIGN }));
    await refused(here.ca([FOREIGN, PLANT]), 'fabric.unknown-network');
  });

  it('is revoked by its whole number at its own CA, or not at all', async () => {
    const [id, certificate] = [await here.ca(), await here.enrol(await here.code())];
    const serial = toHex(readCertificate(certificate)!.serial);
    for (const lineage of [true, false])
      for (const given of [serial.slice(0, 12), 'ab:cd'])
        await refused(
          revokeCertificate.run(here.on, { id, serial: given, reason: 'x', lineage }),
          'pki.unknown-serial',
        );
    await renew(certificate);
  });

  it('is for no network that takes only chips that keep their keys: there are no codes for it', async () => {
    await here.ca();
    const code = await here.code();
    await setResidentOnly.run(here.on, { prefix: formatPrefix(PLANT), takes: 'resident' });
    await refused(here.code(), 'fabric.not-resident');
    await refused(here.enrol(code), 'fabric.not-resident');
  });
});

describe('a CA of the fabric', () => {
  it('vouches for no address beyond its networks, even if it has signed it', async () => {
    const id = await here.ca();
    const ca = await here.registry.issuingCa(id);
    const signer = { certificate: ca.certificate, key: await readIssuingKey(here.data, ca.certificate) };
    const time = { fromMs: here.on.now() - MINUTE_MS, untilMs: here.on.now() + DAY_MS };
    const sign = (address: string) =>
      deviceCertificate(signer, {
        address: parseIpv6(address),
        serial: new Uint8Array(16).fill(7),
        key: newKey(),
        ...time,
      });
    expect((await judged(sign('fd00:1::a:0:0:1'), id)).refused).toBeUndefined();
    expect((await judged(sign('fd00:2::a:0:0:1'), id)).refused).toMatch(/subtree/);
  });

  it('is renewed by the same key for further networks, and what it has issued holds', async () => {
    const id = await here.ca();
    const before = await here.enrol(await here.code());
    await refused(here.code({ network: DEPOT }), 'pki.no-issuer');
    const { view } = await renewCa.run(here.on, { id, networks: ['depot'], certificateDays: 30 });
    expect(view.ca).toMatchObject({ id, networks: [PLANT, DEPOT].map(formatPrefix), issueDays: 30 });
    expect((await judged(before, id)).refused).toBeUndefined();
    const there = await here.enrol(await here.code({ network: DEPOT }));
    expect((await judged(there, id)).refused).toBeUndefined();
    expect(addressOf(there).startsWith('fd00:2::')).toBe(true);
    expect(addressOf(await renew(before))).toBe(addressOf(before));
  });

  it('issues nothing that outlives it, and nothing after its end', async () => {
    const networks = [formatPrefix(PLANT)];
    const { id, notAfter } = (await createCa.run(here.on, { name: 'short', networks, days: 10 })).view.ca;
    const code = await here.code({ hours: 24 * 20 });
    const certificate = await here.enrol(await here.code());
    expect(readCertificate(certificate)!.notAfter * 1_000).toBe(Date.parse(notAfter));
    expect(await here.registry.casEnding(30)).toMatchObject([{ subject: `CA ${id}`, kind: 'ca.expiring' }]);
    here.pass(10 * DAY_MS);
    await refused(here.enrol(code), 'pki.no-issuer');
    await renewCa.run(here.on, { id });
    expect(await here.registry.casEnding(30)).toEqual([]);
    await here.enrol(code);
  });

  it('gives way to a newer one, which renews what it has issued', async () => {
    const old = await here.ca();
    const certificate = await here.enrol(await here.code());
    const id = await here.ca();
    const next = await renew(certificate);
    expect((await judged(next, id)).refused).toBeUndefined();
    expect((await judged(next, old)).refused).toBeDefined();
    expect(addressOf(next)).toBe(addressOf(certificate));
  });

  it('has its key in a file of its own, which goes with it', async () => {
    const folder = join(here.data, 'issuing');
    const id = await here.ca();
    const [file] = readdirSync(folder);
    expect(statSync(join(folder, file!)).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    // Who may not change keys removes neither.
    const keeper = await here.on.keys!();
    const change = async (): Promise<void> => {
      throw new Failure('fabric.not-served', 'operator', 'no fabric serves', { action: 'Start it.' });
    };
    await refused(
      removeAnchor.run({ ...here.on, keys: async () => ({ ...keeper, change }) }, { id }),
      'fabric.not-served',
    );
    expect(await here.registry.anchors()).toHaveLength(1);
    await removeAnchor.run(here.on, { id });
    expect(readdirSync(folder)).toEqual([]);
    // Nothing is left of one that could not be added.
    for (let i = 0; i < 8; i++) await here.ca();
    await refused(here.ca(), 'pki.too-many-cas');
    expect(readdirSync(folder)).toHaveLength(8);
    expect(existsSync(join(folder, file!))).toBe(false);
  });

  it('is told to whoever shows a code or a certificate, or asks for it by its number', async () => {
    const ask = (asked: object) => here.authority({ kind: 'issuers', ...asked });
    await refused(ask({}), 'pki.which-ca');
    const mine = await here.ca();
    const proof = await here.code();
    const { certificate } = await here.registry.issuingCa(mine);
    expect(await ask({})).toEqual([certificate]);
    const theirs = await here.ca([FOREIGN], here.other);
    await refused(ask({}), 'pki.which-ca');
    expect(await ask({ proof })).toEqual([certificate]);
    expect(await ask({ proof: { certificate: await here.enrol(proof) } })).toEqual([certificate]);
    expect(await ask({ anchor: theirs })).toEqual([(await here.registry.issuingCa(theirs)).certificate]);
    await refused(ask({ anchor: 99 }), 'pki.unknown-ca');
    await refused(ask({ proof: { code: new Uint8Array(32) } }), 'pki.bad-code');
  });
});
