import { join, sign } from '../../crypto/ecdaa.ts';
import { certifiedKey } from '../../crypto/endorsement-certificate.ts';
import { primitives } from '../../crypto/primitives.ts';
import { postPinned } from '../../os/net/https.ts';
import { equal, toHex } from '../../protocol/bytes.ts';
import type { Challenge, EndorsementPublic } from '../../protocol/crypto/endorsement.ts';
import { checkGroupPublicKey, groupId } from '../../protocol/crypto/group.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { deserializeFailure } from '../../protocol/failure-message.ts';
import type { Trust } from '../../protocol/identity/trust.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import type { Tpm } from '../../tpm/context.ts';
import {
  ENDORSEMENT_KINDS,
  openChallenge,
  readEndorsementCertificate,
  withEndorsementKey,
} from '../../tpm/endorsement.ts';
import type { MemberKey } from '../../tpm/member-key.ts';
import { findObject } from '../../tpm/objects.ts';
import type { Capabilities } from '../../tpm/probe.ts';
import type { Marks } from '../batch/record.ts';
import { type EndorsementCertificate, keyElsewhere } from '../device/endorsement.ts';
import {
  type Joining,
  makeMember,
  memberOf,
  mustSeal,
  type Placement,
  requireFit,
} from '../device/make-member.ts';
import { type Member, memberNameOf } from '../device/member.ts';
import {
  encodeMessage,
  type Fields,
  MAX_BODY,
  readFields,
  readRefusal,
  STEP,
  sealedRefused,
} from './messages.ts';

/** A board, and the station that makes a device of it. */
export interface BoardRequest {
  readonly tpm: Tpm;
  readonly capabilities: Capabilities;
  /** `https://host:port`. */
  readonly url: string;
  /** SHA-256 of the station's certificate, 64 hex digits. */
  readonly fingerprint: string;
  readonly token: string;
  readonly placement: Placement;
  readonly hierarchyAuth?: Uint8Array | undefined;
  /** A TPM that cannot do ECDAA may keep the secret sealed, if the station allows it, too. */
  readonly allowSealed?: boolean;
  readonly serial: Pick<Marks, 'serial' | 'serialFrom'>;
  /** The chip's endorsement certificate, where its NV memory has none. */
  readonly certificate?: EndorsementCertificate | undefined;
  readonly progress: (step: string) => void;
  /** Waits so many ms before it tries again; a test's own. */
  readonly pause?: (ms: number) => Promise<unknown>;
  /** Called before each message, for tests of what happens between. */
  readonly before?: (step: string) => Promise<void>;
}

/** What the station says of the device. */
export interface BoardDevice {
  readonly name: string;
  readonly gid: string;
  readonly member: string;
  readonly serial: string | undefined;
  /** When the device got its entry. */
  readonly time: string;
  readonly hierarchy: Member['map']['hierarchy'];
  /** False if the member's secret is sealed in the TPM. */
  readonly resident: boolean;
  /** True if it had its credential already. */
  readonly already: boolean;
}

const TIMEOUT_MS = 60_000;
/** What a station says to a board that may come again at once. */
const AGAIN: readonly string[] = ['factory.station-busy', 'factory.no-session'];
/** About five minutes: longer than a station keeps the place of a board that went away. */
const TRIES = 14;
const PAUSE_MS = { least: 1_000, most: 32_000 };

/**
 * Makes a board's TPM a member of the station's group: the key is made in the TPM, proved to the station, and the credential written and read back. It is
 * done when the station says that the device has its entry. May be repeated after a power cut at any point.
 * @throws Failure what the station refuses with; `net.unreachable`, `net.wrong-certificate`, those of `makeMember`
 */
export async function personaliseBoard(request: BoardRequest): Promise<BoardDevice> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt(request);
    } catch (error) {
      if (!isFailure(error) || !AGAIN.includes(error.code) || tries === TRIES) throw error;
      request.progress(`${error.message}: the board tries again by itself`);
      await (request.pause ?? sleep)(pauseBefore(tries));
    }
  }
}

