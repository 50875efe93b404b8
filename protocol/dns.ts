import { ascii, concat, readU16, u16 } from './bytes.ts';

/*
 * As much of DNS as a stub resolver needs to ask for addresses (RFC 1035 §4.1) and services (RFC 2782):
 *
 *   0  | id, u16 | flags, u16 | questions | answers | authorities | additional |     12 bytes, each u16
 *  12  | name: (length u8, label)… 0 | type, u16 | class, u16 |                      the question
 *      | name | type | class | TTL, u32 | length, u16 | data |                        each answer
 *
 * A name in an answer may end with a pointer (two bytes, the upper bits 11) to where it goes on, further back in the message.
 */

export type RecordType = 'A' | 'AAAA' | 'SRV';

const TYPES = { A: 1, CNAME: 5, AAAA: 28, SRV: 33 } as const;
const HEADER = 12;
const IN = 1;
const RECURSION_DESIRED = 0x0100;
const RESPONSE = 0x8000;
const TRUNCATED = 0x0200;
const NXDOMAIN = 3;
const MOST_NAMES = 16;
/** Bytes of a name on the wire (RFC 1035 §2.3.4). */
const LONGEST_NAME = 255;
/** Of one name. Servers need one, two at most. */
const MOST_POINTERS = 16;
/** Of an answer that is read: more than any name's addresses and their aliases. */
const MOST_RECORDS = 128;

export type DnsAnswer =
  /** Addresses of 4 or 16 bytes, perhaps none; empty also if there is no such name. */
  | { readonly kind: 'addresses'; readonly addresses: readonly Uint8Array[] }
  /** The records of a service; empty also if there is no such name. */
  | { readonly kind: 'services'; readonly services: readonly DnsService[] }
  /** Too long for a datagram: ask again over TCP. */
  | { readonly kind: 'truncated' }
  /** The server could not or would not say; `code` is its RCODE. */
  | { readonly kind: 'failed'; readonly code: number };

