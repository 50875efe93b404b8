import type { CertificateFacts } from '../../crypto/certificates.ts';
import type { Prefix } from '../../protocol/ipv6.ts';
import type { Page, PageRequest } from './pages.ts';
import type { Vouched, Voucher } from './pki.ts';

/*
 * Certificates that the fabric issues for an owner's machines. The CA is an anchor like any other (pki.ts); its key is in the data folder. All times
 * are milliseconds since 1970.
 */

/** Codes of one owner that may be open at a time. */
export const MOST_CODES = 10_000;
/** Certificates of one address that may be valid at a time: more has nobody whose answers are not lost again and again. */
export const MOST_VALID = 8;

/** A code by which one machine gets its first certificate. */
export interface EnrolmentCode {
  readonly id: number;
  /** The name of the owner whose it is. */
  readonly owner: string;
  readonly network: Prefix;
  /** What the machine will be called. */
  readonly name?: string;
  /** Which address it gets, 16 bytes; absent: one that is free. */
  readonly address?: Uint8Array;
  /** The actor that made it. */
  readonly createdBy: string;
  readonly created: number;
  readonly expires: number;
  readonly used?: number;
  /** Of the certificate that it was used for. */
  readonly serial?: Uint8Array;
  readonly withdrawn?: number;
}

/** `hash`: SHA-256 of its text. */
export type NewCode = Pick<EnrolmentCode, 'network' | 'name' | 'address' | 'expires'> & {
  readonly hash: Uint8Array;
};

/** A certificate that was issued. */
export interface IssuedCertificate {
  /** 16 bytes, as all serial numbers here. */
  readonly serial: Uint8Array;
  /** Of the certificate that it renews. */
  readonly parent?: Uint8Array;
  /** The number of the CA. */
  readonly anchor: number;
  readonly owner: string;
  /** 16 bytes. */
  readonly address: Uint8Array;
  /** The code by which it was got; absent: it is a renewal, or was got by a maker's certificate if it has no parent. */
  readonly code?: number;
  /** SHA-256 of its SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  readonly created: number;
  readonly notAfter: number;
  readonly revoked?: { readonly at: number; readonly reason: string };
}

export interface IssuedFilter {
  /** The number of a CA. */
  readonly anchor?: number;
  /** 16 bytes. */
  readonly address?: Uint8Array;
}

/** A CA whose key the fabric has. */
export interface IssuingCa {
  readonly anchor: number;
  readonly name: string;
  /** DER. */
  readonly certificate: Uint8Array;
  readonly notAfter: number;
  /** For how many days it issues certificates. */
  readonly days: number;
  readonly networks: readonly Prefix[];
}

/** What takes the place of the certificate of an issuing CA: by the same key, with more networks. */
export interface RenewedCa {
  readonly certificate: Uint8Array;
  /** SHA-256 of the certificate. */
  readonly fingerprint: Uint8Array;
  readonly notAfter: number;
  readonly days: number;
  /** All that it has from now on. */
  readonly networks: readonly Prefix[];
}

/** What became of a lineage, of which certificates were valid. */
export interface RevokedLineage {
  /** False if the certificate was revoked already. */
  readonly changed: boolean;
  /** Further ones of its lineage that were revoked with it. */
  readonly revoked: readonly Uint8Array[];
  /** Those that are still valid. */
  readonly valid: readonly Uint8Array[];
}

export interface IssuingReader {
  /** Newest first, also those that were used, withdrawn or have expired, for a month. */
  codes(page: PageRequest): Promise<Page<EnrolmentCode>>;
  /** Newest first; for a year after they have expired. */
  issued(page: PageRequest, filter?: IssuedFilter): Promise<Page<IssuedCertificate>>;
}

