/** The public part of a chip's endorsement key: the modulus and exponent, or the P-256 point of 65 bytes. */
export type EndorsementPublic =
  | { readonly kind: 'rsa'; readonly modulus: Uint8Array; readonly exponent: number }
  | { readonly kind: 'ecc'; readonly point: Uint8Array };

/**
 * A secret that only the chip with an endorsement key can open, and only for one key inside it: what TPM2_MakeCredential returns and
 * TPM2_ActivateCredential takes.
 */
export interface Challenge {
  /** TPM2B_ID_OBJECT. */
  readonly credential: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET. */
  readonly seed: Uint8Array;
}
