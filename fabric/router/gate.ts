/** Bounds on peers that are not admitted yet. */
export interface GateLimits {
  /** TLS handshakes under way, in all and per source. */
  readonly pending: number;
  readonly pendingPerSource: number;
  /** Refusals a source may collect at once, and how many of them are forgiven per second. */
  readonly refusalBurst: number;
  readonly refusalsPerSecond: number;
  /** Sources remembered. */
  readonly sources: number;
}

/** Decides at accept, before any TLS work, whether a source may try. */
export interface Gate {
  /** Takes a place for a handshake; false if there is none or the source was refused too often. */
  enter(source: string): boolean;
  /** Gives the place back, once per successful `enter`. */
  leave(source: string): void;
  /** Charges a refusal or a failed handshake. */
  refused(source: string): void;
  /** Handshakes under way. */
  readonly pending: number;
}

interface Account {
  pending: number;
  tokens: number;
  atMs: number;
}

/** A gate; `now` is a monotonic clock in milliseconds. */
export function createGate(limits: GateLimits, now: () => number): Gate {
  const accounts = new Map<string, Account>();
  let pending = 0;

  const account = (source: string): Account => {
    let found = accounts.get(source);
    if (found === undefined) {
      if (accounts.size >= limits.sources) forgetOldest(accounts);
      found = { pending: 0, tokens: limits.refusalBurst, atMs: now() };
      accounts.set(source, found);
    }
    const atMs = now();
    const earned = ((atMs - found.atMs) / 1000) * limits.refusalsPerSecond;
    found.tokens = Math.min(limits.refusalBurst, found.tokens + earned);
    found.atMs = atMs;
    return found;
  };

  const tidy = (source: string, found: Account): void => {
    if (found.pending === 0 && found.tokens >= limits.refusalBurst) accounts.delete(source);
  };

  return {
    enter(source) {
      const found = account(source);
      const open = pending < limits.pending && found.pending < limits.pendingPerSource && found.tokens >= 1;
      if (open) {
        found.pending += 1;
        pending += 1;
      }
      tidy(source, found);
      return open;
    },
    leave(source) {
      const found = account(source);
      found.pending = Math.max(0, found.pending - 1);
      pending -= 1;
      tidy(source, found);
    },
    refused(source) {
      const found = account(source);
      found.tokens = Math.max(-limits.refusalBurst, found.tokens - 1);
    },
    get pending() {
      return pending;
    },
  };
}

/** Forgets the oldest account, rather one that nobody is waiting in. */
function forgetOldest(accounts: Map<string, Account>): void {
  let examined = 0;
  for (const [source, found] of accounts) {
    examined += 1;
    if (found.pending === 0 || examined === 64) {
      accounts.delete(source);
      return;
    }
  }
}
