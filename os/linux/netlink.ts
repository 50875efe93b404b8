import { endianness } from 'node:os';
import { addon } from '../../native/index.ts';
import type { NetlinkHandle } from '../../native/net/netlink.ts';
import { Failure } from '../../protocol/failure.ts';

/**
 * A notification that something in the kernel's network configuration or firewall was added, removed or changed; it does not say which
 * of the three.
 */
export type KernelChange =
  /** `running`: up and with a carrier. */
  | { readonly kind: 'link'; readonly index: number; readonly running: boolean }
  | { readonly kind: 'address'; readonly index: number }
  /**
   * `index` of the interface it leads through; undefined: none, or several. `protocol` says who made it, `port` from which netlink socket the change came
   * (0: the kernel itself).
   */
  | {
      readonly kind: 'route';
      readonly table: number;
      readonly index: number | undefined;
      readonly protocol: number;
      readonly port: number;
    }
  | { readonly kind: 'rule' }
  /** Forwarding was switched on or off. */
  | { readonly kind: 'forwarding' }
  /** An nftables object; `table` is its table's name. */
  | { readonly kind: 'filter'; readonly table: string }
  /** The socket's buffer overflowed (ENOBUFS), and notifications were lost: anything may have changed. */
  | { readonly kind: 'lost' };

const ROUTE_PROTOCOL = 0;
/** link, IPv4 address, route, rule, IPv6 address, route, rule, IPv4 and IPv6 forwarding (linux/rtnetlink.h). */
const ROUTE_GROUPS = Uint8Array.of(1, 5, 7, 8, 9, 11, 19, 24, 25);
const FILTER_PROTOCOL = 12;
const FILTER_GROUPS = Uint8Array.of(7);

type Listener = (change: KernelChange) => void;

/** One socket for all who listen, while anybody does: a notification is received and parsed once. The result ends what its call began. */
function multicast(
  protocol: number,
  groups: Uint8Array,
  parse: (messages: Uint8Array) => KernelChange[],
): (onChange: Listener) => () => void {
  const listeners = new Set<Listener>();
  let socket: NetlinkHandle | undefined;
  const receive = (messages: Uint8Array | undefined): void => {
    const changes: readonly KernelChange[] = messages === undefined ? [{ kind: 'lost' }] : parse(messages);
    // One that has ended meanwhile hears no more.
    for (const listener of [...listeners])
      for (const change of changes) if (listeners.has(listener)) listener(change);
  };
  return (onChange) => {
    socket ??= addon().netlinkOpen(protocol, groups, receive);
    const listener: Listener = (change) => onChange(change);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (socket === undefined || listeners.size > 0) return;
      addon().netlinkClose(socket);
      socket = undefined;
    };
  };
}

const routeChanges = multicast(ROUTE_PROTOCOL, ROUTE_GROUPS, parseRouteMessages);
const filterChanges = multicast(FILTER_PROTOCOL, FILTER_GROUPS, parseFilterMessages);

/**
 * Subscribes to the kernel's changes until `close`; to those of nftables only with `filter`.
 * @throws Failure `os.not-permitted`, `os.no-netlink`
 */
export function watchKernel(filter: boolean, onChange: Listener): { close(): void } {
  const ends: (() => void)[] = [];
  const close = (): void => {
    for (const end of ends.splice(0)) end();
  };
  try {
    ends.push(routeChanges(onChange));
    if (filter) ends.push(filterChanges(onChange));
  } catch (error) {
    close();
    throw listenFailure(error as NodeJS.ErrnoException);
  }
  return { close };
}

/**
 * The source address with which the kernel would send to a literal address from a socket with this mark; undefined if there is no
 * route. Sends nothing. @throws Failure `os.not-permitted`
 */
export function sourceTowards(address: string, mark: number): string | undefined {
  try {
    return addon().sourceTowards(address, mark);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    throw notPermitted('cannot set the mark of a socket (SO_MARK)', error);
  }
}

function listenFailure(error: NodeJS.ErrnoException): Failure {
  if (error.code === 'EPERM') return notPermitted(error.message, error);
  return new Failure(
    'os.no-netlink',
    'operator',
    `cannot subscribe to the kernel's network changes (netlink): ${error.message}`,
    {
      action:
        'Use a kernel with nftables (nf_tables), and allow the service AF_NETLINK sockets (RestrictAddressFamilies= in its unit).',
      cause: error,
    },
  );
}