async function attempt(request: BoardRequest): Promise<BoardDevice> {
  const { tpm, capabilities, serial, progress } = request;
  const station = connectTo(request);
  const { manufacturer: maker, firmware } = capabilities;
  // A token that is used up still opens the station to a board that has its credential.
  const member = await memberNameOf(tpm);
  const begun = await station(STEP.begin, { ...serial, tpm: maker, firmware, member }, true);
  const session = begun.needed('session', /^[0-9a-f]{32}$/);
  progress('connected to the station: it makes devices with this token');
  try {
    return await joinGroup(request, station, session, begun);
  } catch (error) {
    // What the station has said itself, it has noted itself.
    if (isFailure(error) && !SAID.has(error)) {
      const { code, message } = error;
      const text = message.replace(/\p{C}/gu, ' ').slice(0, 200);
      await station(STEP.failed, { session, code, message: text }).catch(() => {});
    }
    throw error;
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Some more each time, and not all boards at once. */
const pauseBefore = (tries: number): number =>
  Math.min(PAUSE_MS.most, PAUSE_MS.least * 2 ** (tries - 1)) * (0.5 + Math.random() / 2);

async function joinGroup(
  request: BoardRequest,
  station: Station,
  session: string,
  begun: Fields,
): Promise<BoardDevice> {
  const { tpm, progress } = request;
  const { group, trust, name } = readGroup(begun);
  const joining: Joining = { ...request, group, trust };
  requireFit(joining);
  if (mustSeal(joining.capabilities) && !begun.flag('allowSealed')) throw sealedRefused();
  const certificate = begun.flag('wantsCertificate') ? await findCertificate(request) : undefined;
  const admit = async (key: MemberKey, holds: boolean): Promise<Fields> => {
    const memberKey = await join(primitives, key.key, begun.bytes('nonce', 32), group.basename);
    const { publicArea } = key;
    const reply = await station(STEP.join, {
      session,
      publicArea,
      memberKey,
      holds,
      certificate: certificate?.der,
    });
    const seed = reply.optionalBytes('challengeSeed', 1_024);
    if (seed === undefined || certificate === undefined) return reply;
    const challenge = { seed, credential: reply.bytes('challengeCredential', 256) };
    const secret = await open(tpm, key.handle, certificate, challenge);
    progress('the key is proved to be inside this TPM');
    return station(STEP.prove, { session, secret });
  };
  const before = await memberOf(joining);
  let reply: Fields | undefined;
  const member =
    before ??
    (await makeMember(joining, async (key) => {
      reply = await admit(key, false);
      return { credential: reply.bytes('credential', 260), signature: reply.bytes('signature', 64) };
    }));
  reply ??= await admit(member.key, true);
  const signature = await sign(
    primitives,
    member.key.key,
    member.credential,
    reply.bytes('message', 32),
    member.basename,
  );
  const done = await station(STEP.done, { session, signature });
  return {
    name,
    gid: group.gid,
    member: done.needed('member', /^[0-9a-f]{64}$/),
    serial: done.text('serial', /^.{1,64}$/),
    time: done.needed('time', /^[\d:.TZ-]{20,30}$/),
    hierarchy: member.map.hierarchy,
    resident: member.key.resident,
    already: before !== undefined,
  };
}

/** @throws Failure `factory.bad-message`, `ecdaa.bad-group-key` */
function readGroup(begun: Fields): { group: Joining['group']; trust: Trust; name: string } {
  const [gpk, basename] = [begun.bytes('gpk', 258), begun.bytes('basename', 64)];
  checkGroupPublicKey(gpk);
  return {
    group: { gpk, basename, gid: toHex(groupId(primitives, gpk, basename)) },
    trust: { xttRoot: begun.bytes('xttRoot', 81), tlsRoot: begun.needed('tlsRoot', /^[ -~\n\r]{1,4096}$/) },
    name: begun.needed('name', /^.{1,60}$/u),
  };
}

async function findCertificate({
  tpm,
  certificate,
}: BoardRequest): Promise<EndorsementCertificate | undefined> {
  if (certificate !== undefined) return certificate;
  for (const kind of ENDORSEMENT_KINDS) {
    const der = await readEndorsementCertificate(tpm, kind);
    if (der !== undefined) return { kind, der };
  }
  return undefined;
}

/** @throws Failure `factory.key-elsewhere` if the TPM cannot open it */
async function open(
  tpm: Tpm,
  handle: number,
  { kind, der }: EndorsementCertificate,
  challenge: Challenge,
): Promise<Uint8Array> {
  const found = await findObject(tpm, handle);
  if (found === undefined) throw keyElsewhere();
  const certified = certifiedKey(der);
  const secret = await withEndorsementKey(tpm, kind, async (endorsementKey, publicKey) =>
    // Some TPMs end in failure mode when they are sent what was made for another chip.
    certified !== undefined && sameKey(certified, publicKey)
      ? openChallenge(tpm, found.object, endorsementKey, challenge)
      : undefined,
  );
  if (secret === undefined) throw keyElsewhere();
  return secret;
}

function sameKey(a: EndorsementPublic, b: EndorsementPublic): boolean {
  if (a.kind === 'rsa') return b.kind === 'rsa' && equal(a.modulus, b.modulus) && a.exponent === b.exponent;
  return b.kind === 'ecc' && equal(a.point, b.point);
}

/** Sends one message and gives the answer. */
type Station = (
  step: string,
  message: Parameters<typeof encodeMessage>[0],
  withToken?: boolean,
) => Promise<Fields>;

const SAID = new WeakSet<Error>();

function connectTo({ url, fingerprint, token, before }: BoardRequest): Station {
  return async (step, message, withToken = false) => {
    await before?.(step);
    const { status, body } = await postPinned({
      ...{ url, fingerprint, path: step, body: encodeMessage(message) },
      ...{ timeoutMs: TIMEOUT_MS, answerBytes: MAX_BODY },
      authorization: withToken ? `Bearer ${token}` : undefined,
    });
    if (status === 200) return readFields(encodeUtf8(body));
    const refusal = readRefusal(body);
    const failure =
      refusal === undefined
        ? new Failure(
            'factory.bad-message',
            'operator',
            `the station answers ${status} and nothing that is understood`,
            {
              action: 'Check that --station names a station of enf-factory.',
            },
          )
        : deserializeFailure(refusal);
    SAID.add(failure);
    throw failure;
  };
}
