import type { HandshakeRegistry } from '../identity/handshake.ts';
import { type HistogramNumbers, histogram, LATENCY_SECONDS } from './histogram.ts';

/** What was counted of handshakes since the start. */
export interface HandshakeNumbers {
  /** By result: "ok", or the code of the failure. The codes are ours, so there are some dozens at most. */
  readonly results: ReadonlyMap<string, number>;
  /** Of handshakes that came as far as the registry, refused ones too: from their second message, and what the registry took of it. */
  readonly handshakeSeconds: HistogramNumbers;
  readonly admissionSeconds: HistogramNumbers;
}

/** A registry that counts what handshakes ask of it. */
export function countHandshakes<R extends HandshakeRegistry>(
  registry: R,
): { readonly registry: R; readonly numbers: () => HandshakeNumbers } {
  const results = new Map<string, number>();
  const handshakeSeconds = histogram(LATENCY_SECONDS);
  const admissionSeconds = histogram(LATENCY_SECONDS);
  const count = (result: string, times = 1): unknown =>
    results.set(result, (results.get(result) ?? 0) + times);
  const counted: R = {
    ...registry,
    async admit(applicant, waitedMs) {
      const from = performance.now();
      try {
        const address = await registry.admit(applicant, waitedMs);
        count('ok');
        return address;
      } finally {
        const tookMs = performance.now() - from;
        admissionSeconds.observe(tookMs / 1_000);
        handshakeSeconds.observe((waitedMs + tookMs) / 1_000);
      }
    },
    refused(handshake, unlisted = 0) {
      count(handshake.result, 1 + unlisted);
      return registry.refused(handshake, unlisted);
    },
  };
  return {
    registry: counted,
    numbers: () => ({
      results,
      handshakeSeconds: handshakeSeconds.numbers(),
      admissionSeconds: admissionSeconds.numbers(),
    }),
  };
}
