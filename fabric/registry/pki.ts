import type { CertificateFacts, CertificateName, RevocationList } from '../../crypto/certificates.ts';
import type { Prefix } from '../../protocol/ipv6.ts';

/** Whom a CA admits: devices that its owner has listed, or whoever it gave an address in its networks. */
export const ADMITS = ['listed', 'anybody'] as const;
export type Admits = (typeof ADMITS)[number];

/** More CAs than this an owner has not at once: a stranger's certificate may be compared with each. */
export const MOST_ANCHORS = 8;

/** A CA that an owner has: whoever it gave a certificate is a device of one of its networks. */
export interface Anchor {
  readonly id: number;
  readonly name: string;
  /** The name of the owner whose it is. */
  readonly owner: string;
  /** SHA-256 of the certificate, 32 bytes. */
  readonly fingerprint: Uint8Array;
  /** RFC 2253. */
  readonly subject: string;
  /** Milliseconds since 1970, as all times here. */
  readonly notAfter: number;
  readonly admits: Admits;
  /** For how many days it issues certificates; absent: its key is not the fabric's. */
  readonly issueDays?: number;
  /** In which of its networks machines get a certificate of the fabric without a code; absent: in none. */
  readonly enrols?: Prefix;
  readonly networks: readonly NetworkOfAnchor[];
  /** How many devices are listed. */
  readonly listed: number;
  readonly revoked: number;
  /** The lists of revoked certificates that count now. */
  readonly lists: readonly { readonly thisUpdate: number; readonly nextUpdate?: number }[];
  /** Where they are fetched; absent: they are uploaded. */
  readonly source?: ListSource;
  readonly created: number;
}

/** A network for whose addresses a CA may vouch; its devices there are a group. */
export interface NetworkOfAnchor {
  readonly prefix: Prefix;
  /** 32 bytes. */
  readonly gid: Uint8Array;
  /** How many devices have come, and how many of them have a tunnel. */
  readonly devices: number;
  readonly connected: number;
}

/** Where a list of revoked certificates is fetched, and what became of it. */
export interface ListSource {
  readonly url: string;
  /** When it is fetched next. */
  readonly due: number;
  /** When that was done last, newer or not. */
  readonly fetched?: number;
  /** How often it could not be since. */
  readonly failures: number;
  /** Why not, the last time. */
  readonly error?: string;
}

/** A list that is to be fetched. */
export interface DueList extends Pick<ListSource, 'url' | 'failures'> {
  readonly anchor: number;
}

/** What became of that, and when it is tried next. */
export type FetchOutcome =
  | { readonly kind: 'fetched'; readonly due: number }
  | { readonly kind: 'failed'; readonly due: number; readonly error: string };

/** What became of a list: it counts; it does already; a newer one of its issuer does. */
export type ListTaken = 'taken' | 'same' | 'older';

export interface NewAnchor {
  readonly name: string;
  readonly certificate: Uint8Array;
  /** Intermediates, DER one behind the other. */
  readonly others: Uint8Array;
  readonly fingerprint: Uint8Array;
  readonly subject: string;
  readonly notAfter: number;
  readonly admits: Admits;
  /** Of one whose key the fabric has: for how many days it issues certificates. */
  readonly issueDays?: number;
  readonly networks: readonly Prefix[];
}

/** One listed device: all that is given must be so of its certificate. */
export interface Listed {
  /** 16 bytes. */
  readonly address: Uint8Array;
  /** RFC 2253. */
  readonly subject?: string;
  /** Without zeros in front, at most 20 bytes. */
  readonly serial?: Uint8Array;
  /** SHA-256 of its SubjectPublicKeyInfo. */
  readonly spki?: Uint8Array;
}

/** What an owner reads of its CAs. */
export interface PkiReader {
  /** Oldest first; an owner has few. */
  anchors(): Promise<readonly Anchor[]>;
}

/** What an owner changes of them. @throws Failure `pki.unknown-ca`, each but the first */
export interface OwnPki {
  /** @throws Failure `pki.ca-exists`, `pki.too-many-cas`, `fabric.unknown-network`, `fabric.unknown-owner` */
  addAnchor(actor: string, anchor: NewAnchor): Promise<Anchor>;
  /** Its devices stay, and do not get in any more. */
  removeAnchor(actor: string, id: number): Promise<string>;
  /** Lists devices; who is at an address already is replaced. @throws Failure `pki.bad-mapping` for an address in none of its networks */
  listDevices(actor: string, id: number, rows: readonly Listed[]): Promise<void>;
  /** The certificates that may have signed lists of revoked ones, DER one behind the other. */
  issuersOf(id: number): Promise<Uint8Array>;
  takeList(actor: string, id: number, list: RevocationList): Promise<ListTaken>;
  /** From where its list of revoked certificates is fetched, at once and again and again; undefined: it is uploaded. */
  setListSource(actor: string, id: number, url: string | undefined): Promise<Anchor>;
  /**
   * In which of its networks machines with its certificates get one of the fabric without a code; undefined: in none.
   * @throws Failure `pki.cannot-enrol`, `pki.no-issuer`
   */
  setEnrols(actor: string, id: number, network: Prefix | undefined): Promise<Anchor>;
}

/** What fetches lists of revoked certificates, whosever they are. */
export interface PkiLists {
  /** Those that are due; the longest waiting first. */
  dueLists(most: number): Promise<readonly DueList[]>;
  /** Nothing is recorded if the address is another one meanwhile. */
  recordFetch(due: DueList, outcome: FetchOutcome): Promise<void>;
}

/** A CA that may vouch for a device at an address. */
export interface Voucher {
  readonly anchor: number;
  /** The group of its devices in the network, 32 bytes. */
  readonly gid: Uint8Array;
  /** DER. */
  readonly certificate: Uint8Array;
  /** DER, one behind the other. */
  readonly others: Uint8Array;
}

/** By what a session is vouched for. */
export interface Vouched {
  readonly anchor: number;
  /** The certificates below the anchor. */
  readonly names: readonly CertificateName[];
}

/** A certificate that was judged good. */
export interface VouchedDevice extends Vouched {
  /** 16 bytes. */
  readonly address: Uint8Array;
  readonly gid: Uint8Array;
  readonly facts: CertificateFacts;
  /** The outer address. */
  readonly source: string;
}

/** What the router asks and records of certificates. */
export interface PkiAdmission {
  /** Is there any CA? */
  hasAnchors(): boolean;
  /** The address that is listed for a certificate that names none; undefined if there is none, or two owners disagree. */
  listedAddress(facts: CertificateFacts): Uint8Array | undefined;
  /** The CAs of the owner of the address (16 bytes) that may vouch for it with this certificate; none for another kind of device. */
  vouchers(address: Uint8Array, facts: CertificateFacts): readonly Voucher[];
  /** False if the CA is no longer there, or a certificate was revoked. */
  vouches(vouched: Vouched): boolean;
  /**
   * Takes the device of the certificate in if it is new, and ends its eviction if the certificate is newer than the one that it had. Resolves to whether
   * anything had to be written; if not, in the same turn of the event loop, so that what was read before is so still.
   * @throws Failure `fabric.group-full`, `fabric.country-unexpected`, `fabric.not-resident`, `fabric.unknown-device`
   */
  admitVouched(device: VouchedDevice): Promise<boolean>;
}

/** In place of the longterm key of a device whose certificates are of a CA, 65 bytes: no key on the curve is so. */
export const VOUCHED_KEY: Uint8Array = new Uint8Array(65);
