import { expect, test } from 'vitest';
import { type Database, keep } from '../../../../fabric/registry/sql/base/statements.ts';
import { textSearch } from '../../../../fabric/registry/sql/search/texts.ts';

interface Named {
  readonly id: number;
  readonly name: string;
}

/** A server that has these devices; `sorted`: how often it has read and sorted all matches. */
function serverWith(devices: readonly Named[]) {
  const asked = { sorted: 0, looked: 0 };
  const prepare = (sql: string) => ({
    all(pattern: string, after: number, size: number, _: number, wanted: number) {
      const text = pattern.slice(1, -1);
      const behind = devices.filter(({ id }) => id > after);
      if (sql.includes('ORDER BY +id')) {
        asked.sorted++;
        const matches = behind.filter(({ name }) => name.includes(text));
        return matches.slice(0, size).map(({ id }) => ({ id, owner: 1 }));
      }
      asked.looked++;
      return behind
        .slice(0, size)
        .map(({ id, name }, i) => ({ id, owner: 1, matches: name.includes(text) ? 1 : 0, place: i + 1 }))
        .filter(({ matches, place }) => matches === 1 || place === size)
        .slice(0, wanted);
    },
  });
  const db = { engine: 'postgres', prepare } as unknown as Database;
  keep(db);
  return { asked, db };
}

/** All that a search finds, as one goes through it of whom none is. */
function all(db: Database, text: string, most: number): number[] {
  const search = textSearch(db, text, most);
  const found: number[] = [];
  for (let at: number | undefined = 0; at !== undefined; ) {
    const { matches, upTo } = search(at);
    found.push(...matches.map(({ id }) => id));
    at = upTo;
  }
  return found;
}

const devices = (count: number, nameOf: (id: number) => string): Named[] =>
  Array.from({ length: count }, (_, i) => ({ id: i + 1, name: nameOf(i + 1) }));

test('a text that many have, but not the first ones, is not sorted again for each page', () => {
  const { asked, db } = serverWith(devices(60_000, (id) => (id <= 500 ? 'older' : 'plant')));
  expect(all(db, 'plant', 51)).toEqual(Array.from({ length: 59_500 }, (_, i) => i + 501));
  expect(asked.sorted).toBe(1);
});

test('a text that few have is found by the index, be it here and there', () => {
  const { asked, db } = serverWith(devices(60_000, (id) => (id % 1_000 === 0 ? 'plant' : 'older')));
  expect(all(db, 'plant', 51)).toEqual(Array.from({ length: 60 }, (_, i) => (i + 1) * 1_000));
  expect(asked).toEqual({ sorted: 1, looked: 1 });
});
