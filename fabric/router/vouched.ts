import { type CertificateFacts, judgeCertificate } from '../../crypto/certificates.ts';
import { concat } from '../../protocol/bytes.ts';
import { isFailure } from '../../protocol/failure.ts';
import { parseIpv6 } from '../../protocol/ipv6.ts';
import type { Verdict } from '../../protocol/tunnel/verdict.ts';
import type { PkiAdmission, Vouched, VouchedDevice, Voucher } from '../registry/pki.ts';
import { type Arrival, hostOf, type VouchedSession } from './session.ts';

/** Certificates that are judged at once: libuv has four threads, which others need, too. */
const AT_ONCE = 2;
/** Intermediates that are remembered. */
const REMEMBERED = 1_000;

/** An intermediate that was found good. */
interface Known {
  readonly certificate: Uint8Array;
  /** Seconds since 1970. */
  readonly until: number;
  /** Of it, and of those above it. */
  readonly names: Vouched['names'];
}

/** A device that a CA vouches for, or the verdict that refuses it, with the reason for the log. */
export type VouchedDecision =
  | { readonly device: VouchedDevice; readonly vouched: VouchedSession }
  | { readonly verdict: Verdict; readonly address?: Uint8Array; readonly why: string };

export interface CertificateJudge {
  /** Resolves when a certificate was judged; undefined: its peer has gone meanwhile. */
  judge(arrival: Arrival, facts: CertificateFacts): Promise<VouchedDecision | undefined>;
  /** The peer has gone: what waits for it is not done. */
  gone(id: number): void;
  /** A CA has changed: what was found by it may not be so any more. */
  forget(): void;
}

export interface JudgeParts {
  readonly admission: PkiAdmission;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

const unknown = (why: string, address?: Uint8Array): VouchedDecision => ({
  verdict: { kind: 'unknown' },
  why,
  ...(address !== undefined && { address }),
});

/**
 * Judges peers by the CAs of the owner of the address that their certificates name. What costs little is looked at first: nothing is verified for
 * an address in no network with a CA, or that its owner has not listed. Signatures are verified on libuv's threads, a few at once, in order.
 */
export function certificateJudge({ admission, now = Date.now }: JudgeParts): CertificateJudge {
  const known = new Map<string, Known>();
  const waiting: { readonly id: number; readonly begin: () => void }[] = [];
  const present = new Set<number>();
  let busy = 0;
  let generation = 0;

  /** Whether others came first: the registry may have changed meanwhile. */
  async function turn(id: number): Promise<boolean> {
    if (busy < AT_ONCE) {
      busy++;
      return false;
    }
    await new Promise<void>((begin) => waiting.push({ id, begin }));
    return true;
  }

  function done(): void {
    const next = waiting.shift();
    if (next === undefined) busy--;
    else next.begin();
  }

  /** The names of the chain and its end, if this CA vouches for the certificate. */
  async function verify(
    leaf: Uint8Array,
    chain: Uint8Array,
    { anchor, certificate, others }: Voucher,
    seconds: number,
  ): Promise<VouchedSession | string> {
    const key = `${anchor} ${textOf(chain)}`;
    const intermediate = known.get(key);
    if (intermediate !== undefined && intermediate.until > seconds) {
      const { refused, names, until } = await judgeCertificate(
        leaf,
        NOTHING,
        intermediate.certificate,
        seconds,
      );
      if (refused === undefined) {
        const above = intermediate.names;
        return { anchor, names: [...names, ...above], until: 1_000 * Math.min(until, intermediate.until) };
      }
    }
    const began = generation;
    const judged = await judgeCertificate(leaf, concat(chain, others), certificate, seconds);
    if (judged.refused !== undefined) return judged.refused;
    if (judged.via !== undefined && began === generation) {
      if (known.size >= REMEMBERED) forget();
      known.set(key, { certificate: judged.via, until: judged.viaUntil!, names: judged.names.slice(1) });
    }
    return { anchor, names: judged.names, until: 1_000 * judged.until };
  }

  function forget(): void {
    generation++;
    known.clear();
  }

  async function decide(
    arrival: Arrival,
    facts: CertificateFacts,
    address: Uint8Array,
    vouchers: readonly Voucher[],
  ): Promise<VouchedDecision> {
    const { certificate = NOTHING, chain = NOTHING } = arrival;
    let why = 'no CA of its network vouches for it, or it is not listed';
    for (const voucher of vouchers) {
      const vouched = await verify(certificate, chain, voucher, Math.floor(now() / 1_000));
      if (typeof vouched === 'string') why = vouched;
      else if (!admission.vouches(vouched)) why = 'a certificate of its chain was revoked';
      else {
        const device = { ...vouched, ...{ address, gid: voucher.gid, facts, source: hostOf(arrival) } };
        return { device, vouched };
      }
    }
    return unknown(why, address);
  }

  return {
    async judge(arrival, facts) {
      const address = claimedAddress(facts) ?? addressOf(facts, admission);
      if (address === undefined) return unknown('its certificate has no address, or several');
      const vouchers = admission.vouchers(address, facts);
      if (vouchers.length === 0)
        return unknown('no CA of its network vouches for it, or it is not listed', address);
      present.add(arrival.id);
      const waited = await turn(arrival.id);
      try {
        if (!present.has(arrival.id)) return undefined;
        const current = waited ? admission.vouchers(address, facts) : vouchers;
        return await decide(arrival, facts, address, current);
      } catch (error) {
        if (!isFailure(error)) throw error;
        return unknown(error.message, address);
      } finally {
        present.delete(arrival.id);
        done();
      }
    },
    gone: (id) => void present.delete(id),
    forget,
  };
}

const NOTHING = new Uint8Array(0);

/** A chain has some hundred bytes, of which this makes a text in less time than a hash. */
const textOf = ({ buffer, byteOffset, length }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, length).toString('latin1');
const ADDRESS = 16;

/** The address that a certificate names: its one alternative name that is one, or as enftun's have it, its common name. */
function claimedAddress({ addresses, commonName }: CertificateFacts): Uint8Array | undefined {
  if (addresses.length > 0) return addresses.length === ADDRESS ? addresses : undefined;
  if (commonName === undefined || !commonName.includes(':')) return undefined;
  try {
    return parseIpv6(commonName);
  } catch (error) {
    if (isFailure(error)) return undefined;
    throw error;
  }
}

/** That which is listed for a certificate without one. */
const addressOf = (facts: CertificateFacts, admission: PkiAdmission): Uint8Array | undefined =>
  facts.addresses.length > 0 ? undefined : admission.listedAddress(facts);
