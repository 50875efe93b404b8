import { toHex } from '../../protocol/bytes.ts';
import { matches, type Prefix } from '../../protocol/ipv6.ts';

/*
 * Who reaches whom. Each network has a list of rules, of which the first one decides that fits a packet: out of a device by the rules of its network, into one by
 * those of its own. If none fits, everything passes but what comes in from another network. What belongs to a flow that was let pass, passes.
 */

/** In the table and in the router. */
export const MOST_RULES = 1_000;
/** All networks of an owner together: some megabytes in the router. */
export const MOST_RULES_OF_OWNER = 4_000;

export type RuleAction = 'allow' | 'deny';
/** As the device sees it. */
export type RuleDirection = 'in' | 'out';
export const RULE_PROTOCOLS = ['any', 'tcp', 'udp', 'icmpv6'] as const;
export type RuleProtocol = (typeof RULE_PROTOCOLS)[number];

/** The devices of a network that a rule is for. */
export type RuleDevices =
  | { readonly kind: 'any' }
  /** `gid`: 32 bytes; `name` is the present one. */
  | { readonly kind: 'group'; readonly gid: Uint8Array; readonly network: Prefix; readonly name?: string }
  /** `address`: 16 bytes. */
  | { readonly kind: 'device'; readonly address: Uint8Array; readonly name?: string };

/**
 * The other end. `any`: everybody; if the rule lets something in, everybody of the same network, the host, and what is outside: another network is let in by name
 * only. `host`: the fabric's host, at `<prefix>::1`; `outside`: what is in no network of the fabric.
 */
export type RuleOther =
  | RuleDevices
  | { readonly kind: 'network'; readonly prefix: Prefix; readonly name?: string }
  | { readonly kind: 'host' }
  | { readonly kind: 'outside' };

export interface NewRule {
  readonly action: RuleAction;
  readonly direction: RuleDirection;
  readonly devices: RuleDevices;
  readonly other: RuleOther;
  readonly protocol: RuleProtocol;
  /** Of TCP and UDP, those that are connected to: from the first to the last one; all unless given. */
  readonly ports?: { readonly first: number; readonly last: number };
  readonly note?: string;
}

export interface Rule extends NewRule {
  /** Never used again for another one. */
  readonly id: number;
  readonly network: Prefix;
  /** From 1 on, in the order in which the rules are asked. */
  readonly place: number;
  /** Milliseconds since 1970. */
  readonly created: number;
}

/** An end of a packet: a device, or what else there is. */
export type End =
  | {
      readonly kind: 'device';
      readonly address: Uint8Array;
      readonly gid: Uint8Array;
      readonly network: Prefix;
    }
  | { readonly kind: 'host' }
  | { readonly kind: 'outside' };

type DeviceEnd = Extract<End, { kind: 'device' }>;

/** What is in a packet; `port` is the one that it is for. */
export interface Traffic {
  readonly protocol: 'tcp' | 'udp' | 'icmpv6' | 'other';
  readonly port: number;
}

/** Whether a packet passes one of its ends, and the rule by which; none if no rule fits. */
export interface Decision {
  readonly allowed: boolean;
  readonly rule?: Rule;
}

/** What rules, in their order, say about a packet that begins a flow: as the router decides (native/router/rules/rules.h). */
export function decide(
  rules: readonly Rule[],
  direction: RuleDirection,
  device: DeviceEnd,
  other: End,
  traffic: Traffic,
): Decision {
  const rule = rules.find(
    (each) =>
      each.direction === direction &&
      isFor(each.devices, device) &&
      isWith(each, device, other) &&
      isOf(each, traffic),
  );
  if (rule !== undefined) return { allowed: rule.action === 'allow', rule };
  return { allowed: direction === 'out' || !isForeign(device, other) };
}

const isForeign = (device: DeviceEnd, other: End): boolean =>
  other.kind === 'device' && !isSame(device.network.address, other.network.address);

const isSame = (one: Uint8Array, other: Uint8Array): boolean => toHex(one) === toHex(other);

function isFor(devices: RuleDevices, device: DeviceEnd): boolean {
  if (devices.kind === 'group') return isSame(devices.gid, device.gid);
  return devices.kind === 'any' || isSame(devices.address, device.address);
}

function isWith({ action, direction, other: named }: Rule, device: DeviceEnd, other: End): boolean {
  if (named.kind === 'any') return direction === 'out' || action === 'deny' || !isForeign(device, other);
  if (named.kind === 'host' || named.kind === 'outside') return other.kind === named.kind;
  if (other.kind !== 'device') return false;
  if (named.kind === 'network') return matches(named.prefix, other.address);
  return isFor(named, other);
}

const isOf = ({ protocol, ports }: Rule, traffic: Traffic): boolean =>
  protocol === 'any' ||
  (protocol === traffic.protocol &&
    (ports === undefined || (ports.first <= traffic.port && traffic.port <= ports.last)));
