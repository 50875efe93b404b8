import { expect, test } from 'vitest';
import { DEFAULT_OWNER, EVERYTHING, scopeOf } from '../../../../fabric/access/scope.ts';
import { groupValues } from '../../../../fabric/registry/sql/search/group-values.ts';
import { type Part, tailsOf } from '../../../../fabric/registry/sql/search/tails.ts';
import { connect } from '../../../../fabric/registry/sqlite/connect.ts';

const DEVICES = 70_000;
const OTHER = 7;
const ALL = { after: 0, most: DEVICES, scope: EVERYTHING };

/** More devices than two chunks have; the first ones have groups with zeros in front, or of zeros alone. */
function many() {
  const db = connect(':memory:');
  db.exec('CREATE TABLE device (id INTEGER PRIMARY KEY, address BLOB, owner INTEGER)');
  const insert = db.prepare('INSERT INTO device (address, owner) VALUES (?, ?)');
  let seed = 1;
  const group = () => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return seed >>> 16;
  };
  const printed: string[] = [];
  db.transaction(() => {
    for (let n = 0; n < DEVICES; n++) {
      const groups = n < 50 ? [0, 0, n >> 4, n] : [group(), group() >> 8, group(), group()];
      const address = Buffer.alloc(16);
      for (const [i, value] of groups.entries()) address.writeUInt16BE(value, 8 + 2 * i);
      insert.run(address, n % 3 === 0 ? OTHER : DEFAULT_OWNER);
      printed.push(groups.map((value) => `:${value.toString(16)}`).join(''));
    }
  })();
  return { tails: tailsOf(db, (work) => work()), printed };
}

const { tails, printed } = many();
const found = async (part: Part, sought: typeof ALL = ALL) => (await tails.find([part], sought))[0];
const idsWith = (fits: (text: string, id: number) => boolean): number[] =>
  printed.flatMap((text, i) => (fits(text, i + 1) ? [i + 1] : []));

test.each([
  'abc',
  'f00d',
  '0:0',
  ':0:0:1:1',
  '1:',
  ':1',
  'a:b',
  ':',
  '7',
  '00a',
  'ab:0c',
  '12:34',
  '0:1:1f',
  'b:',
])('finds whoever has %j in its last four groups, as they are printed', async (text) => {
  expect(await found({ text })).toEqual(idsWith((each) => each.includes(text)));
});

test('finds each device by any part of its address', async () => {
  for (let id = 1; id <= DEVICES; id += 6_101) {
    const text = printed[id - 1]!;
    for (const part of [text.slice(1), text.slice(2, 9), text.slice(-5), text.slice(0, 4)])
      expect(await found({ text: part })).toContain(id);
  }
});

test.each<Part>([{ lastGroup: 5 }, { lastGroup: 0xabcd }])('finds whose last group is %j', async (part) => {
  const end = 'lastGroup' in part ? `:${part.lastGroup.toString(16)}` : '';
  expect(await found(part)).toEqual(idsWith((text) => text.endsWith(end)));
});

test('finds what is behind a device, as many as are asked for, and those of one owner', async () => {
  const text = 'ab';
  const own = scopeOf(DEFAULT_OWNER, false);
  const expected = idsWith((each, id) => each.includes(text) && (id - 1) % 3 !== 0 && id > 40_000);
  expect(await found({ text }, { after: 40_000, most: 20, scope: own })).toEqual(expected.slice(0, 20));
});

test('knows every value whose printed form can have a text in it', () => {
  const values = Array.from({ length: 0x1_0000 }, (_, value) => value);
  for (const [text, fits] of [
    ['ab', (group) => group.includes('ab')],
    ['0', undefined],
    ['0ab', (group) => group.includes('0ab')],
    ['ab:', (group) => group.endsWith('ab')],
    [':ab', (group) => group.startsWith('ab')],
    [':0:', (group) => group === '0'],
    [':00:', () => false],
    ['1:abcde', () => false],
    [':', undefined],
  ] as [string, ((group: string) => boolean) | undefined][]) {
    const expected = fits && values.filter((value) => fits(value.toString(16)));
    expect(groupValues(text)?.toSorted((one, other) => one - other)).toEqual(expected);
  }
});
