// The constants of the tunnel's wire (docs/wire.md). protocol/tunnel/wire.ts has the same under the same names without WIRE_, and
// test/protocol/tunnel/wire.test.ts compares them: one constant to a line, as a number or the bytes of a text.
#pragma once
#include <stdint.h>

// "TCP and TLS": names of ALPN. A peer that offers none is enftun, or is treated like it.
#define WIRE_ALPN_CONTROL "enf/1"  // control messages
#define WIRE_ALPN_SUPER "enf/2"    // control messages and super-frames

// "Frames" (enftun.md §4)
enum {
  WIRE_FRAME_HEADER_LENGTH = 2,
  WIRE_MAX_PACKET = 1496,  // enftun ends the connection over a longer one
  WIRE_SUPER_NIBBLE = 0xe,  // the first four bits of a packet that is none of IP's
  WIRE_CONTROL_NIBBLE = 0xf,
};

// "Super-frames"
enum {
  WIRE_SUPER_HEADER_LENGTH = 4,
  WIRE_MAX_FRAME_LENGTH = 65535,  // what the length field can say
  WIRE_PARTIAL_CHECKSUM = 1,      // bit of the first byte
  WIRE_GSO_NONE = 0,              // as in the virtio header
  WIRE_GSO_TCP4 = 1,
  WIRE_GSO_TCP6 = 4,
  WIRE_GSO_UDP = 5,
  WIRE_MIN_SEGMENT = 48,
};

// "Heartbeat" (enftun.md §5): an ICMPv6 echo request (RFC 4443 §4.1)
enum {
  WIRE_ICMPV6 = 58,
  WIRE_ECHO_REQUEST = 128,
  WIRE_ECHO_REPLY = 129,
  WIRE_ECHO_HEADER_LENGTH = 8,
  WIRE_HOP_LIMIT = 255,
  WIRE_HEARTBEAT_LENGTH = 48,
};
#define WIRE_HEARTBEAT_MARK "ENFT"  // identifier and sequence
// fe80::1, the router's address in every tunnel
#define WIRE_ROUTER_ADDRESS "\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"

// "Verdict": router to device
enum {
  WIRE_VERDICT_TYPE = 0xf1,
  WIRE_VERDICT_LENGTH = 6,
  WIRE_VERDICT_EVICTED = 1,
  WIRE_VERDICT_BANNED = 2,
  WIRE_VERDICT_UNKNOWN = 3,
  WIRE_VERDICT_RETRY_AFTER = 4,
  WIRE_VERDICT_UNREGISTERED = 5,
  WIRE_VERDICT_SUSPENDED = 6,
  WIRE_VERDICT_RETIRED = 7,
};

// "Report": the router asks for it, the device sends it
enum {
  WIRE_REPORT_REQUEST_TYPE = 0xf2,
  WIRE_REPORT_REQUEST_LENGTH = 2,
  WIRE_REPORT_REQUEST_SELF = 1,  // about the device that is asked
  WIRE_REPORT_TYPE = 0xf3,
  WIRE_MAX_REPORT_LENGTH = 71,
};

// "Roots": the router names the version of the roots that it knows, the device the one that it has, and gets the updates between
enum {
  WIRE_ROOTS_TYPE = 0xf4,
  WIRE_ROOTS_NOTICE = 1,
  WIRE_ROOTS_KNOWN = 2,
  WIRE_ROOTS_UPDATE = 3,
  WIRE_ROOTS_NOTICE_LENGTH = 6,
  WIRE_ROOTS_KNOWN_LENGTH = 10,
};

// "Decommission": a device asks to be retired for good; the verdict says that it is, or this message why not
enum {
  WIRE_DECOMMISSION_TYPE = 0xf5,
  WIRE_DECOMMISSION_REQUEST = 1,
  WIRE_DECOMMISSION_REFUSED = 2,
  WIRE_DECOMMISSION_REQUEST_LENGTH = 2,
  WIRE_DECOMMISSION_REFUSED_LENGTH = 3,
  WIRE_DECOMMISSION_FORBIDDEN = 1,
  WIRE_DECOMMISSION_TOO_MANY = 2,
};

// "Prefix": the router tells a device which /64 is delegated to it, or that none is
enum {
  WIRE_PREFIX_TYPE = 0xf6,
  WIRE_PREFIX_NONE = 1,
  WIRE_PREFIX_DELEGATED = 2,
  WIRE_PREFIX_NONE_LENGTH = 2,
  WIRE_PREFIX_DELEGATED_LENGTH = 10,
};

// "Pace": the router tells a device how long it waits at most before it tries again
enum {
  WIRE_PACE_TYPE = 0xf7,
  WIRE_PACE_LONGEST = 1,
  WIRE_PACE_LENGTH = 6,
};

// "Drain": the router leaves service, and tells each device by when to be gone, and when to come back if it has nowhere to go; or that it stays
enum {
  WIRE_DRAIN_TYPE = 0xf8,
  WIRE_DRAIN_LEAVE = 1,
  WIRE_DRAIN_STAY = 2,
  WIRE_DRAIN_LEAVE_LENGTH = 14,
  WIRE_DRAIN_STAY_LENGTH = 2,
};

// "Shorter heartbeats": the router tells a device after which silence to send one, and how long to wait for the answer; milliseconds
enum {
  WIRE_BEATS_TYPE = 0xf9,
  WIRE_BEATS_AT_MOST = 1,
  WIRE_BEATS_LENGTH = 10,
  WIRE_BEATS_LEAST_PERIOD = 2000,
  WIRE_BEATS_LEAST_TIMEOUT = 1000,
};
