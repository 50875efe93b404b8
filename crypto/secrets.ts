import { timingSafeEqual } from 'node:crypto';

/** Whether two secrets are the same, in a time that depends on their lengths alone. */
export const secretsEqual = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && timingSafeEqual(a, b);
