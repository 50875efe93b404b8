/** Machines that an owner lists, and a CA of another owner. */
import { describe, expect, it } from 'vitest';
import { readCertificate } from '../../../../crypto/certificates.ts';
import { scopeOf } from '../../../../fabric/access/scope.ts';
import { importListed, removeAnchor, revokeCertificate } from '../../../../fabric/operations/pki/cas.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { isFailure } from '../../../../protocol/failure.ts';
import { parsePrefix } from '../../../../protocol/ipv6.ts';
import {
  A,
  addCa,
  comesIn,
  context,
  contextOf,
  derOf,
  files,
  isIn,
  isRefused,
  leafOf,
  registry,
  root,
} from './place.ts';

describe('devices that are listed', () => {
  it('come in, and no others', async () => {
    const id = await addCa(root, 'listed');
    const leaf = leafOf(root);
    await isRefused(leaf);
    await importListed.run(context, {
      id,
      devices: [{ address: A, serial: toHex(readCertificate(derOf(leaf))!.serial) }],
    });
    await isRefused(leafOf(root, [A], { serial: '77' }));
    await comesIn(leaf);
  });
  it('have the address of the list if their certificate names none', async () => {
    const id = await addCa(root, 'listed');
    const leaf = leafOf(root, []);
    const spki = toHex(readCertificate(derOf(leaf))!.spki);
    await importListed.run(context, { id, devices: [{ address: A, subject: 'CN=pump', spki }] });
    await comesIn(leaf);
    expect(isIn()).toBe(true);
  });
  it('are in networks of the CA only', async () => {
    const id = await addCa(root, 'listed');
    const run = importListed.run(context, { id, devices: [{ address: 'fd00:2::5:0:0:1' }] });
    await expect(run).rejects.toSatisfy((error) => isFailure(error, 'pki.bad-mapping'));
  });
});

describe('another owner', () => {
  it('vouches for no address of this one, and takes none of its machines', async () => {
    const other = await registry.addOwner('test', 'other');
    await registry.lendPrefix('test', other.name, parsePrefix('fd00:2::/64'));
    const scope = scopeOf(other.id, false);
    const theirs = contextOf(registry.of(scope));
    await theirs.registry.addNetwork('test', parsePrefix('fd00:2::/64'), 'theirs');
    const foreign = files.ca({ subject: '/CN=Foreign' });
    await addCa(foreign, 'anybody', theirs, ['fd00:2::/64']);
    const mine = await addCa();
    await isRefused(leafOf(foreign));
    await expect(addCa(foreign, 'anybody', theirs)).rejects.toSatisfy((error) =>
      isFailure(error, 'fabric.unknown-network'),
    );
    // Whoever lists a machine of others with its own address: two disagree, and it gets neither.
    const same = await addCa(root, 'listed', theirs, ['fd00:2::/64']);
    const leaf = leafOf(root, []);
    const spki = toHex(readCertificate(derOf(leaf))!.spki);
    await importListed.run(context, { id: mine, devices: [{ address: A, spki }] });
    await importListed.run(theirs, { id: same, devices: [{ address: 'fd00:2::a:0:0:9', spki }] });
    await isRefused(leaf);
    // One that has been in stays so, whoever lists it later.
    const pump = leafOf(root, []);
    const key = toHex(readCertificate(derOf(pump))!.spki);
    await importListed.run(context, { id: mine, devices: [{ address: A, spki: key }] });
    const peer = await comesIn(pump);
    peer.close();
    await importListed.run(theirs, { id: same, devices: [{ address: 'fd00:2::a:0:0:8', spki: key }] });
    await comesIn(pump);
    // What is of the other owner is as if it were not there.
    for (const run of [
      removeAnchor.run(theirs, { id: mine }),
      revokeCertificate.run(theirs, { id: mine, serial: '1', reason: 'x' }),
      importListed.run(theirs, { id: mine, devices: [] }),
    ])
      await expect(run).rejects.toSatisfy((error) => isFailure(error, 'pki.unknown-ca'));
    expect((await theirs.registry.anchors()).map(({ name, id }) => [name, id])).not.toContainEqual([
      'plant CA',
      mine,
    ]);
  });
});
