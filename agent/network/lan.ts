import { equal } from '../../protocol/bytes.ts';
import type { Prefix } from '../../protocol/ipv6.ts';
import { answerDhcp6, serverDuid } from '../../protocol/tunnel/dhcp6.ts';
import { echoReply } from '../../protocol/tunnel/icmp6.ts';
import { encodeRouterAdvertisement, isRouterSolicitation } from '../../protocol/tunnel/ra.ts';
import { ROUTER_ADDRESS } from '../../protocol/tunnel/wire.ts';

/** What the LAN server gives the host behind the interface (enftun.md §7). */
export interface LanOptions {
  /** The own address, 16 bytes. */
  readonly own: Uint8Array;
  readonly mtu: number;
  readonly prefixes: readonly Prefix[];
  readonly defaultRoute: boolean;
  readonly periodMs: number;
}

/** The LAN server: the router of a host behind the interface. */
export interface Lan {
  /** A packet of the interface to fe80::1, ff02::2 or ff02::1:2. */
  receive(packet: Uint8Array): void;
  close(): void;
}

const isForRouter = (packet: Uint8Array): boolean =>
  packet.length >= 40 && equal(packet.subarray(24, 40), ROUTER_ADDRESS);

/** Routers do not advertise more often, however often they are solicited (RFC 4861 §10). */
const LEAST_INTERVAL_MS = 3_000;

/**
 * Advertises at once, each period, and when it is asked to; answers DHCPv6, and pings from the link to fe80::1. `deliver` writes a packet to
 * the interface; a lost reply is requested again.
 */
export function openLan(options: LanOptions, deliver: (packet: Uint8Array) => void): Lan {
  const advertisement = encodeRouterAdvertisement(options);
  const server = { own: options.own, duid: serverDuid(options.own) };
  let lastMs = Number.NEGATIVE_INFINITY;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const plan = (ms: number): void => {
    clearTimeout(timer);
    timer = setTimeout(advertise, ms);
  };
  const advertise = (): void => {
    lastMs = performance.now();
    deliver(advertisement);
    plan(options.periodMs);
  };
  advertise();
  return {
    receive(packet) {
      if (isRouterSolicitation(packet)) {
        plan(Math.max(0, lastMs + LEAST_INTERVAL_MS - performance.now()));
        return;
      }
      const reply = answerDhcp6(server, packet) ?? (isForRouter(packet) ? echoReply(packet) : undefined);
      if (reply) deliver(reply);
    },
    close: () => clearTimeout(timer),
  };
}
