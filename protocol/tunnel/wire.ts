/*
 * The constants of the tunnel's wire (docs/wire.md). native/packet/wire.h has the same under the same names behind WIRE_, and
 * test/protocol/tunnel/wire.test.ts compares them.
 */

/** "TCP and TLS": names of ALPN. With the first a peer says that it understands control messages, with the second super-frames, too. */
export const ALPN_CONTROL = 'enf/1';
export const ALPN_SUPER = 'enf/2';

/** "Frames" (enftun.md §4): bytes in front of each packet. */
export const FRAME_HEADER_LENGTH = 2;
/** The longest packet a frame may carry, in bytes: enftun's receive buffer. */
export const MAX_PACKET = 1496;
/** The first four bits of a packet that is none of IP's. */
export const SUPER_NIBBLE = 0xe;
export const CONTROL_NIBBLE = 0xf;

/** "Super-frames": the header behind the frame's, what the length field can say, and the bit of the header's first byte. */
export const SUPER_HEADER_LENGTH = 4;
export const MAX_FRAME_LENGTH = 65_535;
export const PARTIAL_CHECKSUM = 1;
/** What the packet is to be cut into, as in the virtio header, and the least payload of each piece. */
export const GSO_NONE = 0;
export const GSO_TCP4 = 1;
export const GSO_TCP6 = 4;
export const GSO_UDP = 5;
export const MIN_SEGMENT = 48;

/** "Heartbeat" (enftun.md §5): an ICMPv6 echo request (RFC 4443 §4.1). */
export const ICMPV6 = 58;
export const ECHO_REQUEST = 128;
export const ECHO_REPLY = 129;
export const ECHO_HEADER_LENGTH = 8;
export const HOP_LIMIT = 255;
export const HEARTBEAT_LENGTH = 48;
/** Its identifier and sequence. */
export const HEARTBEAT_MARK = 'ENFT';
/** fe80::1, the router's address in every tunnel. */
export const ROUTER_ADDRESS: Uint8Array = Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

/** "Verdict": router to device. */
export const VERDICT_TYPE = 0xf1;
export const VERDICT_LENGTH = 6;
export const VERDICT_EVICTED = 1;
export const VERDICT_BANNED = 2;
export const VERDICT_UNKNOWN = 3;
export const VERDICT_RETRY_AFTER = 4;
export const VERDICT_UNREGISTERED = 5;
export const VERDICT_SUSPENDED = 6;
export const VERDICT_RETIRED = 7;

/** "Report": the router asks for it, the device sends it. `REPORT_REQUEST_SELF`: about the device that is asked. */
export const REPORT_REQUEST_TYPE = 0xf2;
export const REPORT_REQUEST_LENGTH = 2;
export const REPORT_REQUEST_SELF = 1;
export const REPORT_TYPE = 0xf3;
export const MAX_REPORT_LENGTH = 71;

/** "Roots": the router names the version of the roots that it knows, the device the one that it has, and gets the updates between. */
export const ROOTS_TYPE = 0xf4;
export const ROOTS_NOTICE = 1;
export const ROOTS_KNOWN = 2;
export const ROOTS_UPDATE = 3;
export const ROOTS_NOTICE_LENGTH = 6;
export const ROOTS_KNOWN_LENGTH = 10;

/** "Decommission": a device asks to be retired for good; the verdict says that it is, or this message why not. */
export const DECOMMISSION_TYPE = 0xf5;
export const DECOMMISSION_REQUEST = 1;
export const DECOMMISSION_REFUSED = 2;
export const DECOMMISSION_REQUEST_LENGTH = 2;
export const DECOMMISSION_REFUSED_LENGTH = 3;
export const DECOMMISSION_FORBIDDEN = 1;
export const DECOMMISSION_TOO_MANY = 2;

/** "Prefix": the router tells a device which /64 is delegated to it, or that none is. */
export const PREFIX_TYPE = 0xf6;
export const PREFIX_NONE = 1;
export const PREFIX_DELEGATED = 2;
export const PREFIX_NONE_LENGTH = 2;
export const PREFIX_DELEGATED_LENGTH = 10;

/** "Pace": the router tells a device how long it waits at most before it tries again. */
export const PACE_TYPE = 0xf7;
export const PACE_LONGEST = 1;
export const PACE_LENGTH = 6;

/** "Drain": the router leaves service, and tells each device by when to be gone, and when to come back if it has nowhere to go; or that it stays. */
export const DRAIN_TYPE = 0xf8;
export const DRAIN_LEAVE = 1;
export const DRAIN_STAY = 2;
export const DRAIN_LEAVE_LENGTH = 14;
export const DRAIN_STAY_LENGTH = 2;

/** "Shorter heartbeats": the router tells a device after which silence to send one, and how long to wait for the answer; milliseconds. */
export const BEATS_TYPE = 0xf9;
export const BEATS_AT_MOST = 1;
export const BEATS_LENGTH = 10;
export const BEATS_LEAST_PERIOD = 2_000;
export const BEATS_LEAST_TIMEOUT = 1_000;

/** What is offered to the router: the best that both know, or enftun's frames in any case. */
export const WIRE_CHOICES = ['auto', 'legacy'] as const;
export type WireChoice = (typeof WIRE_CHOICES)[number];

/** What two ends may settle on, each with all that the one before has: by its name in ALPN, or `enftun` without one. */
export const WIRES = ['enftun', ALPN_CONTROL, ALPN_SUPER] as const;
export type Wire = (typeof WIRES)[number];