export interface OwnIssuing {
  /** @throws Failure `pki.unknown-ca`, `pki.not-issuing` */
  issuingCa(id: number): Promise<IssuingCa>;
  /** @throws Failure `pki.unknown-ca`, `pki.not-issuing`, `fabric.unknown-network` */
  renewIssuing(actor: string, id: number, renewed: RenewedCa): Promise<void>;
  /** @throws Failure `fabric.unknown-network`, `pki.no-issuer`, `pki.address-not-free`, `pki.too-many-codes`, `fabric.name-exists` */
  addCodes(actor: string, codes: readonly NewCode[]): Promise<readonly EnrolmentCode[]>;
  /** False if it was withdrawn or used already. @throws Failure `pki.unknown-code` */
  withdrawCode(actor: string, id: number): Promise<boolean>;
  /**
   * Revokes a certificate of a CA, and the others of its lineage that are valid if `lineage` is set.
   * @throws Failure `pki.unknown-ca`
   */
  revokeLineage(
    actor: string,
    anchor: number,
    revoked: { readonly serial: Uint8Array; readonly reason: string; readonly lineage: boolean },
  ): Promise<RevokedLineage>;
}

/** A CA of an owner, not the fabric's, whose machines get certificates without a code. */
export type EnrollingCa = Omit<Voucher, 'gid'>;

/** A certificate of such a CA that was judged good, and whose key a TLS handshake has shown. */
export interface MakerCertificate extends Vouched {
  readonly facts: CertificateFacts;
}

/**
 * By what somebody may have a certificate: the SHA-256 of a code, a certificate of the fabric (DER, and its serial number) whose key a TLS handshake has
 * shown, or one of a maker.
 */
export type Proof =
  | { readonly code: Uint8Array }
  | { readonly certificate: Uint8Array; readonly serial: Uint8Array }
  | { readonly maker: MakerCertificate };

/** Who asks for a certificate, and for which key. */
export interface IssueRequest {
  readonly proof: Proof;
  /** The number of the CA that is asked; the newest one of the network unless given. */
  readonly anchor?: number | undefined;
  /** SHA-256 of the SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /** The outer address. */
  readonly source: string;
}

/** What is to be signed. */
export interface Grant {
  readonly ca: IssuingCa;
  /** 16 bytes. */
  readonly address: Uint8Array;
  readonly serial: Uint8Array;
  readonly from: number;
  readonly until: number;
}

/** Makes the certificate, within the transaction that records it. */
export type SignGrant = (grant: Grant) => {
  readonly certificate: Uint8Array;
  readonly facts: CertificateFacts;
};

/** What the fabric's EST server asks and records. */
export interface Issuing {
  /**
   * The CA that would issue, and the address that a certificate has which is to be renewed.
   * @throws Failure `pki.bad-code`, `pki.not-issued`, `pki.not-vouched`, `pki.revoked`, `pki.no-issuer`, `fabric.device-banned`, `fabric.device-retired`, `pki.evicted`, `fabric.group-suspended`
   */
  entitled(request: Pick<IssueRequest, 'proof' | 'anchor'>): {
    readonly ca: IssuingCa;
    readonly renews?: Uint8Array;
  };
  /**
   * Issues a certificate (DER). The same proof with the same key gets the same one again, as long as that is valid.
   * @throws Failure as `entitled`, `pki.too-many-valid`, `pki.address-not-free`, `fabric.group-full`, `fabric.country-unexpected`, `fabric.name-exists`, `fabric.network-full`, `fabric.unknown-device`
   */
  issue(request: IssueRequest, sign: SignGrant): Promise<Uint8Array>;
  /**
   * The certificates of issuing CAs, newest first: of a number, of whoever has a code or a certificate of the fabric, or of the only owner that has any.
   * @throws Failure `pki.unknown-ca`, `pki.which-ca`, `pki.bad-code`
   */
  issuers(asked: { readonly proof?: Proof; readonly anchor?: number }): readonly Uint8Array[];
  /**
   * The CAs whose machines may enrol: at the owner of the issuing CA with this number, or at the only owner that has any.
   * @throws Failure `pki.unknown-ca`, `pki.not-issuing`, `pki.which-ca`
   */
  enrolling(anchor?: number): readonly EnrollingCa[];
}
