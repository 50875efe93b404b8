import type { Tunnel } from './tunnel.ts';

/** What the data plane counts. */
export type Counters = ReturnType<Tunnel['counters']>;
