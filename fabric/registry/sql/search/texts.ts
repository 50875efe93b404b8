import { type Database, type Engine, prepare } from '../base/statements.ts';

/** Devices with a text in their name or note, in the order of their ids; `upTo`: there may be more behind that id. */
export interface Matches {
  readonly matches: readonly { readonly id: number; readonly owner: number }[];
  readonly upTo?: number;
}

/** Some of the matches behind an id: what one turn of the event loop has time for. */
export type TextSearch = (after: number) => Matches;

/** Matches of one call; and of the first one, since most are one's own. */
const MATCHES = 2_000;
const FIRST_MATCHES = 128;

/** Three letters or more, in lower case, are found by each engine's own index. `most`: so many are wanted in the end. */
export function textSearch(db: Database, text: string, most: number): TextSearch {
  return SEARCHES[db.engine](db, text, most);
}

const SEARCHES: Readonly<Record<Engine, typeof textSearch>> = { sqlite: byTrigrams, postgres: byLooking };

/** Of a match only: rows of devices are long. */
const OWNER = '(SELECT owner FROM device WHERE device.id = device_text.id) AS owner';

const INDEXED: Readonly<Record<Engine, string>> = {
  sqlite: `SELECT device_text.rowid AS id, owner FROM device_text CROSS JOIN device ON device.id = device_text.rowid
    WHERE device_text MATCH ? AND device_text.rowid > ? ORDER BY device_text.rowid LIMIT ?`,
  // Of the index of trigrams, and not of all texts in the order of their ids.
  postgres: `SELECT id, ${OWNER} FROM device_text WHERE text LIKE ? AND +id > ? ORDER BY +id LIMIT ?`,
};

const PATTERN: Readonly<Record<Engine, (text: string) => string>> = {
  sqlite: (text) => `"${text.replaceAll('"', '""')}"`,
  postgres: (text) => `%${text.replace(/[\\%_]/g, '\\$&')}%`,
};

/** SQLite's index of trigrams has its rows in order. */
function byTrigrams(db: Database, text: string): TextSearch {
  const statement = prepare(db, INDEXED[db.engine]);
  const pattern = PATTERN[db.engine](text);
  let size = FIRST_MATCHES;
  return (after) => {
    const matches = statement.all(pattern, after, size) as Matches['matches'];
    const isFull = matches.length === size;
    size = MATCHES;
    return { matches, ...(isFull && { upTo: matches.at(-1)!.id }) };
  };
}

/** The last one that was looked at is there, too, whether or not it matches. */
const LOOKED_AT = `SELECT id, ${OWNER}, matches, place FROM
    (SELECT id, text LIKE ? AS matches, row_number() OVER (ORDER BY id) AS place FROM device_text
     WHERE id > ? ORDER BY id LIMIT ?) AS device_text
  WHERE matches OR place = ? ORDER BY id LIMIT ?`;
/** More devices with names are not looked at for a page. */
const MOST_LOOKED_AT = 10_000;

/**
 * PostgreSQL's index has none: all rows of a match would be read to sort them. So names are looked at one after the other as long as that promises to
 * find enough of them soon. Of a text that few have the index reads few rows.
 */
function byLooking(db: Database, text: string, most: number): TextSearch {
  const pattern = PATTERN[db.engine](text);
  const indexed = byTrigrams(db, text);
  let [looked, found, size, wanted] = [0, 0, FIRST_MATCHES, most];
  return (after) => {
    if (looked > 0 && found * MOST_LOOKED_AT < most * looked) {
      const some = indexed(after);
      // Of many the index reads all again for each call: where they are close together the names there are looked at.
      if (some.upTo !== undefined)
        [looked, found] = [looked + some.upTo - after, found + some.matches.length];
      return some;
    }
    const rows = prepare(db, LOOKED_AT).all(pattern, after, size, size, wanted) as {
      id: number;
      owner: number;
      matches: number;
      place: number;
    }[];
    const matches = rows.filter((row) => row.matches === 1);
    const last = rows.at(-1);
    const upTo = last !== undefined && (rows.length === wanted || last.place === size) ? last.id : undefined;
    looked += last?.place ?? 0;
    found += matches.length;
    size = MATCHES;
    // As many as are wanted were found, and do not suffice: those of others are passed over.
    if (matches.length >= wanted) wanted = MATCHES;
    return { matches, ...(upTo !== undefined && { upTo }) };
  };
}
