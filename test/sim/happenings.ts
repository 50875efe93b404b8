import type { Setup } from './setup.ts';

/** What is done to the nodes of a simulation, and when. */
export interface Happening {
  readonly atMs: number;
  readonly happens: () => void;
}

/** In their order. */
export function happeningsOf(
  { outage, loss, database, cutOff }: Setup,
  effects: {
    readonly away: (how: 'refused' | 'silent' | undefined) => void;
    readonly lost: (node: number, how: 'refused' | 'silent') => void;
    readonly database: (writes: boolean, reads: boolean) => void;
    readonly cutOff: (node: number, reads: boolean) => void;
  },
): Happening[] {
  const all: Happening[] = [];
  if (outage !== undefined) {
    all.push({ atMs: outage.fromMs, happens: () => effects.away(outage.how) });
    all.push({ atMs: outage.fromMs + outage.forMs, happens: () => effects.away(undefined) });
  }
  if (loss !== undefined) all.push({ atMs: loss.atMs, happens: () => effects.lost(loss.node, loss.how) });
  if (database !== undefined) {
    all.push({ atMs: database.fromMs, happens: () => effects.database(false, database.readable) });
    all.push({ atMs: database.fromMs + database.forMs, happens: () => effects.database(true, true) });
  }
  if (cutOff !== undefined) {
    all.push({ atMs: cutOff.fromMs, happens: () => effects.cutOff(cutOff.node, false) });
    all.push({ atMs: cutOff.fromMs + cutOff.forMs, happens: () => effects.cutOff(cutOff.node, true) });
  }
  return all.sort((one, other) => one.atMs - other.atMs);
}
