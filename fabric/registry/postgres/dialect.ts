/**
 * The registry's statements are written in what SQLite and PostgreSQL have in common, with a few forms of SQLite's that are put in PostgreSQL's
 * words here; what SQLite calls `json_each`, `json_type`, `json_remove`, `instr`, `unhex` and the `min` and `max` of two values are functions in the
 * schema (schema/functions.ts).
 */

/** A blob; strings and quoted names, which stay as they are; a parameter, a hint for SQLite's planner, a blob's type; names that need quotes. */
const FORMS =
  /\bx'([0-9a-f]*)'|'(?:[^']|'')*'|"[^"]*"|\?|\bNOT INDEXED\b|\bINDEXED BY \w+|\bAS BLOB\b|\bboth\b|\b[a-z]+[A-Z]\w*/g;

/** A statement as PostgreSQL reads it: `?` are its parameters, in order. */
export function translated(sql: string): string {
  let parameters = 0;
  return sql.replace(FORMS, (form, blob: string | undefined) => {
    if (blob !== undefined) return `'\\x${blob}'::bytea`;
    if (form === '?') return `$${++parameters}`;
    if (/^['"]/.test(form)) return form;
    if (form === 'AS BLOB') return 'AS bytea';
    return /INDEXED/.test(form) ? '' : `"${form}"`;
  });
}

/** A parameter as text, which the server reads as the type that the statement needs. */
export function encoded(value: unknown): string | null {
  if (value === null) return null;
  // The server's texts have no zeros.
  if (typeof value === 'string') return value.replaceAll('\0', '\ufffd');
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array)
    return `\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`;
  throw new TypeError(`no value of a statement: ${typeof value}`);
}

/** Types of columns by their numbers in pg_type. */
const [BOOL, BYTEA, TEXTS] = [16, 17, new Set([18, 19, 25, 1042, 1043])];
const NUMBERS = new Set([20, 21, 23, 26, 700, 701, 1700]);

/** How a column's texts become values: numbers (of integers up to 2^53), bytes or texts; true is 1. */
export function decoder(type: number): (text: string) => unknown {
  if (NUMBERS.has(type)) return Number;
  if (type === BYTEA) return (text) => Buffer.from(text.slice(2), 'hex');
  if (type === BOOL) return (text) => (text === 't' ? 1 : 0);
  if (TEXTS.has(type)) return (text) => text;
  throw new Error(`a column of type ${type}`);
}
