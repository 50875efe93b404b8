import { expect, test } from 'vitest';
import { generateMakerKey, makerFingerprint, signAsMaker } from '../../../crypto/maker-key.ts';
import { scopeOf } from '../../../fabric/access/scope.ts';
import { admitGroup } from '../../../fabric/operations/groups.ts';
import { readLabel } from '../../../fabric/operations/labels.ts';
import { addNetwork } from '../../../fabric/operations/networks.ts';
import { showRoster } from '../../../fabric/operations/rosters.ts';
import { decodeBase45 } from '../../../protocol/base45.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { encodeLabel, type Label, parseLabel } from '../../../protocol/label.ts';
import { pemBody } from '../../../protocol/pem.ts';
import '../checked.ts';
import { makeBatch } from '../device.ts';
import { opened, registryFile, seenBy } from '../place.ts';
import { giveRoster, makeRoster, rostered } from '../rosters.ts';

const NETWORK = 'fd00:1:2:3::/64';

async function place() {
  const running = { notify: async () => 'in force', presence: async () => undefined };
  const on = { ...seenBy(opened(registryFile())), running, actor: 'alice', now: () => 1_000 };
  await addNetwork.run(on, { prefix: NETWORK, name: 'plant' });
  return on;
}

/** The text of a label with the maker's signature over all before it (protocol/label.ts). */
function signed(label: Label, secret: Uint8Array, publicKey: string): string {
  const unsigned = encodeLabel({ ...label, signature: new Uint8Array(64) });
  const message = decodeBase45(unsigned.slice(5))!.subarray(0, -68);
  return encodeLabel({ ...label, signature: signAsMaker(secret, publicKey, message) });
}

test('a label that is signed takes the roster of its maker alone; one that is not, that of any', async () => {
  const on = await place();
  const maker = generateMakerKey();
  const batch = makeBatch();
  const roster = makeRoster(batch.gid, rostered(1), { maker });
  const other = makeRoster(batch.gid, rostered(1));
  const add = (label: string, header: string) =>
    admitGroup.run(on, { label, network: NETWORK, roster: header }).then(
      () => 'admitted',
      ({ code }: { code: string }) => code,
    );
  const label = signed(parseLabel(batch.label), maker.secret, maker.publicKey);
  expect(await add(label, other.header)).toBe('roster.other-maker');
  const forged = encodeLabel({ ...parseLabel(label), signature: new Uint8Array(64).fill(1) });
  expect(await add(forged, roster.header)).toBe('roster.other-maker');
  expect(await add(label, '{}')).toBe('roster.bad-header');
  expect(await add(label, makeRoster(makeBatch().gid, []).header)).toBe('roster.other-group');
  expect(await add(`https://acme.example/#${label}`, roster.header)).toBe('admitted');
  expect(await showRoster.run(on, { gid: toHex(batch.gid) })).toMatchObject({
    rosterAwaited: true,
    roster: null,
  });
  const plain = makeBatch('plain');
  expect(await add(plain.label, makeRoster(plain.gid, []).header)).toBe('admitted');
});

test('the signature of a label is good, wrong or not checked: by the key that is given, or those of the own rosters', async () => {
  const on = await place();
  const [maker, other] = [generateMakerKey(), generateMakerKey()];
  const batch = makeBatch();
  const label = signed(parseLabel(batch.label), maker.secret, maker.publicKey);
  const read = (text: string, key?: string) => readLabel.run(on, { label: text, maker: key && pemBody(key) });
  const unknown = { signature: 'not-checked', maker: null };
  const good = { signature: 'good', maker: toHex(makerFingerprint(maker.publicKey)) };
  expect(await read(label)).toMatchObject(unknown);
  expect(await read(label, maker.publicKey)).toMatchObject(good);
  expect(await read(label, other.publicKey)).toMatchObject({ signature: 'wrong', maker: null });
  expect(await read(batch.label, maker.publicKey)).toMatchObject({ signature: 'none' });
  await expect(read(label, 'no key')).rejects.toMatchObject({ code: 'factory.bad-maker-key' });

  // One that has only begun is not known yet.
  const roster = makeRoster(batch.gid, rostered(1), { maker });
  await admitGroup.run(on, { label: batch.label, network: NETWORK });
  await on.registry.beginRoster('alice', batch.gid, roster.known);
  expect(await read(label)).toMatchObject(unknown);
  await giveRoster(on.whole!, batch.gid, roster);
  const next = signed({ ...parseLabel(batch.label), name: 'next' }, maker.secret, maker.publicKey);
  expect(await read(next)).toMatchObject(good);
  const strange = signed(parseLabel(batch.label), other.secret, other.publicKey);
  expect(await read(strange)).toMatchObject(unknown);
  // Each owner knows its own.
  const { id } = await on.whole!.addOwner('root', 'acme');
  const acme = { ...on, registry: on.whole!.of(scopeOf(id, false)) };
  expect(await readLabel.run(acme, { label: next })).toMatchObject(unknown);
});

test('a label admits nothing if it is not signed with the key that is given', async () => {
  const on = await place();
  const [maker, other] = [generateMakerKey(), generateMakerKey()];
  const batch = makeBatch();
  const label = signed(parseLabel(batch.label), maker.secret, maker.publicKey);
  const add = (text: string, key: string) =>
    admitGroup.run(on, { label: text, network: NETWORK, maker: pemBody(key) }).then(
      () => 'admitted',
      ({ code }: { code: string }) => code,
    );
  expect(await add(label, other.publicKey)).toBe('label.other-maker');
  expect(await add(batch.label, maker.publicKey)).toBe('label.other-maker');
  expect(await add(label, 'no key')).toBe('factory.bad-maker-key');
  expect((await on.registry.groups({ limit: 1 })).rows).toEqual([]);
  expect(await add(label, maker.publicKey)).toBe('admitted');
});
