import { concat, equal, readU16, readU32, u16, u32 } from '../bytes.ts';
import { checksum6, encodePacket6, parsePacket } from './packet.ts';
import { ROUTER_ADDRESS } from './wire.ts';

/*
 * DHCPv6 (RFC 8415) for the one host behind the tunnel's interface, which gets the own address. Replies are laid out as enftun's
 * (enftun.md §7.2): client id, server id, IA_NA, status last.
 *
 *   0  | type | transaction id, 3 |                     message
 *      | code, u16 | length, u16 | value |              options
 *
 *  IA_NA:  IAID, u32 | T1, u32 | T2, u32 | options      IAADDR:  address, 16 | preferred, u32 | valid, u32 | options
 *
 * Other than enftun we answer every message that a client may send, take IAID 0 for an IAID, and want no server id in a CONFIRM.
 */

const UDP = 17;
const CLIENT_PORT = 546;
const SERVER_PORT = 547;
const MESSAGE = {
  solicit: 1,
  advertise: 2,
  request: 3,
  confirm: 4,
  renew: 5,
  rebind: 6,
  reply: 7,
  release: 8,
  decline: 9,
  informationRequest: 11,
} as const;
const OPTION = { clientId: 1, serverId: 2, iaNa: 3, iaAddress: 5, statusCode: 13 } as const;
const STATUS = { success: 0, noAddressesAvailable: 2, notOnLink: 4 } as const;
/** Seconds, as enftun has them: half, four fifths and the whole of a year. */
const T1 = 15_768_000;
const T2 = 25_228_800;
const LIFETIME = 31_536_000;
/** A DUID has at most 130 bytes (RFC 8415 §11.1). */
const MAX_DUID = 130;

/** ff02::1:2, where clients send to. */
export const ALL_DHCP_AGENTS: Uint8Array = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2);

/** The server's identifier for a device: its address as a UUID (RFC 8415 §11.5), 18 bytes. It stays as long as the identity. */
export const serverDuid = (own: Uint8Array): Uint8Array => concat(u16(4), own);

export interface Dhcp6Server {
  /** The address that is assigned, 16 bytes. */
  readonly own: Uint8Array;
  readonly duid: Uint8Array;
}

/**
 * The packet that answers a client's; undefined if it is not for a server, malformed, for another server, or must not be answered.
 * Keeps no state: there is one address, and it is the host's.
 */
export function answerDhcp6(server: Dhcp6Server, packet: Uint8Array): Uint8Array | undefined {
  const request = parseRequest(packet);
  if (request === undefined) return undefined;
  const options = answer(server, request);
  if (options === undefined) return undefined;
  const type = request.type === MESSAGE.solicit ? MESSAGE.advertise : MESSAGE.reply;
  const message = concat(Uint8Array.of(type), request.transaction, ...options);
  return encodeUdp(ROUTER_ADDRESS, request.source, message);
}

interface Request {
  readonly source: Uint8Array;
  readonly type: number;
  readonly transaction: Uint8Array;
  readonly clientId: Uint8Array | undefined;
  readonly serverId: Uint8Array | undefined;
  readonly associations: readonly Association[];
}

/** An IA_NA: its id and the addresses that the client asks for. */
interface Association {
  readonly id: number;
  readonly addresses: readonly Uint8Array[];
}

/** The options of the answer (RFC 8415 §16 for what to discard, §18.3 for the rest). */
function answer(server: Dhcp6Server, request: Request): readonly Uint8Array[] | undefined {
  const { type, clientId, serverId, associations } = request;
  const forUs = serverId !== undefined && equal(serverId, server.duid);
  const ids = [
    ...(clientId ? [option(OPTION.clientId, clientId)] : []),
    option(OPTION.serverId, server.duid),
  ];
  const leases = associations.map((each, i) => lease(server, each, i === 0));
  const success = status(STATUS.success);
  if (type === MESSAGE.informationRequest) {
    // There is no information to give, but a client without an answer would repeat its request for ever.
    return associations.length > 0 || (serverId !== undefined && !forUs) ? undefined : [...ids, success];
  }
  if (clientId === undefined) return undefined;
  switch (type) {
    case MESSAGE.solicit:
      return serverId === undefined ? [...ids, ...leases, success] : undefined;
    case MESSAGE.request:
    case MESSAGE.renew:
      return forUs && leases.length > 0 ? [...ids, ...leases, success] : undefined;
    case MESSAGE.rebind:
      return serverId === undefined && leases.length > 0 ? [...ids, ...leases, success] : undefined;
    case MESSAGE.confirm: {
      // enftun's clients name a server; by the RFC there is none.
      const addresses = associations.flatMap((each) => each.addresses);
      if ((serverId !== undefined && !forUs) || addresses.length === 0) return undefined;
      const right = addresses.every((address) => equal(address, server.own));
      return [...ids, status(right ? STATUS.success : STATUS.notOnLink)];
    }
    case MESSAGE.release:
    case MESSAGE.decline:
      return forUs && leases.length > 0 ? [...ids, success] : undefined;
    default:
      return undefined;
  }
}