/** A record of type SRV: three numbers of 16 bits and the name of a host, in lower case without a final dot; empty: there is no such service. */
export interface DnsService {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

/** True for a name that DNS can be asked for: labels of 1 to 63 characters, 253 in all. A final dot is allowed. */
export function isDnsName(name: string): boolean {
  const bare = name.replace(/\.$/, '');
  return bare.length <= 253 && bare.split('.').every((label) => /^[0-9A-Za-z_-]{1,63}$/.test(label));
}

/** The question for a name's addresses or services, with recursion. `id` is 16 bits that an answer has to repeat. */
export function encodeDnsQuery(id: number, name: string, type: RecordType): Uint8Array {
  if (!isDnsName(name)) throw new Error(`not a DNS name: ${JSON.stringify(name)}`);
  const labels = name
    .replace(/\.$/, '')
    .split('.')
    .flatMap((label) => [Uint8Array.of(label.length), ascii(label)]);
  const counts = concat(u16(1), u16(0), u16(0), u16(0));
  return concat(
    u16(id),
    u16(RECURSION_DESIRED),
    counts,
    ...labels,
    Uint8Array.of(0),
    u16(TYPES[type]),
    u16(IN),
  );
}

/**
 * Reads the answer to `query`; undefined if it is none: another id or question, malformed, or with more records than any name has. Aliases (CNAME) are followed within the
 * answer, as recursive servers give it.
 */
export function parseDnsAnswer(query: Uint8Array, answer: Uint8Array): DnsAnswer | undefined {
  if (answer.length < query.length || readU16(answer, 0) !== readU16(query, 0)) return undefined;
  const flags = readU16(answer, 2);
  if ((flags & RESPONSE) === 0 || readU16(answer, 4) !== 1 || !repeats(query, answer)) return undefined;
  if ((flags & TRUNCATED) !== 0) return { kind: 'truncated' };
  const code = flags & 0xf;
  if (code !== 0 && code !== NXDOMAIN) return { kind: 'failed', code };
  const type = readU16(query, query.length - 4);
  const records = code === NXDOMAIN ? [] : readRecords(answer, query.length, readU16(answer, 6));
  if (records === undefined) return undefined;
  const found = follow(records, readName(query, HEADER)!.name, type);
  if (type === TYPES.SRV)
    return { kind: 'services', services: found.flatMap(({ service }) => service ?? []) };
  const length = type === TYPES.A ? 4 : 16;
  return {
    kind: 'addresses',
    addresses: found.map(({ data }) => data).filter((data) => data.length === length),
  };
}

/** The same question in the answer; servers may write its letters in another case. */
function repeats(query: Uint8Array, answer: Uint8Array): boolean {
  const asked = readName(query, HEADER);
  const told = readName(answer, HEADER);
  if (asked === undefined || told === undefined || asked.name !== told.name || asked.end !== told.end)
    return false;
  return query.subarray(asked.end).every((byte, i) => answer[asked.end + i] === byte);
}

interface Entry {
  readonly name: string;
  readonly type: number;
  readonly data: Uint8Array;
  /** Of an alias. */
  readonly target: string | undefined;
  readonly service: DnsService | undefined;
}

function readRecords(answer: Uint8Array, from: number, count: number): Entry[] | undefined {
  if (count > MOST_RECORDS) return undefined;
  const records: Entry[] = [];
  let offset = from;
  for (let i = 0; i < count; i++) {
    const owner = readName(answer, offset);
    if (owner === undefined || owner.end + 10 > answer.length) return undefined;
    const type = readU16(answer, owner.end);
    const start = owner.end + 10;
    const end = start + readU16(answer, owner.end + 8);
    if (end > answer.length) return undefined;
    const target = type === TYPES.CNAME ? readName(answer, start)?.name : undefined;
    const service = type === TYPES.SRV ? readService(answer, start, end) : undefined;
    records.push({ name: owner.name, type, data: answer.slice(start, end), target, service });
    offset = end;
  }
  return records;
}

/** The target is not compressed (RFC 2782), but some servers do that. Undefined if it does not end with the record. */
function readService(answer: Uint8Array, start: number, end: number): DnsService | undefined {
  if (end - start < 7) return undefined;
  const target = readName(answer, start + 6);
  if (target?.end !== end) return undefined;
  const [priority, weight, port] = [0, 2, 4].map((at) => readU16(answer, start + at)) as [
    number,
    number,
    number,
  ];
  return { priority, weight, port, target: target.name };
}

function follow(records: readonly Entry[], name: string, type: number): readonly Entry[] {
  let current = name;
  for (let i = 0; i < MOST_NAMES; i++) {
    const alias = records.find((each) => each.name === current && each.target !== undefined);
    if (alias === undefined) break;
    current = alias.target!;
  }
  return records.filter((each) => each.name === current && each.type === type);
}

/**
 * A name in lower case and where the message goes on behind it; undefined if it leaves the message, is longer than a name can be, or
 * has a pointer that does not lead further back than everything read before it. Its work is bounded, so that of a message is linear.
 */
function readName(message: Uint8Array, at: number): { name: string; end: number } | undefined {
  let name = '';
  let size = 1;
  let pointers = 0;
  let offset = at;
  let earliest = at;
  let end: number | undefined;
  for (;;) {
    const length = message[offset];
    if (length === undefined) return undefined;
    if (length === 0) return { name: name.toLowerCase(), end: end ?? offset + 1 };
    if (length >= 0xc0) {
      if (offset + 1 >= message.length || ++pointers > MOST_POINTERS) return undefined;
      end ??= offset + 2;
      offset = readU16(message, offset) & 0x3fff;
      if (offset < HEADER || offset >= earliest) return undefined;
      earliest = offset;
    } else {
      size += 1 + length;
      if (length > 63 || size > LONGEST_NAME || offset + 1 + length > message.length) return undefined;
      if (name !== '') name += '.';
      for (let i = 1; i <= length; i++) name += String.fromCharCode(message[offset + i]!);
      offset += 1 + length;
    }
  }
}
