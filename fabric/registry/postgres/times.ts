/** How long the server is waited for, in milliseconds. */

/** Longer takes no statement, and nobody waits longer for a lock: the server ends them before this side gives up. */
export const STATEMENT_MS = 4_000;
export const LOCK_MS = 2_000;
export const CONNECT_MS = 2_000;
export const PATIENCE_MS = 6_000;
/** The same for what nobody waits for: a commit may wait for the disk of a standby. */
export const SEND_MS = 10_000;
/** Between two attempts to connect. */
export const PAUSE_MS = 1_000;
/** Between two statements of what copies everything as it was at one moment. */
export const COPY_IDLE_MS = 600_000;
/** For so long nothing is read after a statement that took too long, and it is not tried again. */
export const REST_MS = 1_000;
/** It is waited for again once nobody has wanted it for so long. */
export const HELD_MS = 10_000;
/** For so long after one of a job no other is waited for longer than this: the thread does nothing else meanwhile. */
export const CAUTIOUS_MS = 10_000;
export const CAUTIOUS_LOCK_MS = 100;
export const CAUTIOUS_STATEMENT_MS = 1_000;
/** Between two looks for a server that was promoted while the former one goes on. */
export const LOOK_MS = 15_000;