/** The first association gets the own address; other addresses that the client has get lifetimes of 0. */
function lease({ own }: Dhcp6Server, { id, addresses }: Association, first: boolean): Uint8Array {
  const wrong = addresses
    .filter((address) => !first || !equal(address, own))
    .map((address) => lent(address, 0));
  const content = first ? [lent(own, LIFETIME), ...wrong] : [...wrong, status(STATUS.noAddressesAvailable)];
  return option(OPTION.iaNa, concat(u32(id), u32(first ? T1 : 0), u32(first ? T2 : 0), ...content));
}

const lent = (address: Uint8Array, seconds: number): Uint8Array =>
  option(OPTION.iaAddress, concat(address, u32(seconds), u32(seconds)));
const status = (code: number): Uint8Array => option(OPTION.statusCode, u16(code));
const option = (code: number, value: Uint8Array): Uint8Array => concat(u16(code), u16(value.length), value);

function parseRequest(packet: Uint8Array): Request | undefined {
  const message = parseUdp(packet);
  if (message === undefined || message.length < 4) return undefined;
  const options = parseOptions(message.subarray(4));
  if (options === undefined) return undefined;
  const ids = [OPTION.clientId, OPTION.serverId].map((code) => options.filter((each) => each.code === code));
  // Each at most once (RFC 8415 §24), and of a possible length.
  if (
    ids.some(
      (found) => found.length > 1 || found.some(({ value }) => value.length < 3 || value.length > MAX_DUID),
    )
  ) {
    return undefined;
  }
  const associations = options
    .filter(({ code }) => code === OPTION.iaNa)
    .map(({ value }) => parseAssociation(value));
  if (associations.includes(undefined)) return undefined;
  return {
    source: packet.slice(8, 24),
    type: message[0]!,
    transaction: message.slice(1, 4),
    clientId: ids[0]![0]?.value,
    serverId: ids[1]![0]?.value,
    associations: associations as Association[],
  };
}

function parseAssociation(value: Uint8Array): Association | undefined {
  const options = value.length < 12 ? undefined : parseOptions(value.subarray(12));
  const addresses = options?.filter(({ code }) => code === OPTION.iaAddress).map((each) => each.value);
  if (addresses === undefined || addresses.some((each) => each.length < 24)) return undefined;
  return { id: readU32(value, 0), addresses: addresses.map((each) => each.slice(0, 16)) };
}

function parseOptions(bytes: Uint8Array): { code: number; value: Uint8Array }[] | undefined {
  const found: { code: number; value: Uint8Array }[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    if (offset + 4 > bytes.length) return undefined;
    const end = offset + 4 + readU16(bytes, offset + 2);
    if (end > bytes.length) return undefined;
    found.push({ code: readU16(bytes, offset), value: bytes.slice(offset + 4, end) });
    offset = end;
  }
  return found;
}

/** The message of a datagram to ff02::1:2 port 547 from a link-local address, with a right checksum. */
function parseUdp(packet: Uint8Array): Uint8Array | undefined {
  const parsed = parsePacket(packet);
  if (parsed?.version !== 6 || parsed.nextHeader !== UDP || !equal(parsed.destination, ALL_DHCP_AGENTS))
    return undefined;
  const { source, destination, payload } = parsed;
  if (source[0] !== 0xfe || (source[1]! & 0xc0) !== 0x80 || payload.length < 8) return undefined;
  if (
    readU16(payload, 2) !== SERVER_PORT ||
    readU16(payload, 4) !== payload.length ||
    readU16(payload, 6) === 0
  )
    return undefined;
  return checksum6(UDP, source, destination, payload) === 0 ? payload.subarray(8) : undefined;
}

function encodeUdp(source: Uint8Array, destination: Uint8Array, message: Uint8Array): Uint8Array {
  const datagram = concat(u16(SERVER_PORT), u16(CLIENT_PORT), u16(8 + message.length), u16(0), message);
  // 0 would mean "no checksum", which IPv6 does not have.
  datagram.set(u16(checksum6(UDP, source, destination, datagram) || 0xffff), 6);
  return encodePacket6(UDP, source, destination, datagram);
}
