import packet, { type Answer, type OptAnswer, type Question } from 'dns-packet';
import { equal } from '../../protocol/bytes.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import { labelOf, type Place, placeOf, SERVER_LABEL, serverAddress, type Zone } from './zone.ts';

/** The devices of a network, by name and by address. */
export interface Names {
  /** The address (16 bytes) of the device of this name. */
  addressOf(label: string): Promise<Uint8Array | undefined>;
  /** The name of the device with this address, as people call it. */
  nameOf(address: Uint8Array): Promise<string | undefined>;
}

/** What fits into one packet on every path (RFC 9715), and what a client without EDNS takes. */
const UDP_BYTES = 1_232;
const PLAIN_BYTES = 512;
const TCP_BYTES = 65_535;

/** Seconds for which an answer may be kept, that there is none, too. */
const TTL = 60;
/** Nobody may transfer the zone, so nobody compares it. */
const SERIAL = 1;
const TIMES = { refresh: 3_600, retry: 600, expire: 86_400, minimum: TTL };

const HEADER = 12;
const RESPONSE = 0x8000;
const OPCODE = 0x7800;
const AUTHORITATIVE = 0x0400;
const TRUNCATED = 0x0200;
const RECURSION_DESIRED = 0x0100;
const RCODE = { formatError: 1, nonexistent: 3, notImplemented: 4, refused: 5 };
/** BADVERS is 16: its upper bits are in the OPT record (RFC 6891 §6.1.3). */
const BAD_VERSION = 1;

/** What a question is answered with. */
interface Found {
  readonly rcode?: number;
  readonly extendedRcode?: number;
  readonly answers?: readonly Answer[];
  /** The zone's SOA says for how long there is nothing (RFC 2308 §3). */
  readonly nothingIn?: string;
}

/**
 * Answers one DNS message with what the zone has: AAAA, PTR, SOA, NS. There is no recursion, and the zone is not transferred.
 * Undefined: it is no query, and is not answered. `overTcp`: the answer may be of any length; else it is truncated to what the client takes.
 */
export async function answerQuery(
  message: Uint8Array,
  zone: Zone,
  names: Names,
  overTcp: boolean,
): Promise<Uint8Array | undefined> {
  const query = Buffer.from(message.buffer, message.byteOffset, message.length);
  if (query.length < HEADER || (query.readUInt16BE(2) & RESPONSE) !== 0) return undefined;
  if ((query.readUInt16BE(2) & OPCODE) !== 0) return bare(query, RCODE.notImplemented);
  const asked = parseQuery(query);
  if (asked === undefined) return bare(query, RCODE.formatError);
  const { question, opt } = asked;
  const most = overTcp
    ? TCP_BYTES
    : Math.min(Math.max(opt?.udpPayloadSize ?? PLAIN_BYTES, PLAIN_BYTES), UDP_BYTES);
  const respond = (found: Found): Uint8Array => encode(query, asked, found, zone, most);
  if (opt !== undefined && opt.ednsVersion !== 0) return respond({ extendedRcode: BAD_VERSION });
  if (question.class !== 'IN' || TRANSFERS.includes(question.type)) return respond({ rcode: RCODE.refused });
  return respond(await find(question, zone, names));
}

const TRANSFERS: readonly string[] = ['AXFR', 'IXFR'];

/** What a query is made of. */
interface Asked {
  readonly question: Question;
  readonly opt: OptAnswer | undefined;
}

/** One question, and perhaps an OPT record: all that a query has. */
function parseQuery(query: Buffer): Asked | undefined {
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) => query.readUInt16BE(at));
  if (questions !== 1 || answers !== 0 || authorities !== 0 || additionals! > 1) return undefined;
  try {
    const { questions: decoded, additionals: others } = packet.decode(query);
    const [other] = others ?? [];
    if (other !== undefined && other.type !== 'OPT') return undefined;
    const question = decoded![0]!;
    if (!isAsWritten(query, question)) return undefined;
    return { question, opt: other as OptAnswer | undefined };
  } catch {
    return undefined;
  }
}

