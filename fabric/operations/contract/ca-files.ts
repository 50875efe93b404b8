import { Failure } from '../../../protocol/failure.ts';
import { parseCertificates } from '../../../protocol/identity/roots.ts';
import { formatPrefix, parseIpv6, prefixOf } from '../../../protocol/ipv6.ts';

/** The files of an owner's CA: read by the command line and by the console, before anything of them is sent. */

/** The certificates of a CA, DER: PEM with one or more, or one in DER. `where` names the file. @throws Failure `pki.bad-ca` */
export const certificatesIn = (file: Uint8Array, where: string): readonly Uint8Array[] =>
  parseCertificates(file, where, noCertificate).certificates;

const noCertificate = (where: string, got: string): Failure =>
  new Failure('pki.bad-ca', 'operator', `${where}: expected certificates in PEM or one in DER, got ${got}`, {
    action: 'Give the certificate of the CA first, then those of its intermediates, in PEM.',
  });

/** Devices that are listed by one request. */
export const LISTED_AT_ONCE = 100;

const COLUMNS = ['address', 'subject', 'serial', 'spki'] as const;

/** One device as a line of a list has it. */
export type ListedRow = { readonly address: string } & {
  readonly [Column in Exclude<(typeof COLUMNS)[number], 'address'>]?: string;
};

/** A line that cannot be taken, counted from 1, and why. */
export interface WrongLine {
  readonly line: number;
  readonly what: string;
}

/**
 * Reads a list of devices, CSV (RFC 4180) whose first line names its columns: `address`, and any of `subject`, `serial` and `spki`. Empty fields
 * say nothing. With `networks`, prefixes of /64, each address must be in one of them.
 */
export function readListed(
  text: string,
  networks?: readonly string[],
): { readonly rows: readonly ListedRow[]; readonly wrong: readonly WrongLine[] } {
  const rows: ListedRow[] = [];
  const wrong: WrongLine[] = [];
  let columns: readonly string[] | undefined;
  for (const [i, line] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    if (line.trim() === '') continue;
    const cells = cellsOf(line);
    if (columns === undefined) {
      columns = cells?.map((each) => each.toLowerCase()) ?? [];
      if (isHead(columns)) continue;
      return { rows: [], wrong: [{ line: i + 1, what: HEAD }] };
    }
    const row = rowOf(cells, columns, networks);
    if (typeof row === 'string') wrong.push({ line: i + 1, what: row });
    else rows.push(row);
  }
  return columns === undefined ? { rows, wrong: [{ line: 1, what: HEAD }] } : { rows, wrong };
}

const HEAD = `expected the columns ${COLUMNS.join(', ')}, of which only address must be there`;

const isHead = (columns: readonly string[]): boolean =>
  columns.includes('address') &&
  columns.every((each) => (COLUMNS as readonly string[]).includes(each)) &&
  new Set(columns).size === columns.length;

/** The device, or what is wrong with its line. */
function rowOf(
  cells: readonly string[] | undefined,
  columns: readonly string[],
  networks: readonly string[] | undefined,
): ListedRow | string {
  if (cells === undefined) return 'has a quote in the wrong place';
  if (cells.length !== columns.length) return `expected ${columns.length} fields, got ${cells.length}`;
  const fields = columns.map((name, at) => [name, cells[at]!] as const);
  const row = Object.fromEntries(fields.filter(([, value]) => value !== '')) as Partial<ListedRow>;
  if (row.address === undefined) return 'has no address';
  const network = networkOf(row.address);
  if (network === undefined) return `${JSON.stringify(row.address)} is no IPv6 address`;
  if (networks !== undefined && !networks.includes(network))
    return `${row.address} is in none of the networks of this CA`;
  if (row.serial !== undefined && serialDigits(row.serial) === undefined) return noSerial(row.serial);
  if (row.spki !== undefined && spkiDigits(row.spki) === undefined) return noSpki(row.spki);
  return row as ListedRow;
}

function networkOf(address: string): string | undefined {
  try {
    return formatPrefix(prefixOf(parseIpv6(address), 64));
  } catch {
    return undefined;
  }
}

const FIELD = /(?:"((?:[^"]|"")*)"|([^",]*))(?:,|$)/y;

/** The fields of a line; one in quotes may have commas in it, and quotes twice. */
function cellsOf(line: string): string[] | undefined {
  const cells: string[] = [];
  for (let at = 0; at <= line.length; ) {
    FIELD.lastIndex = at;
    const found = FIELD.exec(line);
    if (found === null) return undefined;
    cells.push((found[1]?.replaceAll('""', '"') ?? found[2]!).trim());
    at = FIELD.lastIndex;
    if (!found[0].endsWith(',')) break;
  }
  return cells;
}

const digitsOf = (given: string): string => given.replaceAll(/[\s:]/g, '').toLowerCase();

/** The hex digits of a serial number, an even number of them without zeros in front; undefined: it is none. */
export function serialDigits(given: string): string | undefined {
  const digits = digitsOf(given).replace(/^(?:0x)?0*/, '');
  if (!/^[0-9a-f]{1,40}$/.test(digits)) return undefined;
  return digits.length % 2 === 0 ? digits : `0${digits}`;
}

/** The hex digits of the SHA-256 of a public key; undefined: it is none. */
export function spkiDigits(given: string): string | undefined {
  const digits = digitsOf(given);
  return /^[0-9a-f]{64}$/.test(digits) ? digits : undefined;
}

export const noSerial = (given: string): string =>
  `${JSON.stringify(given)} is no serial number of 1 to 40 hex digits`;

export const noSpki = (given: string): string =>
  `${JSON.stringify(given)} is no SHA-256 of a public key, which has 64 hex digits`;
