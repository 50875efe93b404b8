import { fromHex } from '../../protocol/bytes.ts';
import { certificateRequest, namesIn, namesOf } from '../../protocol/identity/certificate-request.ts';
import { type Prefix, parseIpv6 } from '../../protocol/ipv6.ts';
import type { Enrolment, SavedCertificate, SavedKey, Store } from '../state/state.ts';
import type { CertificateKeys } from './certificate-keys.ts';
import type { EstClient, Proof } from './est.ts';
import { judgeIssued, savedChain } from './issued.ts';
import { isUnloadable, type LongtermKey } from './key-store.ts';

export interface Enrolling {
  readonly est: EstClient;
  readonly keys: CertificateKeys;
  readonly store: Store;
  /** Prefixes of the machine's own links: no identity may lie inside. */
  readonly links: () => readonly Prefix[];
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
}

/**
 * The first certificate, for a new key. Whatever cuts it short, the next call goes on with the same key, which is durable before its first use: to that
 * the server gives its certificate again. `name`: how the machine calls itself; `address`: the one to ask for, if any (RFC 5952 text, or empty).
 * @throws Failure of the keys, the state, the network and `est.…`; `agent.unusable-identity`
 */
export function enrollFirst(
  work: Enrolling,
  code: string,
  { name, address }: { readonly name: string; readonly address: string },
): Promise<SavedCertificate> {
  const names = namesOf(name, address === '' ? undefined : parseIpv6(address));
  const proof = { code };
  return obtain(work, { proof, names, address, like: undefined }, (current) => ({ current }));
}

/**
 * The next certificate, for another key at the same address, got with the present one. That stays in the state as the former one.
 * @throws as `enrollFirst`
 */
export function enrollAgain(
  work: Enrolling,
  present: SavedCertificate,
  proof: Extract<Proof, { present: unknown }>,
): Promise<SavedCertificate> {
  const names = namesIn(fromHex(present.chain[0]!));
  if (names === undefined) throw new Error('a certificate that was kept is none');
  const { address, key: like } = present;
  return obtain(work, { proof, names, address, like }, (current) => ({ current, former: present }));
}

interface Wanted {
  readonly proof: Proof;
  readonly names: NonNullable<ReturnType<typeof namesIn>>;
  readonly address: string;
  /** A key that is where the new one is to be, unless the configuration says otherwise. */
  readonly like: SavedKey | undefined;
}

async function obtain(
  work: Enrolling,
  { proof, names, address, like }: Wanted,
  kept: (certificate: SavedCertificate) => Enrolment,
): Promise<SavedCertificate> {
  const { est, store } = work;
  const { saved, key } = await pendingKey(work, like);
  try {
    const request = await certificateRequest(names, key.publicKey, key.sign);
    const cas = await est.cacerts(proof);
    const issued = await judgeIssued(await est.certify(request, proof), cas, {
      ...{ publicKey: key.publicKey, address },
      ...{ nowMs: work.nowMs(), links: work.links() },
    });
    const certificate = { address: issued.address, chain: savedChain(issued), key: saved };
    await store.update((record) => ({ ...record, enrolment: kept(certificate) }));
    return certificate;
  } finally {
    await key.close();
  }
}

/** The key of an interrupted enrolment if it loads, and is where it should be; else a new one. Durable in both cases. */
async function pendingKey(
  { keys, store }: Enrolling,
  like: SavedKey | undefined,
): Promise<{ saved: SavedKey; key: LongtermKey }> {
  const pending = store.record.enrolment?.pending;
  if (pending !== undefined && keys.isWanted(pending)) {
    try {
      return { saved: pending, key: await keys.load(pending) };
    } catch (error) {
      if (!isUnloadable(error)) throw error;
    }
  }
  const saved = await keys.create(like);
  await store.update((record) => ({ ...record, enrolment: { ...record.enrolment, pending: saved } }));
  return { saved, key: await keys.load(saved) };
}
