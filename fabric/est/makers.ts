import { judgeCertificate, readCertificate } from '../../crypto/certificates.ts';
import { concat, equal } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import type { EnrollingCa, Issuing, MakerCertificate } from '../registry/issuing.ts';
import type { ShownProof } from './messages.ts';

/** Certificates of makers, by which machines enrol without a code. */

type Shown = Extract<ShownProof, { readonly maker: Uint8Array }>;

/**
 * Judges certificates by the CAs of one owner that enrol machines, one at a time: libuv has four threads, which others need, too.
 * `now`: milliseconds since 1970. The judge fails with Failure `pki.bad-code`, `pki.not-vouched`, and as `Issuing.enrolling`.
 */
export function makerJudge(
  registry: Issuing,
  now: () => number,
): (shown: Shown, issuer?: number) => Promise<MakerCertificate> {
  let turn: Promise<unknown> = Promise.resolve();
  return async (shown, issuer) => {
    const cas = registry.enrolling(issuer);
    if (cas.length === 0) throw noCode();
    const judged = turn.then(() => judge(shown, cas, Math.floor(now() / 1_000)));
    turn = judged.catch(() => {});
    return judged;
  };
}

async function judge(
  { maker, chain }: Shown,
  cas: readonly EnrollingCa[],
  seconds: number,
): Promise<MakerCertificate> {
  const facts = readCertificate(maker);
  if (facts === undefined) throw notVouched('it cannot be read');
  const issuers = [maker, ...chain].flatMap((each) => readCertificate(each)?.issuerHash ?? []);
  let why = 'no CA whose machines may enrol has issued it';
  for (const { anchor, certificate, others } of cas.filter((ca) => mayVouch(ca, issuers))) {
    const { refused, names } = await judgeCertificate(maker, concat(...chain, others), certificate, seconds);
    if (refused === undefined) return { anchor, names, facts };
    why = refused;
  }
  throw notVouched(why);
}

/** Nothing is verified for a stranger who does not even name the CA, or may have one of its intermediates above. */
function mayVouch({ certificate, others }: EnrollingCa, issuers: readonly Uint8Array[]): boolean {
  const subject = readCertificate(certificate)?.subjectHash;
  return others.length > 0 || issuers.some((issuer) => subject !== undefined && equal(issuer, subject));
}

const notVouched = (why: string): Failure =>
  new Failure('pki.not-vouched', 'operator', `the certificate that was shown enrols nobody: ${why}`, {
    action:
      'Show one of a CA that the owner has added and lets enrol ("enf-fabric pki enrols"), or send a code of "enf-fabric code add".',
  });

export const noCode = (): Failure =>
  new Failure('pki.bad-code', 'operator', 'the request carries no code', {
    action: 'Send a code of "enf-fabric code add" as the password of HTTP Basic, with any user name.',
  });
