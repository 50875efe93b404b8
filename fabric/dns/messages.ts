import { toHex } from '../../protocol/bytes.ts';
import type { Zone } from './zone.ts';

/** The argument by which the program answers DNS questions, for the process that has started it. */
export const NAME_PROCESS = 'name-process';

/** From the main process: where the registry is, and which zones are served from now on. */
export interface ToNameProcess {
  readonly registry: string;
  readonly zones: readonly { readonly suffix: string; readonly prefix: string }[];
}

/** What the main process sends. */
export const messageOf = (registry: string, zones: readonly Zone[]): ToNameProcess => ({
  registry,
  zones: zones.map(({ suffix, prefix }) => ({ suffix, prefix: toHex(prefix) })),
});
