/** A certificate as the issuer's list of revoked ones names it. */
export interface CertificateName {
  /** SHA-256 of the issuer's name in DER, 32 bytes. */
  readonly issuerHash: Uint8Array;
  /** At most 20 bytes, without zeros in front. */
  readonly serial: Uint8Array;
}

/** What a certificate says. Times are seconds since 1970; 0: it cannot be told. */
export interface CertificateFacts extends CertificateName {
  /** The IPv6 addresses among its alternative names, 16 bytes each; of more than two the first two. */
  readonly addresses: Uint8Array;
  /** The first of its subject, if that has 1 to 63 bytes. */
  readonly commonName?: string;
  /** RFC 2253. */
  readonly subject: string;
  /** SHA-256 of the subject in DER. */
  readonly subjectHash: Uint8Array;
  /** SHA-256 of its SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  readonly notBefore: number;
  readonly notAfter: number;
  /** May it sign others? */
  readonly authority: boolean;
  /** Does it say what its key may be used for? */
  readonly keyUsage: boolean;
  /** Is its key of P-256, P-384, Ed25519, or RSA of 2,048 to 4,096 bits? */
  readonly sound: boolean;
}

/** What came of judging a certificate. */
export interface Judgement {
  /** Why it is not vouched for, in OpenSSL's words; absent: it is. */
  readonly refused?: string;
  /** When the first certificate of the chain expires, seconds since 1970. */
  readonly until: number;
  /** Of the chain below its anchor, the peer's own first. */
  readonly names: readonly CertificateName[];
  /**
   * The issuer, DER, if another one vouches for it and nothing above it limits what it signs: until `viaUntil` its signature alone decides on
   * others that it has issued.
   */
  readonly via?: Uint8Array;
  readonly viaUntil?: number;
}

/** What a list of revoked certificates says. */
export interface RevocationList {
  /** Why it is not taken; the other fields are absent then. */
  readonly refused?: string;
  readonly issuerHash: Uint8Array;
  readonly thisUpdate: number;
  readonly nextUpdate?: number;
  /** The serial numbers, each behind a byte with its length. */
  readonly revoked: Uint8Array;
}

/** Certificates, judged by OpenSSL (native/pki/judge.h). Bad arguments are TypeErrors. */
export interface PkiFace {
  /** Undefined if these bytes are no certificate in DER, or its serial number is negative or too long. */
  pkiRead(der: Uint8Array): CertificateFacts | undefined;
  /**
   * Judges `leaf` at `now` (seconds since 1970) on a thread of libuv's pool, as a TLS client. The others (16 at most) and the anchors (64 at
   * most) are DER, one behind the other; what is not is refused.
   */
  pkiVerify(leaf: Uint8Array, others: Uint8Array, anchors: Uint8Array, now: number): Promise<Judgement>;
  /** DER, at most 2 MB, signed by one of the issuers. Undefined if it is no such list. */
  pkiReadCrl(der: Uint8Array, issuers: Uint8Array): RevocationList | undefined;
}
