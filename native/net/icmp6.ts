declare const icmp6Brand: unique symbol;

/** A raw ICMPv6 socket that the addon holds; closed when collected. */
export interface Icmp6Handle {
  readonly [icmp6Brand]: true;
}

/** A router's socket on one interface (RFC 4861). A bad argument is a TypeError; what the kernel refuses is an Error whose `code` is the errno's name. */
export interface Icmp6Face {
  /**
   * Joins ff02::2 on an interface. Calls back with the source (16 bytes) and the message (from its type on) of each router solicitation with hop limit 255
   * and a right checksum. Keeps the event loop alive until `icmp6Close`. @throws Error EPERM (it needs CAP_NET_RAW), ENODEV
   */
  icmp6Open(
    interfaceName: string,
    onSolicitation: (source: Uint8Array, message: Uint8Array) => void,
  ): Icmp6Handle;
  /** Sends a message (from its type on, with a checksum of zeros) to ff02::1, hop limit 255. @throws Error EADDRNOTAVAIL (no link-local address yet), ENETDOWN, … */
  icmp6Advertise(socket: Icmp6Handle, message: Uint8Array): void;
  /** At once and for good; any number of times and inside the callback. */
  icmp6Close(socket: Icmp6Handle): void;
}
