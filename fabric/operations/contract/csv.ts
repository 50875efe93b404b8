import type { TSchema } from 'typebox';

/** A line of CSV (RFC 4180): cells with a quote, comma or line break are quoted. */
export const csvLine = (cells: readonly string[]): string => `${cells.map(csvCell).join(',')}\r\n`;

/** A cell that a spreadsheet would take for a formula, which somebody else may have chosen, becomes a text. */
function csvCell(text: string): string {
  const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

/** A column of a list: the names that lead to its value in a row. */
export type Column = readonly string[];

interface Described {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly anyOf?: readonly TSchema[];
}

/** The columns of rows that a schema describes: each field, and those of objects in it, as `lastHandshake.at`. */
export function columnsOf(schema: TSchema): readonly Column[] {
  const properties = propertiesOf(schema);
  if (properties === undefined) return [[]];
  return Object.entries(properties).flatMap(([name, each]) =>
    columnsOf(each).map((column) => [name, ...column]),
  );
}

/** Of an object, or of one that may be null. */
function propertiesOf(schema: TSchema): Described['properties'] {
  const { properties, anyOf } = schema as Described;
  return properties ?? anyOf?.map(propertiesOf).find((each) => each !== undefined);
}

/** The row's value in each column: nothing for null and for what is absent, JSON for lists and free objects. */
export const cellsOf = (row: object, columns: readonly Column[]): string[] =>
  columns.map((column) => textOf(column.reduce<unknown>(fieldOf, row)));

const fieldOf = (value: unknown, name: string): unknown => (value as Record<string, unknown> | null)?.[name];

function textOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
