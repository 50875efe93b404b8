import { expect, test } from 'vitest';
import { generateMakerKey, signAsMaker } from '../../../crypto/maker-key.ts';
import { admitGroup } from '../../../fabric/operations/groups.ts';
import { addNetwork } from '../../../fabric/operations/networks.ts';
import { showRoster } from '../../../fabric/operations/rosters.ts';
import { decodeBase45 } from '../../../protocol/base45.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { encodeLabel, type Label, parseLabel } from '../../../protocol/label.ts';
import '../checked.ts';
import { makeBatch } from '../device.ts';
import { opened, registryFile, seenBy } from '../place.ts';
import { makeRoster, rostered } from '../rosters.ts';

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
