declare const netlinkBrand: unique symbol;

/** A netlink socket that the addon holds; closed when collected. */
export interface NetlinkHandle {
  readonly [netlinkBrand]: true;
}

/**
 * Netlink subscriptions, and sockets that Node cannot make. A bad argument is a TypeError; what the kernel
 * refuses is an Error whose `code` is the errno's name.
 */
export interface NetlinkFace {
  /**
   * Subscribes to multicast `groups` (their numbers, one byte each) of a netlink protocol: 0 NETLINK_ROUTE, 12 NETLINK_NETFILTER. Calls
   * back with one datagram of messages at a time, or with nothing when the kernel had to drop some. Keeps the event loop alive until
   * `netlinkClose`. @throws Error EPERM (netfilter needs CAP_NET_ADMIN), EPROTONOSUPPORT (not in this kernel)
   */
  netlinkOpen(
    protocol: number,
    groups: Uint8Array,
    onMessages: (messages: Uint8Array | undefined) => void,
  ): NetlinkHandle;
  /** At once and for good; any number of times and inside the callback. */
  netlinkClose(netlink: NetlinkHandle): void;
  /** The descriptor of an unbound UDP socket with SO_MARK (0: none), which is the caller's. @throws Error EPERM, EMFILE */
  datagramOpen(family: 4 | 6, mark: number): number;
  /**
   * The source address with which a packet of a socket with this mark would leave for a literal address, by the routes of this
   * moment; undefined if there is no route. Sends nothing. @throws Error EPERM (a mark needs CAP_NET_ADMIN)
   */
  sourceTowards(address: string, mark: number): string | undefined;
}