/**
 * Whether the question comes out as it came in, and the answer with it: labels are text to the codec, which reads bytes that are no UTF-8, and dots
 * inside a label, as another name, perhaps a longer one than there may be.
 */
function isAsWritten(query: Buffer, question: Question): boolean {
  const written = packet.encode({ type: 'query', questions: [question] }).subarray(HEADER);
  return written.equals(query.subarray(HEADER, HEADER + written.length));
}

async function find(question: Question, zone: Zone, names: Names): Promise<Found> {
  const place = placeOf(zone, question.name);
  if (place.kind === 'elsewhere') return { rcode: RCODE.refused };
  const records = await recordsAt(place, zone, names, question.name);
  if (records === undefined) return { rcode: RCODE.nonexistent, nothingIn: place.zone };
  const answers = records.filter(({ type }) => question.type === ('ANY' as string) || type === question.type);
  return answers.length > 0 ? { answers } : { nothingIn: place.zone };
}

/** All records of a name, none of them if there may be names below it; undefined: there is no such name. */
async function recordsAt(
  place: Exclude<Place, { kind: 'elsewhere' }>,
  zone: Zone,
  names: Names,
  name: string,
): Promise<readonly Answer[] | undefined> {
  const aaaa = (address: Uint8Array): Answer => ({ type: 'AAAA', name, ttl: TTL, data: formatIpv6(address) });
  const server = serverNameOf(zone);
  switch (place.kind) {
    case 'apex':
      return [soa(name, zone), { type: 'NS', name, ttl: TTL, data: server }];
    case 'server':
      return [aaaa(serverAddress(zone))];
    case 'label': {
      const address = await names.addressOf(place.label);
      return address && [aaaa(address)];
    }
    case 'address': {
      const label = await labelAt(place.address, zone, names);
      return label === undefined
        ? undefined
        : [{ type: 'PTR', name, ttl: TTL, data: `${label}.${zone.suffix}` }];
    }
    case 'between':
      return [];
    case 'nothing':
      return undefined;
  }
}

async function labelAt(address: Uint8Array, zone: Zone, names: Names): Promise<string | undefined> {
  if (equal(address, serverAddress(zone))) return SERVER_LABEL;
  const name = await names.nameOf(address);
  return name === undefined ? undefined : labelOf(name);
}

const serverNameOf = ({ suffix }: Zone): string => `${SERVER_LABEL}.${suffix}`;

const soa = (name: string, zone: Zone): Answer => ({
  type: 'SOA',
  name,
  ttl: TTL,
  data: {
    mname: serverNameOf(zone),
    rname: `hostmaster.${zone.suffix}`,
    serial: SERIAL,
    ...TIMES,
  },
});

const flagsOf = (query: Buffer, rcode = 0): number =>
  RESPONSE | (query.readUInt16BE(2) & (OPCODE | RECURSION_DESIRED)) | rcode;

/** An answer that is a header alone. */
function bare(query: Buffer, rcode: number): Uint8Array {
  const header = Buffer.alloc(HEADER);
  header.writeUInt16BE(query.readUInt16BE(0), 0);
  header.writeUInt16BE(flagsOf(query, rcode), 2);
  return header;
}

/** The answer; without its records, and marked as truncated, if it is longer than `most`. */
function encode(query: Buffer, { question, opt }: Asked, found: Found, zone: Zone, most: number): Uint8Array {
  const { rcode, extendedRcode = 0, answers = [], nothingIn } = found;
  const message = {
    type: 'response' as const,
    id: query.readUInt16BE(0),
    flags: flagsOf(query, rcode) | (rcode === RCODE.refused ? 0 : AUTHORITATIVE),
    questions: [question],
    answers: [...answers],
    authorities: nothingIn === undefined ? [] : [soa(nothingIn, zone)],
    additionals: opt === undefined ? [] : [optRecord(extendedRcode)],
  };
  const whole = packet.encode(message);
  if (whole.length <= most) return whole;
  return packet.encode({ ...message, flags: message.flags | TRUNCATED, answers: [], authorities: [] });
}

const optRecord = (extendedRcode: number): OptAnswer => ({
  type: 'OPT',
  name: '.',
  udpPayloadSize: UDP_BYTES,
  extendedRcode,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
});
