/** What ends the session of a machine with a certificate. */
import { describe, expect, it } from 'vitest';
import { readCertificate } from '../../../../crypto/certificates.ts';
import { setStanding } from '../../../../fabric/operations/devices.ts';
import { removeAnchor, revokeCertificate, takeCrl } from '../../../../fabric/operations/pki/cas.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { isFailure } from '../../../../protocol/failure.ts';
import { until } from '../fixture.ts';
import {
  A,
  addCa,
  B,
  come,
  comesIn,
  context,
  crlOf,
  derOf,
  files,
  intermediate,
  isIn,
  isRefused,
  leafOf,
  root,
  stranger,
} from './place.ts';

describe('a live session is cut', () => {
  it('when its certificate is revoked by its serial number', async () => {
    const id = await addCa();
    const leaf = leafOf(root);
    const peer = await comesIn(leaf);
    const serial = toHex(readCertificate(derOf(leaf))!.serial);
    const { view } = await revokeCertificate.run(context, { id, serial, reason: 'stolen' });
    expect(view.changed).toBe(true);
    expect((await peer.ending).verdict).toEqual({ kind: 'unknown' });
    await isRefused(leaf);
    expect((await revokeCertificate.run(context, { id, serial, reason: 'stolen' })).view.changed).toBe(false);
  });
  it('when a list of its issuer has it, and by an older list no more', async () => {
    const id = await addCa([root, intermediate]);
    const leaf = leafOf(intermediate, [A], { serial: '4711' });
    const peer = await comesIn(leaf);
    // Of another issuer it is another certificate that has this number.
    expect((await takeCrl.run(context, { id, crl: crlOf(root) })).view.changed).toBe(true);
    expect(isIn()).toBe(true);
    const crl = crlOf(intermediate);
    expect((await takeCrl.run(context, { id, crl })).view.changed).toBe(true);
    expect((await peer.ending).verdict).toEqual({ kind: 'unknown' });
    await isRefused(leaf);
    expect((await takeCrl.run(context, { id, crl })).view.changed).toBe(false);
    await expect(takeCrl.run(context, { id, crl: crlOf(stranger) })).rejects.toSatisfy((error) =>
      isFailure(error, 'pki.bad-crl'),
    );
    await expect(takeCrl.run(context, { id, crl: 'MAA=' })).rejects.toSatisfy((error) =>
      isFailure(error, 'pki.bad-crl'),
    );
  });
  it('by the list of its own CA alone, where an owner has two of which one has a list', async () => {
    const second = files.ca({ subject: '/CN=Second root', key: 'ed25519' });
    const id = await addCa();
    await addCa(second);
    const peer = await comesIn(leafOf(root, [A], { serial: '4711' }));
    const leaf = leafOf(second, [B], { serial: '4711' });
    const other = await come(leaf);
    await until(() => isIn(B));
    await takeCrl.run(context, { id, crl: crlOf(root) });
    expect((await peer.ending).verdict).toEqual({ kind: 'unknown' });
    expect(isIn(B)).toBe(true);
    other.close();
    await until(() => !isIn(B));
    await come(leaf);
    await until(() => isIn(B));
  });
  it('when the certificate of its intermediate is revoked, which was remembered', async () => {
    const id = await addCa();
    (await comesIn(leafOf(intermediate), intermediate)).close();
    await until(() => !isIn());
    const peer = await comesIn(leafOf(intermediate), intermediate);
    const serial = toHex(readCertificate(derOf(intermediate))!.serial);
    await revokeCertificate.run(context, { id, serial, reason: 'lost' });
    await peer.ending;
    await isRefused(leafOf(intermediate), intermediate);
  });
  it('when its CA is removed', async () => {
    const id = await addCa();
    const leaf = leafOf(root);
    const peer = await comesIn(leaf);
    await removeAnchor.run(context, { id });
    expect((await peer.ending).verdict).toEqual({ kind: 'unknown' });
    await isRefused(leaf);
    // Added again, it vouches for the device that is there.
    await addCa();
    await comesIn(leaf);
  });
  it('when its certificate expires', async () => {
    await addCa();
    const peer = await comesIn(leafOf(root, [A], { seconds: 3 }));
    expect((await peer.ending).verdict).toEqual({ kind: 'unknown' });
  }, 20_000);
  it('when it is banned; and evicted it comes back by a newer certificate', async () => {
    await addCa();
    const leaf = leafOf(root);
    const peer = await comesIn(leaf);
    await setStanding.run(context, { address: A, change: 'ban' });
    expect((await peer.ending).verdict).toMatchObject({ kind: 'banned' });
    await setStanding.run(context, { address: A, change: 'unban' });
    await setStanding.run(context, { address: A, change: 'evict' });
    expect((await (await come(leaf)).ending).verdict).toEqual({ kind: 'evicted' });
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await comesIn(leafOf(root));
    expect(isIn()).toBe(true);
  });
});
