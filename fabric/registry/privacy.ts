import { parseListen } from '../../os/net/listen.ts';
import { unwrapped } from '../../os/net/special.ts';
import { isFailure } from '../../protocol/failure.ts';
import { formatIpv6, parseIpv6 } from '../../protocol/ipv6.ts';

/** How much is kept of the outer addresses of devices: all, the network (/24 of IPv4, /48 of IPv6), or nothing. */
export const KEPT_ADDRESSES = ['whole', 'cut', 'none'] as const;
export type KeptAddresses = (typeof KEPT_ADDRESSES)[number];

/** What is kept of where devices come from. */
export interface Privacy {
  readonly addresses: KeptAddresses;
  /** After so many days handshakes are counted only, and the addresses of a device's last ones, and in alarms, are forgotten; undefined: they stay. */
  readonly days?: number;
}

/** What is chosen anew; `days` 0: handshakes stay. */
export interface PrivacyChange {
  readonly addresses?: KeptAddresses | undefined;
  readonly days?: number | undefined;
}

/** Who may have chosen: an owner for what is its own, or the host for what is nobody's and for owners who have not chosen. */
export const PRIVACY_CHOOSERS = ['owner', 'host'] as const;

/** What holds for somebody, and who chose it; nobody at first. */
export interface PrivacySetting extends Privacy {
  readonly chosen?: {
    readonly of: (typeof PRIVACY_CHOOSERS)[number];
    /** Left out where an owner asks for what the host has chosen. */
    readonly by?: string;
    readonly at: number;
  };
}

/** The choices of all owners, by their numbers; it is another object after each change. */
export interface PrivacyChoices {
  of(owner: number): Privacy;
  /** False: all keep everything. */
  readonly forget: boolean;
}

export const DEFAULT_PRIVACY: Privacy = { addresses: 'whole' };

/** Up to where rows were brought in line with the choice. */
export interface SweepPlace {
  readonly table: 'handshake' | 'device' | 'alarm' | 'delivery';
  readonly row: number;
}

export interface PrivacyReader {
  /** What holds for the owner; of who sees everything, for all that nobody else has chosen for. */
  privacy(): Promise<PrivacySetting>;
}

export interface OwnPrivacy extends PrivacyReader {
  /** From then on rows are written so; what is not given stays as it is, and those rows that are there are brought in line by `sweep`. */
  setPrivacy(actor: string, change: PrivacyChange): Promise<void>;
}

export interface PrivacyKeeper {
  /** What all have chosen, by this process or another: from then on that counts here. The same object as long as nothing changes. */
  privacyChoices(): PrivacyChoices;
  /** Brings some rows in line with the choices, from the first one on or behind `after`: some milliseconds. Returns how far it came; undefined: through. */
  sweep(after?: SweepPlace): Promise<SweepPlace | undefined>;
}

/** What is kept of an address; what was cut or left out already stays so. */
export function keptAddress(address: string, kept: KeptAddresses): string {
  if (kept === 'whole' || address === '') return address;
  if (kept === 'none') return '';
  if (address.includes('/')) return address;
  const bare = unwrapped(address);
  if (bare === undefined) return '';
  if (!bare.includes(':')) return `${bare.split('.').slice(0, 3).join('.')}.0/24`;
  // What ends like an IPv4 address and is none has no network that is known.
  return bare.includes('.') ? '' : `${formatIpv6(parseIpv6(bare).fill(0, 6))}/48`;
}

/** The same for an address and a port, of which the port is left out. */
export function keptEndpoint(endpoint: string, kept: KeptAddresses): string {
  if (kept === 'whole' || endpoint.includes('/')) return keptAddress(endpoint, kept);
  return keptAddress(hostOf(endpoint), kept);
}

/** The address of an endpoint; of what was cut or left out already that is all there is. */
export function hostOf(endpoint: string): string {
  try {
    return parseListen(endpoint).host;
  } catch (error) {
    if (!isFailure(error)) throw error;
    return endpoint;
  }
}
