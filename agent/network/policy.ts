import type { Interface, NftObject, Route, Rule } from '../../os/linux/network-config.ts';
import { matches, type Prefix, parseIpv6 } from '../../protocol/ipv6.ts';
import type { Config } from '../config/config.ts';

/** As configured. */
export interface Policy {
  /** `split`: only the prefixes go through the tunnel. `lockdown`: everything that is not explicitly exempt, or nothing. */
  readonly mode: 'split' | 'lockdown';
  readonly device: string;
  readonly mtu: number;
  /** False: a host behind the interface has the own address. */
  readonly assignAddress: boolean;
  /** For `split`. */
  readonly prefixes: readonly Prefix[];
  /** For `lockdown`: the routing table that is ours alone. Its number times four is the first of four rule priorities. */
  readonly table: number;
  /** Of the tunnel's own sockets. */
  readonly mark: number;
  readonly allowIpv4: boolean;
  /** Interfaces by name or hardware address. */
  readonly trusted: readonly string[];
  /**
   * In `split`: the fabric's address may lie inside the prefixes. They are then in our table, which the tunnel's own sockets do not look
   * into because of their mark.
   */
  readonly bypass?: boolean;
}

/** What the kernel has, as far as the policy needs it. */
export interface Observed {
  readonly interfaces: readonly Interface[];
  readonly rules: readonly Rule[];
  /** Of our table in lockdown, else of the main one through our device. */
  readonly routes: readonly Route[];
  readonly forwards: boolean;
  /** In `split`: routes of others to the prefixes that go through the tunnel. */
  readonly others?: readonly Route[];
}

/** What it should have. */
export interface Desired {
  /** Our interface, once it is there and the own address is known. */
  readonly link:
    | { readonly name: string; readonly mtu: number; readonly address: string | undefined }
    | undefined;
  /** Interfaces that have to be in the group of the trusted. */
  readonly trusted: readonly string[];
  readonly rules: readonly Rule[];
  readonly routes: readonly Route[];
  /** The nftables table's objects; empty: no table. */
  readonly filter: readonly NftObject[];
}

/** Link group of trusted interfaces, as enftun has it (enftun.md §10). Groups other than 0 are left as they are: they work as well. */
export const TRUSTED_GROUP = 363;
/** What enftun uses as mark by default. */
export const LOCKDOWN_MARK = 363;

/** The mark of the tunnel's own sockets; 0: none is needed. */
export const markOf = (mode: Policy['mode'], fwmark: number): number =>
  mode === 'lockdown' && fwmark === 0 ? LOCKDOWN_MARK : fwmark;

/** True if the connection that the configuration asks for may lead to an address inside `route.prefixes`: a name can have any. */
export function isInside({ remote, route }: Pick<Config, 'remote' | 'route'>): boolean {
  const hosts = remote.proxy === undefined ? remote.hosts : [remote.proxy.host];
  return hosts.some((host) => {
    if (host.includes(':')) return route.prefixes.some((prefix) => matches(prefix, parseIpv6(host)));
    return !/^[\d.]+$/.test(host) && route.prefixes.length > 0;
  });
}

/** The configuration's part on interface, routes and filter. */
export function policyOf(config: Pick<Config, 'remote' | 'tunnel' | 'route' | 'delegation'>): Policy {
  const { tunnel, route, delegation } = config;
  const bypass = route.mode === 'split' && isInside(config);
  return {
    ...(bypass && { bypass }),
    mode: route.mode,
    device: tunnel.device,
    mtu: tunnel.mtu,
    assignAddress: tunnel.assignAddress,
    prefixes: route.prefixes,
    table: route.table,
    mark: bypass && tunnel.fwmark === 0 ? LOCKDOWN_MARK : markOf(route.mode, tunnel.fwmark),
    allowIpv4: route.allowIpv4,
    // In lockdown machines on the LAN would not even find this host.
    trusted:
      delegation.interface === ''
        ? route.trustedInterfaces
        : [...route.trustedInterfaces, delegation.interface],
  };
}
