import { toHex } from '../../protocol/bytes.ts';
import type { Prefix } from '../../protocol/ipv6.ts';
import type { RuleDevices } from './rules.ts';

/*
 * How much devices may send and get. Each value of a limit stands for itself: that of a device counts before that of its group, that before that of its network, and
 * none is above the most that the host allows there.
 */

/** Of groups and devices, in the table and in the router. */
export const MOST_RATES = 1_000;
/** All networks of an owner together. */
export const MOST_RATES_OF_OWNER = 4_000;
/** Packets or bytes in a second: as far as the router counts (native/router/rates/meter.h). */
export const MOST_PER_SECOND = 10_000_000_000;

/** Whose limit it is. `max`: what the host allows each device of the network; `any`: each device that has no other. */
export type RateParty = RuleDevices | { readonly kind: 'max' };

/** In a second. 0: any number; absent: as the limit of more devices says. */
export interface Rate {
  readonly packets?: number;
  readonly bytes?: number;
}

/** As the device sees it: what it gets, what it sends. */
export interface Rates {
  readonly in: Rate;
  readonly out: Rate;
}

export interface RateLimit {
  readonly network: Prefix;
  readonly devices: RateParty;
  readonly rates: Rates;
  /** Milliseconds since 1970. */
  readonly changed: number;
}

/** Every value with where it is. */
export const RATE_FIELDS = [
  ['in', 'packets'],
  ['in', 'bytes'],
  ['out', 'packets'],
  ['out', 'bytes'],
] as const;

/** Those of `change` in the place of those of `rates`. */
export const changedRates = (rates: Rates, change: Rates): Rates => ({
  in: { ...rates.in, ...change.in },
  out: { ...rates.out, ...change.out },
});

/** Does it say nothing but that there is no limit? */
export const isBoundless = (rates: Rates): boolean =>
  RATE_FIELDS.every(([direction, what]) => !rates[direction][what]);

/** What a device may, by the limits of its network: as the router decides (native/router/rates/rates.h). Nothing is said where there is no limit. */
export function ratesOf(
  limits: readonly RateLimit[],
  device: { readonly address: Uint8Array; readonly gid: Uint8Array },
): Rates {
  const [address, gid] = [toHex(device.address), toHex(device.gid)];
  const of = (fits: (party: RateParty) => boolean): Rates =>
    limits.find(({ devices }) => fits(devices))?.rates ?? NO_RATES;
  const most = of(({ kind }) => kind === 'max');
  const own = [
    of(({ kind }) => kind === 'any'),
    of((party) => party.kind === 'group' && toHex(party.gid) === gid),
    of((party) => party.kind === 'device' && toHex(party.address) === address),
  ].reduce(changedRates);
  const found = { in: {}, out: {} } as Record<'in' | 'out', Record<string, number>>;
  for (const [direction, what] of RATE_FIELDS) {
    const limited = [own[direction][what], most[direction][what]].filter((value) => (value ?? 0) > 0);
    if (limited.length > 0) found[direction][what] = Math.min(...(limited as number[]));
  }
  return found;
}

const NO_RATES: Rates = { in: {}, out: {} };
