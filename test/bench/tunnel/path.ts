/** The paths between the two ends that each tunnel is measured on. */
export interface Path {
  readonly name: 'fast' | 'slow' | 'lossy';
  /** For people. */
  readonly title: string;
  /** What our WAN emulator does to it, both ways; undefined: a bare veth pair. */
  readonly limits: Limits | undefined;
  /**
   * The congestion control of the flows inside, where the kernel has it. Cubic, which most hosts use, shows what a queue
   * does to everybody else; under random loss it is measured itself instead of the tunnel, so there it is BBR.
   */
  readonly inside: 'cubic' | 'bbr';
}

export interface Limits {
  readonly oneWayMs: number;
  readonly dropPercent: number;
  readonly mbit: number;
  /** The longest a packet may queue before the line; what comes then is dropped. */
  readonly queueMs: number;
}

export const PATHS: readonly Path[] = [
  { name: 'fast', title: 'veth', limits: undefined, inside: 'cubic' },
  {
    name: 'slow',
    title: '20 Mbit/s, RTT 10 ms, FIFO 200 ms',
    limits: { oneWayMs: 5, dropPercent: 0, mbit: 20, queueMs: 200 },
    inside: 'cubic',
  },
  {
    name: 'lossy',
    title: '50 Mbit/s, RTT 50 ms, 1 % drop, FIFO 100 ms',
    limits: { oneWayMs: 25, dropPercent: 1, mbit: 50, queueMs: 100 },
    inside: 'bbr',
  },
];

/** The addresses of the ends outside every tunnel. */
export const DEVICE_ADDRESS = '10.78.0.1';
export const FAR_ADDRESS = '10.78.0.2';

/** What sockets outside the tunnels get unless they ask for another: loss-based, as on most systems, cubic if allowed. */
export const OUTSIDE = ['cubic', 'reno'] as const;
