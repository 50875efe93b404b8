import { newestMap } from '../../../protocol/newest-map.ts';

const MOST = 10_000;

/** Hashes of tokens that the fabric has lately accepted: whoever makes tokens up gets no limit of its own for each. */
export interface HeldTokens {
  has(hash: string): boolean;
  /** The fabric has accepted it; what was accepted longest ago is forgotten. */
  accepted(hash: string): void;
  refused(hash: string): void;
}

export function heldTokens(most = MOST): HeldTokens {
  const held = newestMap<string, true>(most);
  return {
    has: (hash) => held.get(hash) !== undefined,
    accepted: (hash) => held.set(hash, true),
    refused: (hash) => void held.delete(hash),
  };
}
