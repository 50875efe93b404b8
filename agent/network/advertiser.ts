import type { RouterSocket } from '../../os/linux/icmp6.ts';
import {
  encodeLanAdvertisement,
  isLanSolicitation,
  type LanAdvertisement,
} from '../../protocol/advertisement.ts';

/** What a gateway announces on its LAN. */
export type Announced = Pick<LanAdvertisement, 'prefix' | 'mtu' | 'routes' | 'managed' | 'other' | 'dns'>;

/** Announces a gateway to the machines on a link, as RFC 4861 §6.2 says. */
export interface Advertiser {
  /** Says once more what there is. */
  repeat(): void;
  /** The gateway is no router there any more; `withdrawn`: nor are the addresses of the prefix any. */
  close(withdrawn: boolean): void;
}

export interface AdvertiserDependencies {
  readonly open: (
    name: string,
    onSolicitation: (source: Uint8Array, message: Uint8Array) => void,
  ) => RouterSocket;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Seconds. An address outlives nine periods, and a gateway four. */
const ROUTER_LIFETIME = 1_800;
export const LIFETIMES = { valid: 5_400, preferred: 2_700 } as const;
/** Milliseconds between two advertisements that nobody has asked for (MinRtrAdvInterval, MaxRtrAdvInterval), */
const LEAST_PERIOD_MS = 200_000;
const LONGEST_PERIOD_MS = 600_000;
/** of the first ones (MAX_INITIAL_RTR_ADVERTISEMENTS), */
const INITIAL = 3;
const INITIAL_PERIOD_MS = 16_000;
/** of any two (MIN_DELAY_BETWEEN_RAS), */
const LEAST_INTERVAL_MS = 3_000;
/** and before an answer (MAX_RA_DELAY_TIME). */
const LONGEST_DELAY_MS = 500;

/** Announces on the interface until it is closed. @throws Failure `os.no-raw-socket` */
export function openAdvertiser(
  name: string,
  announced: Announced,
  { open, random }: AdvertiserDependencies,
): Advertiser {
  let sent = 0;
  let lastMs = Number.NEGATIVE_INFINITY;
  let dueMs = Number.POSITIVE_INFINITY;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const message = encodeLanAdvertisement({
    ...announced,
    routerLifetime: ROUTER_LIFETIME,
    validLifetime: LIFETIMES.valid,
    preferredLifetime: LIFETIMES.preferred,
  });

  /** Once is enough: what is planned earlier stands. */
  const plan = (delayMs: number): void => {
    const now = performance.now();
    const at = Math.max(now + delayMs, lastMs + LEAST_INTERVAL_MS);
    if (at >= dueMs) return;
    clearTimeout(timer);
    dueMs = at;
    timer = setTimeout(advertise, at - now);
  };
  const advertise = (): void => {
    dueMs = Number.POSITIVE_INFINITY;
    lastMs = performance.now();
    // The interface has perhaps no address yet.
    if (!socket.advertise(message)) {
      plan(LEAST_INTERVAL_MS);
      return;
    }
    const period = LEAST_PERIOD_MS + random() * (LONGEST_PERIOD_MS - LEAST_PERIOD_MS);
    plan(++sent < INITIAL ? Math.min(period, INITIAL_PERIOD_MS) : period);
  };
  const socket = open(name, (source, solicitation) => {
    if (isLanSolicitation(source, solicitation)) plan(random() * LONGEST_DELAY_MS);
  });
  plan(0);
  return {
    repeat: () => plan(0),
    close(withdrawn) {
      clearTimeout(timer);
      // Each may be lost; the interval between them is for those that go on.
      const last = encodeLanAdvertisement({
        ...announced,
        routerLifetime: 0,
        validLifetime: withdrawn ? 0 : LIFETIMES.valid,
        preferredLifetime: withdrawn ? 0 : LIFETIMES.preferred,
      });
      for (let i = 0; i < INITIAL; i++) socket.advertise(last);
      socket.close();
    },
  };
}
