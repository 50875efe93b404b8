import type { HandshakeRegistry } from '../identity/handshake.ts';

/** What was counted of handshakes since the start. */
export interface HandshakeNumbers {
  /** By result: "ok", or the code of the failure. The codes are ours, so there are some dozens at most. */
  readonly results: ReadonlyMap<string, number>;
  /** Admissions, failed ones too, and the sum of what they waited for the registry. */
  readonly admissions: number;
  readonly admissionSeconds: number;
}

/** A registry that counts what handshakes ask of it. */
export function countHandshakes<R extends HandshakeRegistry>(
  registry: R,
): { readonly registry: R; readonly numbers: () => HandshakeNumbers } {
  const results = new Map<string, number>();
  let admissions = 0;
  let admissionSeconds = 0;
  const count = (result: string, times = 1): unknown =>
    results.set(result, (results.get(result) ?? 0) + times);
  const counted: R = {
    ...registry,
    async admit(applicant) {
      const from = performance.now();
      try {
        const address = await registry.admit(applicant);
        count('ok');
        return address;
      } finally {
        admissions++;
        admissionSeconds += (performance.now() - from) / 1_000;
      }
    },
    refused(handshake, unlisted = 0) {
      count(handshake.result, 1 + unlisted);
      return registry.refused(handshake, unlisted);
    },
  };
  return { registry: counted, numbers: () => ({ results, admissions, admissionSeconds }) };
}