const notPermitted = (message: string, cause: unknown): Failure =>
  new Failure('os.not-permitted', 'operator', message, {
    action: 'Run as root or grant CAP_NET_ADMIN.',
    cause,
  });

/*
 * A netlink message (netlink(7)), in the machine's byte order:
 *
 *   0  | length, u32 (with this header) | type, u16 | flags, u16 |
 *   8  | sequence, u32                  | port, u32              |
 *  16  | the family's own header, then attributes: length u16, type u16, value; each padded to 4
 */
const HEADER = 16;
const LITTLE = endianness() === 'LE';
const RUNNING = 0x1 | 0x10000; // IFF_UP, IFF_LOWER_UP

/** The changes in datagrams of NETLINK_ROUTE; malformed messages and other types are ignored. */
export function parseRouteMessages(datagram: Uint8Array): KernelChange[] {
  return messages(datagram).flatMap(({ type, port, body }): KernelChange[] => {
    // RTM_NEW… and RTM_DEL… of one kind are neighbours (linux/rtnetlink.h).
    switch (type & ~3) {
      case 16: // struct ifinfomsg: family u8, pad, type u16, index i32, flags u32, change u32
        if (body.byteLength < 16) return [];
        return [
          {
            kind: 'link',
            index: body.getInt32(4, LITTLE),
            running: type === 16 && (body.getUint32(8, LITTLE) & RUNNING) === RUNNING,
          },
        ];
      case 20: // struct ifaddrmsg: family, prefix length, flags, scope u8, index u32
        return body.byteLength < 8 ? [] : [{ kind: 'address', index: body.getUint32(4, LITTLE) }];
      case 24: // struct rtmsg, 12 bytes, table u8 at 4, protocol u8 at 5; attributes RTA_OIF 4, RTA_TABLE 15
        return body.byteLength < 12 ? [] : [routeOf(body, port)];
      case 32:
        return [{ kind: 'rule' }];
      case 80:
        return [{ kind: 'forwarding' }];
      default:
        return [];
    }
  });
}

function routeOf(body: DataView, port: number): KernelChange {
  let table = body.getUint8(4);
  let index: number | undefined;
  for (const { type, value } of attributes(body, 12)) {
    if (value.byteLength < 4) continue;
    if (type === 4) index = value.getUint32(0, LITTLE);
    if (type === 15) table = value.getUint32(0, LITTLE);
  }
  return { kind: 'route', table, index, protocol: body.getUint8(5), port };
}

/** The same for NETLINK_NETFILTER. In table, chain, rule, set and element the first attribute is the table's name. */
export function parseFilterMessages(datagram: Uint8Array): KernelChange[] {
  return messages(datagram).flatMap(({ type, body }): KernelChange[] => {
    // Subsystem nf_tables (10), behind struct nfgenmsg of 4 bytes.
    if (type >> 8 !== 10) return [];
    const name = attributes(body, 4).find((each) => each.type === 1)?.value;
    if (name === undefined) return [];
    const bytes = new Uint8Array(name.buffer, name.byteOffset, name.byteLength);
    const end = bytes.indexOf(0);
    return [
      { kind: 'filter', table: new TextDecoder('latin1').decode(end < 0 ? bytes : bytes.subarray(0, end)) },
    ];
  });
}

function messages(datagram: Uint8Array): { type: number; port: number; body: DataView }[] {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  const found: { type: number; port: number; body: DataView }[] = [];
  for (let offset = 0; offset + HEADER <= view.byteLength; ) {
    const length = view.getUint32(offset, LITTLE);
    if (length < HEADER || length > view.byteLength - offset) break;
    const body = new DataView(view.buffer, view.byteOffset + offset + HEADER, length - HEADER);
    const port = view.getUint32(offset + 12, LITTLE);
    found.push({ type: view.getUint16(offset + 4, LITTLE), port, body });
    offset += align(length);
  }
  return found;
}

function attributes(body: DataView, from: number): { type: number; value: DataView }[] {
  const found: { type: number; value: DataView }[] = [];
  for (let offset = from; offset + 4 <= body.byteLength; ) {
    const length = body.getUint16(offset, LITTLE);
    if (length < 4 || length > body.byteLength - offset) break;
    const value = new DataView(body.buffer, body.byteOffset + offset + 4, length - 4);
    found.push({ type: body.getUint16(offset + 2, LITTLE) & 0x3fff, value });
    offset += align(length);
  }
  return found;
}

const align = (length: number): number => (length + 3) & ~3;
