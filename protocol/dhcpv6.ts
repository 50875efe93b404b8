import { concat, readU16, u16, u32 } from './bytes.ts';

/*
 * DHCPv6 (RFC 8415) as far as a gateway speaks it on its LAN: messages of clients are read, answers are made.
 *
 *   0  | type | transaction, u24 | options ... |           of a message
 *   0  | code, u16 | length, u16 | ...                     of an option, also within an IA_NA and an IA_PD
 */

/** No message of a client is longer: it is one packet on an Ethernet. */
export const MOST_BYTES = 1_500;
/** An identifier of a client or server (DUID): its type, and 1 to 128 bytes. */
const DUID_LEAST = 3;
const DUID_MOST = 130;
/** Identity associations of a message, of all kinds together. */
export const MOST_ASSOCIATIONS = 8;
/** Addresses within one of them. */
export const MOST_ADDRESSES = 8;

/** Messages of clients, and of servers. */
export const MESSAGES = {
  solicit: 1,
  advertise: 2,
  request: 3,
  confirm: 4,
  renew: 5,
  rebind: 6,
  reply: 7,
  release: 8,
  decline: 9,
  information: 11,
} as const;

const ASKING = [
  'solicit',
  'request',
  'confirm',
  'renew',
  'rebind',
  'release',
  'decline',
  'information',
] as const;
export type Asking = (typeof ASKING)[number];

/** Codes of options (RFC 8415 §24, RFC 3646). */
export const OPTIONS = {
  clientId: 1,
  serverId: 2,
  addresses: 3,
  temporary: 4,
  address: 5,
  asked: 6,
  status: 13,
  rapidCommit: 14,
  dnsServers: 23,
  prefixes: 25,
  refreshTime: 32,
} as const;

/** Codes of a status (RFC 8415 §21.13). */
export const STATUSES = {
  success: 0,
  noAddresses: 2,
  noBinding: 3,
  notOnLink: 4,
  noPrefixes: 6,
} as const;
export type DhcpStatus = keyof typeof STATUSES;

/** What a client asks addresses or prefixes for: one of its interfaces (IA). */
export interface Association {
  readonly kind: 'addresses' | 'temporary' | 'prefixes';
  /** 4 bytes; of the client's choice. */
  readonly id: Uint8Array;
  /** 16 bytes each: what it has, or would like. None of `prefixes`. */
  readonly addresses: readonly Uint8Array[];
}

/** What a client says. */
export interface DhcpRequest {
  readonly type: Asking;
  /** 3 bytes, which the answer repeats. */
  readonly transaction: Uint8Array;
  /** Who it is (DUID, 3 to 130 bytes), and whom it asks; undefined: it does not say. */
  readonly client: Uint8Array | undefined;
  readonly server: Uint8Array | undefined;
  /** Codes of options that it asks for. */
  readonly asked: readonly number[];
  readonly rapidCommit: boolean;
  readonly associations: readonly Association[];
}

/** Reads a message of a client; undefined if it is none, is said by a server or a relay, or has more than a client needs: ignore it then. */
export function parseDhcpRequest(message: Uint8Array): DhcpRequest | undefined {
  const type = ASKING.find((each) => MESSAGES[each] === message[0]);
  if (type === undefined || message.length < 4 || message.length > MOST_BYTES) return undefined;
  let client: Uint8Array | undefined;
  let server: Uint8Array | undefined;
  let asked: readonly number[] = [];
  let rapidCommit = false;
  const associations: Association[] = [];
  const whole = eachOption(message.subarray(4), (code, data) => {
    switch (code) {
      case OPTIONS.clientId:
        if (client !== undefined || !isDuid(data)) return false;
        client = data;
        return true;
      case OPTIONS.serverId:
        if (server !== undefined || !isDuid(data)) return false;
        server = data;
        return true;
      case OPTIONS.asked:
        if (data.length % 2 !== 0) return false;
        asked = Array.from({ length: data.length / 2 }, (_, i) => readU16(data, 2 * i));
        return true;
      case OPTIONS.rapidCommit:
        rapidCommit = true;
        return data.length === 0;
      case OPTIONS.addresses:
      case OPTIONS.temporary:
      case OPTIONS.prefixes: {
        const association = parseAssociation(code, data);
        if (association === undefined || associations.length === MOST_ASSOCIATIONS) return false;
        associations.push(association);
        return true;
      }
      default:
        return true;
    }
  });
  if (!whole) return undefined;
  return { type, transaction: message.subarray(1, 4), client, server, asked, rapidCommit, associations };
}

const isDuid = ({ length }: Uint8Array): boolean => length >= DUID_LEAST && length <= DUID_MOST;

/** Its id, two times but of temporary addresses, and options: | IAID, 4 | T1, u32 | T2, u32 | options |. */
function parseAssociation(code: number, data: Uint8Array): Association | undefined {
  const head = code === OPTIONS.temporary ? 4 : 12;
  if (data.length < head) return undefined;
  const addresses: Uint8Array[] = [];
  const whole = eachOption(data.subarray(head), (inner, value) => {
    if (inner !== OPTIONS.address) return true;
    // | address, 16 | preferred lifetime, u32 | valid lifetime, u32 | options |
    if (value.length < 24 || addresses.length === MOST_ADDRESSES) return false;
    addresses.push(value.subarray(0, 16));
    return true;
  });
  if (!whole) return undefined;
  const id = data.subarray(0, 4);
  if (code === OPTIONS.prefixes) return { kind: 'prefixes', id, addresses: [] };
  return { kind: code === OPTIONS.temporary ? 'temporary' : 'addresses', id, addresses };
}

/** False if an option is cut off, or `take` wants no more. */
function eachOption(bytes: Uint8Array, take: (code: number, data: Uint8Array) => boolean): boolean {
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < 4) return false;
    const end = at + 4 + readU16(bytes, at + 2);
    if (end > bytes.length || !take(readU16(bytes, at), bytes.subarray(at + 4, end))) return false;
    at = end;
  }
  return true;
}

/** An option. */
export const encodeOption = (code: number, ...data: readonly Uint8Array[]): Uint8Array => {
  const whole = concat(...data);
  return concat(u16(code), u16(whole.length), whole);
};

/** How something went; without words, which nobody reads. */
export const encodeStatus = (status: DhcpStatus): Uint8Array =>
  encodeOption(OPTIONS.status, u16(STATUSES[status]));

/** Seconds. */
export interface Lifetimes {
  readonly preferred: number;
  readonly valid: number;
}

/** An address of an association; lifetimes of 0: it is the client's no more. */
export const encodeAddress = (address: Uint8Array, { preferred, valid }: Lifetimes): Uint8Array =>
  encodeOption(OPTIONS.address, address, u32(preferred), u32(valid));

/** What an association gets. `renew` and `rebind` (T1, T2): seconds after which its client asks this server again, and any. */
export function encodeAssociation(
  { kind, id }: Pick<Association, 'kind' | 'id'>,
  { renew, rebind }: { readonly renew: number; readonly rebind: number },
  ...options: readonly Uint8Array[]
): Uint8Array {
  if (kind === 'temporary') return encodeOption(OPTIONS.temporary, id, ...options);
  return encodeOption(OPTIONS[kind], id, u32(renew), u32(rebind), ...options);
}

/** A message of a server. */
export const encodeDhcpReply = (
  type: 'advertise' | 'reply',
  transaction: Uint8Array,
  ...options: readonly Uint8Array[]
): Uint8Array => concat(Uint8Array.of(MESSAGES[type]), transaction, ...options);
