import { scrypt } from 'node:crypto';

/** The work of one guess of a passphrase: scrypt's N (as a power of two), r and p. */
export interface ScryptCost {
  readonly log2N: number;
  readonly r: number;
  readonly p: number;
}

/** 128 MiB and about half a second per guess. */
export const COST: ScryptCost = { log2N: 17, r: 8, p: 1 };
/** Bounds on the parameters in a file, so that it cannot demand unbounded work or memory: at most 1 GiB. */
const LIMIT: ScryptCost = { log2N: 20, r: 8, p: 4 };

/** True unless a file asks for more work or memory than we give it. */
export function isBounded({ log2N, r, p }: ScryptCost): boolean {
  return log2N >= 1 && log2N <= LIMIT.log2N && r >= 1 && r <= LIMIT.r && p >= 1 && p <= LIMIT.p;
}

/** The key of AES-256 that a passphrase and a salt of 16 bytes make. The caller wipes it. */
export function deriveKey(passphrase: Uint8Array, salt: Uint8Array, cost: ScryptCost): Promise<Uint8Array> {
  const { log2N, r, p } = cost;
  const options = { N: 2 ** log2N, r, p, maxmem: 128 * 2 ** log2N * r + 128 * r * p + 2 ** 20 };
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, 32, options, (error, key) => (error ? reject(error) : resolve(key)));
  });
}
