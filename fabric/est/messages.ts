import type { ListenAddress } from '../../os/net/listen.ts';
import type { SerializedFailure } from '../../protocol/failure-message.ts';

/*
 * The messages between the fabric's main process and the one that speaks EST. That one has the key of its TLS certificate, and no other: whether
 * somebody gets a certificate is decided, and it is signed, in the main process.
 */

/** The argument by which the program speaks EST, for the process that has started it. */
export const EST_PROCESS = 'est-process';

/** PEM. */
export interface EstTls {
  readonly certificate: string;
  readonly key: string;
}

/**
 * By what a client may have something: the SHA-256 of its code, or its certificate (DER), whose key the TLS handshake has shown; as `maker` with those that
 * it has shown above it, if it is for a first certificate and not for a renewal.
 */
export type ShownProof =
  | { readonly code: Uint8Array }
  | { readonly certificate: Uint8Array }
  | { readonly maker: Uint8Array; readonly chain: readonly Uint8Array[] };

/** What a client wants. `anchor`: the number of a CA. */
export type Asked =
  | { readonly kind: 'issuers'; readonly proof?: ShownProof; readonly anchor?: number }
  | {
      readonly kind: 'certificate';
      readonly proof: ShownProof;
      readonly anchor?: number;
      /** PKCS#10, DER. */
      readonly request: Uint8Array;
      /** The outer address. */
      readonly source: string;
    };

export type ToEst =
  | { readonly kind: 'config'; readonly listen: ListenAddress; readonly tls: EstTls }
  | { readonly kind: 'tls'; readonly tls: EstTls }
  /** DER. */
  | { readonly kind: 'answer'; readonly id: number; readonly certificates: readonly Uint8Array[] }
  | { readonly kind: 'answer'; readonly id: number; readonly failure: SerializedFailure };

export type FromEst =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'failed'; readonly failure: SerializedFailure }
  | { readonly kind: 'asked'; readonly id: number; readonly asked: Asked };

/** Answers what a client wants, with certificates in DER. @throws Failure why it does not get them */
export type Authority = (asked: Asked) => Promise<readonly Uint8Array[]>;
