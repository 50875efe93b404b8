import { BATCHES } from './catalogue/batches.ts';
import { DEVICES } from './catalogue/devices.ts';
import type { Entry } from './catalogue/entry.ts';
import { HOST } from './catalogue/host.ts';
import { NODES } from './catalogue/nodes.ts';
import { PEOPLE } from './catalogue/people.ts';

export type { Entry } from './catalogue/entry.ts';

/** All operations, by name. */
export const CATALOGUE: Readonly<Record<string, Entry>> = {
  ...BATCHES,
  ...DEVICES,
  ...PEOPLE,
  ...HOST,
  ...NODES,
};
