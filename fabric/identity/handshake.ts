import type { TokenBuckets } from '../../os/service/token-buckets.ts';
import { toHex } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import type { OpenedClaim, StatelessServer } from '../../protocol/xtt/stateless.ts';
import type { Applicant, Group, Handshake } from '../registry/records.ts';
import type { Verifiers } from './verifiers.ts';

/** What handshakes need of the registry, which may be in another process. */
export interface HandshakeRegistry {
  /** The group if its devices may provision. @throws Failure `fabric.group-not-admitted`, `fabric.group-suspended` */
  openGroup(gid: Uint8Array): Group | Promise<Group>;
  /**
   * Admits a verified chip; resolves to its 16-byte address after the commit. `waitedMs`: since its message came, for the metrics.
   * @throws Failure see `admitDevice`
   */
  admit(applicant: Applicant, waitedMs: number): Promise<Uint8Array>;
  /** Appends a refused handshake to the history; `unlisted` more like it are only counted. */
  refused(handshake: Omit<Handshake, 'at'>, unlisted?: number): Promise<void>;
}

/** What all handshakes share. */
export interface HandshakeContext {
  readonly server: StatelessServer;
  readonly verifiers: Verifiers;
  readonly registry: HandshakeRegistry;
  /** How often each chip may provision, by its pseudonym in hex. */
  readonly chips: TokenBuckets;
  readonly now: () => number;
}

/** What is known of a handshake, for the history; its steps fill it in. */
export type HandshakeRecord = { -readonly [K in keyof Omit<Handshake, 'at' | 'result'>]: Handshake[K] };

/**
 * Answers an Identity_ClientAttest that came at `arrivedMs` (of `performance.now()`): Identity_ServerFinished, 103 bytes, and the 16-byte
 * address in it; the assignment is on the disk by then. @throws Failure of any step
 */
export async function answerClientAttest(
  context: HandshakeContext,
  attest: Uint8Array,
  record: HandshakeRecord,
  arrivedMs: number,
): Promise<{ finished: Uint8Array; address: Uint8Array }> {
  const claim = context.server.open(context.now(), attest);
  try {
    return await grant(context, claim, record, arrivedMs);
  } finally {
    claim.forget();
  }
}

async function grant(
  context: HandshakeContext,
  claim: OpenedClaim,
  record: HandshakeRecord,
  arrivedMs: number,
): Promise<{ finished: Uint8Array; address: Uint8Array }> {
  record.gid = claim.gid;
  record.pseudonym = claim.pseudonym;
  // The beginning of a point's x: nobody makes a chip whose begins as another's.
  const chip = toHex(claim.pseudonym.subarray(1, 17));
  // Nobody else can use up what a chip has, so its claim is believed here: verifying it costs the most.
  if (context.chips.wait(chip) > 0) throw tooOften();
  const group = await context.registry.openGroup(claim.gid);
  if (!(await context.verifiers.verify(group, claim.daaSignature, claim.daaMessage))) {
    throw new Failure('xtt.bad-group-signature', 'retry', 'no member of the group made the DAA signature', {
      action: 'Check that the device was personalised for this group and signs with its basename.',
    });
  }
  record.proven = true;
  // Others of this chip may have been verified meanwhile.
  if (context.chips.take(chip) > 0) throw tooOften();
  const applicant = {
    gid: claim.gid,
    pseudonym: claim.pseudonym,
    longtermKey: claim.longtermPublicKey,
    requested: claim.requestedIdentity,
    source: record.source,
    suite: claim.suite,
  };
  const address = await context.registry.admit(applicant, performance.now() - arrivedMs);
  record.address = address;
  return { finished: claim.assign(address), address };
}

function tooOften(): Failure {
  return new Failure('fabric.provisions-too-often', 'retry', 'the chip provisions again and again', {
    action: 'Find out why the device does not use the identity that it gets.',
  });
}
