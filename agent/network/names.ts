import { type LinkNames, type Resolved, systemdResolved } from '../../os/linux/resolved.ts';
import type { Log } from '../../os/service/log.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import { describeError } from './describe.ts';

/** Has names of the own network resolved by the fabric's host, and no others. It never holds the tunnel up. */
export interface Names {
  /** The interface is there, with the own address (16 bytes). */
  attached(own: Uint8Array): void;
  /** Takes away what was set. */
  stop(): Promise<void>;
}

/** How often is looked whether it is still so: a resolver that was started anew may have forgotten it. */
const LOOK_MS = 5 * 60_000;

export interface NamesOptions {
  /** The domain of the network; empty: no resolver is told. */
  readonly zone: string;
  /** The interface. */
  readonly device: string;
  readonly lookMs?: number;
  readonly resolved?: Resolved;
}

/** `note` receives the failures, of which the first in a row is logged. */
export function openNames(
  { zone, device, lookMs = LOOK_MS, resolved = systemdResolved() }: NamesOptions,
  log: Log,
  note: (failure: unknown) => void,
): Names {
  let wanted: LinkNames | undefined;
  let timer: ReturnType<typeof setInterval> | undefined;
  let failed = false;
  let set = false;
  /** One at a time, in order. */
  let work: Promise<void> = Promise.resolve();

  const look = async (): Promise<void> => {
    const now = wanted;
    if (now === undefined) return;
    try {
      if (!fits(await resolved.read(device), now)) {
        set = true;
        await resolved.set(device, now);
        log('info', `systemd-resolved asks ${now.servers[0]} for names in ${zone}`);
      }
      failed = false;
    } catch (error) {
      note(error);
      if (!failed) log('warning', `names in ${zone} are not resolved: ${describeError(error)}`);
      failed = true;
    }
  };
  const plan = (): void => {
    work = work.then(look);
  };

  return {
    attached(own) {
      if (zone === '') return;
      wanted = namesOf(own, zone);
      plan();
      timer ??= setInterval(plan, lookMs);
    },
    async stop() {
      clearInterval(timer);
      wanted = undefined;
      await work;
      // With the interface all of it is gone, too.
      if (set) await resolved.revert(device).catch(note);
    },
  };
}

/** The host of the own network answers for its zone, and for the names of its addresses. */
export function namesOf(own: Uint8Array, zone: string): LinkNames {
  const host = own.map((byte, i) => (i < 8 ? byte : i === 15 ? 1 : 0));
  return {
    servers: [formatIpv6(host)],
    domains: [`~${zone.replace(/\.$/, '')}`, `~${reverseZone(own)}`],
  };
}

/** That of its /64 (RFC 3596). */
const reverseZone = (own: Uint8Array): string =>
  `${[...own.subarray(0, 8)]
    .flatMap((byte) => [byte >> 4, byte & 15])
    .reverse()
    .map((nibble) => nibble.toString(16))
    .join('.')}.ip6.arpa`;

const fits = (there: LinkNames, wanted: LinkNames): boolean =>
  sameWords(there.servers, wanted.servers) && sameWords(there.domains, wanted.domains);

const sameWords = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((word) => b.includes(word));
