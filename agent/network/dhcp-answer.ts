import { concat, equal, u16, u32 } from '../../protocol/bytes.ts';
import {
  type Association,
  type DhcpRequest,
  encodeAddress,
  encodeAssociation,
  encodeDhcpReply,
  encodeOption,
  encodeStatus,
  type Lifetimes,
  OPTIONS,
} from '../../protocol/dhcpv6.ts';
import { matches, type Prefix } from '../../protocol/ipv6.ts';

/*
 * What a gateway answers the machines on its LAN that ask by DHCPv6 (RFC 8415). Pure. Nothing is stored of leases: the address of a machine follows from who
 * it is (DUID, IAID) and a key, so that it is the same after a restart, and with another prefix but for that.
 */

/** What machines on the LAN are told. */
export interface DhcpOffer {
  /** A /64. */
  readonly prefix: Prefix;
  /** False: it gives no addresses, and answers only what else machines ask for. */
  readonly addresses: boolean;
  /** DNS servers, 16 bytes each. */
  readonly dns: readonly Uint8Array[];
  readonly lifetimes: Lifetimes;
  /** HMAC-SHA-256 with the device's key for this. */
  readonly mac: (...parts: readonly Uint8Array[]) => Uint8Array;
  /** Whether a machine has said that another one has this address (16 bytes) already. */
  readonly isTaken: (address: Uint8Array) => boolean;
}

export interface DhcpAnswer {
  readonly message: Uint8Array;
  /** Addresses that were given, and that others have. */
  readonly taken: readonly Uint8Array[];
}

const SERVER = Uint8Array.of(0);
const ADDRESS = Uint8Array.of(1);
/** Addresses that are tried for a machine when others have them. */
const ATTEMPTS = 4;
/** Seconds after which what is not an address is asked for again (RFC 8415 §21.23). */
const REFRESH = 3_600;
const GONE: Lifetimes = { preferred: 0, valid: 0 };
const NEVER = { renew: 0, rebind: 0 };

/** Who the gateway is to its clients: a DUID of type 4, of 16 bytes (RFC 6355). */
export const serverIdOf = (mac: DhcpOffer['mac']): Uint8Array => concat(u16(4), mac(SERVER).subarray(0, 16));

/**
 * The address (16 bytes) of a machine. Its interface identifier begins with the bits 01, as no reserved one (RFC 5453) and not the gateway's own `::1` does.
 */
export function addressFor(
  { prefix, mac }: Pick<DhcpOffer, 'prefix' | 'mac'>,
  client: Uint8Array,
  association: Uint8Array,
  attempt: number,
): Uint8Array {
  const identifier = mac(ADDRESS, Uint8Array.of(attempt), association, client).slice(0, 8);
  identifier[0] = 0x40 | (identifier[0]! & 0x3f);
  return concat(prefix.address.subarray(0, 8), identifier);
}

/** The answer; undefined: none is due. */
export function answerDhcp(request: DhcpRequest, offer: DhcpOffer): DhcpAnswer | undefined {
  const { type, client, server, associations } = request;
  const own = serverIdOf(offer.mac);
  if (server !== undefined && !equal(server, own)) return undefined;
  if (type === 'information') {
    // Who asks for addresses or prefixes says so in another message (RFC 8415 §16.12).
    return associations.length > 0 ? undefined : answer(request, offer, own, []);
  }
  if (!offer.addresses || client === undefined) return undefined;
  const isForAny = type === 'solicit' || type === 'confirm' || type === 'rebind';
  if (isForAny !== (server === undefined)) return undefined;
  switch (type) {
    case 'confirm': {
      const addresses = associations.flatMap((each) => each.addresses);
      if (addresses.length === 0) return undefined;
      const isHere = addresses.every((address) => matches(offer.prefix, address));
      return answer(request, offer, own, [encodeStatus(isHere ? 'success' : 'notOnLink')]);
    }
    case 'release':
    case 'decline': {
      const ended = associations.map((each) => ({ each, address: boundOf(client, each, offer) }));
      const options = ended
        .filter(({ address }) => address === undefined)
        .map(({ each }) => encodeAssociation(each, NEVER, encodeStatus('noBinding')));
      const taken = type === 'release' ? [] : ended.flatMap(({ address }) => address ?? []);
      return answer(request, offer, own, [...options, encodeStatus('success')], taken);
    }
    default:
      return answer(
        request,
        offer,
        own,
        associations.map((each) => given(request, client, each, offer)),
      );
  }
}

/** What an association gets, with what its client has beside it. */
function given(
  { type }: DhcpRequest,
  client: Uint8Array,
  association: Association,
  offer: DhcpOffer,
): Uint8Array {
  const { kind, addresses } = association;
  if (kind === 'prefixes') return encodeAssociation(association, NEVER, encodeStatus('noPrefixes'));
  if (kind === 'temporary') return encodeAssociation(association, NEVER, encodeStatus('noAddresses'));
  // Only what is asked of this server for the first time is refused: a client that renews is told what it has in place of the old one.
  if (type === 'request' && addresses.some((address) => !matches(offer.prefix, address)))
    return encodeAssociation(association, NEVER, encodeStatus('notOnLink'));
  const own = ownOf(client, association, offer);
  if (own === undefined) return encodeAssociation(association, NEVER, encodeStatus('noAddresses'));
  const former = type === 'renew' || type === 'rebind' ? addresses.filter((each) => !equal(each, own)) : [];
  const { preferred } = offer.lifetimes;
  return encodeAssociation(
    association,
    { renew: Math.floor(preferred / 2), rebind: Math.floor((preferred * 4) / 5) },
    encodeAddress(own, offer.lifetimes),
    ...former.map((each) => encodeAddress(each, GONE)),
  );
}

/** The first of its addresses that no other machine has. */
function ownOf(client: Uint8Array, { id }: Association, offer: DhcpOffer): Uint8Array | undefined {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const address = addressFor(offer, client, id, attempt);
    if (!offer.isTaken(address)) return address;
  }
  return undefined;
}

/** The address that an association has, if its client names it. */
function boundOf(client: Uint8Array, association: Association, offer: DhcpOffer): Uint8Array | undefined {
  if (association.kind !== 'addresses') return undefined;
  const own = ownOf(client, association, offer);
  return association.addresses.find((address) => own !== undefined && equal(own, address));
}

function answer(
  { type, transaction, client, asked, rapidCommit }: DhcpRequest,
  { dns }: DhcpOffer,
  own: Uint8Array,
  options: readonly Uint8Array[],
  taken: readonly Uint8Array[] = [],
): DhcpAnswer {
  // Two servers that commit at once do no harm here: an address is not used up by being given.
  const commits = type === 'solicit' && rapidCommit;
  const message = encodeDhcpReply(
    type === 'solicit' && !commits ? 'advertise' : 'reply',
    transaction,
    ...(client === undefined ? [] : [encodeOption(OPTIONS.clientId, client)]),
    encodeOption(OPTIONS.serverId, own),
    ...(commits ? [encodeOption(OPTIONS.rapidCommit)] : []),
    ...options,
    ...(dns.length > 0 && asked.includes(OPTIONS.dnsServers)
      ? [encodeOption(OPTIONS.dnsServers, ...dns)]
      : []),
    ...(type === 'information' && asked.includes(OPTIONS.refreshTime)
      ? [encodeOption(OPTIONS.refreshTime, u32(REFRESH))]
      : []),
  );
  return { message, taken };
}
