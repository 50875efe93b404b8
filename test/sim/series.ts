/** What is counted in each second of a simulation. */
export const COUNTED = [
  'attempts',
  'arrivals',
  'admitted',
  'cut',
  'told',
  'late',
  'provisioned',
  'refused',
  'online',
] as const;

export type Counted = (typeof COUNTED)[number];

/**
 * By the second. `attempts`: agents begin to connect, wherever they come to; `arrivals`: connections come in at routers; `admitted`; `cut`: closed
 * for others; `told`: told when to come again; `late`: given up by the agent; `provisioned`, `refused`: handshakes of identity servers; `online`: tunnels
 * that are up at its end.
 */
export interface Series {
  add(what: Exclude<Counted, 'online'>, ms: number): void;
  /** Ends the second before `ms`. */
  setOnline(ms: number, online: number): void;
  of(what: Counted): Uint32Array;
}

export function makeSeries(seconds: number): Series {
  const columns = Object.fromEntries(COUNTED.map((name) => [name, new Uint32Array(seconds + 1)])) as Record<
    Counted,
    Uint32Array
  >;
  return {
    add(what, ms) {
      columns[what][Math.floor(ms / 1_000)]!++;
    },
    setOnline(ms, online) {
      columns.online[Math.floor(ms / 1_000) - 1] = online;
    },
    of: (what) => columns[what],
  };
}
