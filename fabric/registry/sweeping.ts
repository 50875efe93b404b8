import { setTimeout as wait } from 'node:timers/promises';
import type { PrivacyChoices, PrivacyKeeper, SweepPlace } from './privacy.ts';

/** How often it is looked whether somebody has chosen anew. */
const LOOK_MS = 1_000;
/** How often what has become too old meanwhile is looked for. */
const AGAIN_MS = 6 * 3_600_000;
/** Between two steps, which take some milliseconds each: others have most of the time. */
const PAUSE_MS = 10;

/**
 * Has what owners have chosen count here, and unless `sweeps` is false brings all that is kept of addresses in line with it: when that changes, when it
 * begins, and every six hours, step by step. Returns a function that ends that.
 */
export function keepSwept(
  registry: PrivacyKeeper,
  onError: (error: unknown) => void,
  sweeps = true,
): () => Promise<void> {
  const stopping = new AbortController();
  const { signal } = stopping;
  let swept: { readonly choices: PrivacyChoices; readonly ms: number } | undefined;

  async function sweep(choices: PrivacyChoices): Promise<void> {
    const ms = performance.now();
    let place: SweepPlace | undefined;
    do {
      place = await registry.sweep(place);
      await pause(PAUSE_MS, signal);
    } while (place !== undefined && !signal.aborted);
    swept = { choices, ms };
  }

  async function follow(): Promise<void> {
    while (!signal.aborted) {
      try {
        const choices = registry.privacyChoices();
        const due = choices !== swept?.choices || performance.now() - swept.ms >= AGAIN_MS;
        if (sweeps && due && choices.forget) await sweep(choices);
      } catch (error) {
        onError(error);
      }
      await pause(LOOK_MS, signal);
    }
  }

  const following = follow();
  return async () => {
    stopping.abort();
    await following;
  };
}

const pause = (ms: number, signal: AbortSignal): Promise<unknown> =>
  wait(ms, undefined, { signal, ref: false }).catch(() => {});
