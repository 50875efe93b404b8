import { checkMemberKey, groupVerifier } from '../../crypto/ecdaa.ts';
import { certifiedKey, judgeEndorsementCertificate } from '../../crypto/endorsement-certificate.ts';
import { makeCredential } from '../../crypto/make-credential.ts';
import { primitives } from '../../crypto/primitives.ts';
import { secretsEqual } from '../../crypto/secrets.ts';
import { equal, toHex, wipe } from '../../protocol/bytes.ts';
import { G1_LENGTH } from '../../protocol/crypto/encoding.ts';
import type { Challenge } from '../../protocol/crypto/endorsement.ts';
import { memberPseudonym } from '../../protocol/crypto/member.ts';
import { LINKED_SIGNATURE_LENGTH, pseudonymOf } from '../../protocol/crypto/verifier.ts';
import { Failure } from '../../protocol/failure.ts';
import type { Trust } from '../../protocol/identity/trust.ts';
import { nameOf } from '../../tpm/endorsement.ts';
import { checkPublicArea } from '../../tpm/public-area.ts';
import { isSealedSecret } from '../../tpm/sealed-secret.ts';
import { withJournal } from '../batch/journal.ts';
import type { Marks, Operator } from '../batch/record.ts';
import { checkSerial, type EndorsementState, type Facts, hasCredential, type Row } from '../batch/row.ts';
import {
  type EndorsementPolicy,
  endorsementHash,
  keyElsewhere,
  requireVerified,
} from '../device/endorsement.ts';
import type { Group } from '../group/group.ts';
import { issueFor, NONCE_LENGTH, requireIssuer } from '../group/join.ts';
import { memberName } from '../group/names.ts';
import { sealedRefused } from './messages.ts';
import { type Held, openSessions } from './sessions.ts';
import { leftOf, requireLeft, requireListed, type Token } from './token.ts';

/** What a station makes devices of. */
export interface EnrolmentOptions {
  readonly group: Group;
  readonly trust: Trust;
  /** 64 bytes; the owner wipes them. */
  readonly issuerSecret: Uint8Array;
  readonly endorsement: EndorsementPolicy;
  readonly operator: Operator;
  /** Notes the hash of a proved endorsement key. */
  readonly recordEk: boolean;
  /** Boards whose TPM cannot do ECDAA may keep the member's secret sealed in it. */
  readonly allowSealed?: boolean | undefined;
  /** Boards at a time. */
  readonly boards: number;
  readonly now: () => Date;
}

/** What a board says of itself. */
export interface BoardFacts {
  readonly serial: string | undefined;
  readonly serialFrom: Marks['serialFrom'];
  readonly tpm: string | undefined;
  readonly firmware: string | undefined;
}

/** A board that begins. */
export interface Beginning {
  readonly token: Token;
  readonly facts: BoardFacts;
  /** The board's address. */
  readonly source: string;
  /** The key of ours that its TPM holds already, as the board says: 64 hex digits. */
  readonly member?: string | undefined;
}

/** A key that a board has made in its TPM, or whose secret is sealed in it. */
export interface BoardKey {
  /** TPMT_PUBLIC of the key or of the sealed secret. */
  readonly publicArea: Uint8Array;
  /** With the pseudonym under the group's basename, 226 bytes. */
  readonly memberKey: Uint8Array;
  /** The board holds a credential of the group for the key, and needs none. */
  readonly holds: boolean;
  /** The chip's endorsement certificate, DER. */
  readonly certificate: Uint8Array | undefined;
}

/** What a board gets for its key: first perhaps a challenge, then what it has to sign, with the credential unless it holds one. */
export type Reply =
  | { readonly challenge: Challenge }
  | {
      readonly message: Uint8Array;
      readonly credential?: Uint8Array | undefined;
      readonly signature?: Uint8Array | undefined;
    };

/**
 * Where boards become devices, whatever brings their messages: the station of a batch. It issues a credential only for a key that the board proved
 * to hold, charges it to the board's token before it leaves, and says that the board is a device only when its entry is on the disk.
 */
export interface Enrolment {
  /**
   * A new session, and the nonce for the proof of its key. A token that is used up opens none, unless the board says that it has its credential.
   * @throws Failure `factory.station-busy`, `factory.bad-serial`, `factory.token-used`, `factory.batch-closed`
   */
  begin(board: Beginning): Promise<{ readonly session: string; readonly nonce: Uint8Array }>;
  /** @throws Failure `factory.no-session`, `tpm.bad-public-area`, `factory.sealed-refused`, `ecdaa.bad-member-key`, those of `issue` */
  join(session: string, key: BoardKey): Promise<Reply>;
  /** @throws Failure `factory.no-session`, `factory.key-elsewhere`, those of `issue` */
  prove(session: string, secret: Uint8Array): Promise<Reply>;
  /** @throws Failure `factory.no-session`, `factory.board-not-proved`, those of `Journal.record` */
  done(session: string, signature: Uint8Array): Promise<Row>;
  /** The board says why it did not become a device. */
  failed(session: string, code: string, message: string): Promise<void>;
  /** Boards at work. */
  readonly open: number;
}

interface Session extends Held {
  readonly facts: BoardFacts;
  readonly nonce: Uint8Array;
  charged: boolean;
  key?: BoardKey;
  member?: string;
  ek?: EndorsementState;
  ekHash?: string;
  /** What the challenge holds; wiped once it is answered. */
  secret?: Uint8Array | undefined;
  /** What the board has to sign, once it has a credential. */
  message?: Uint8Array;
}

const SESSION_LENGTH = 16;
const SECRET_LENGTH = 32;
const MESSAGE_LENGTH = 32;
/** A slow chip makes its keys within a minute, and opens a challenge within seconds. */
const KEY_MS = 120_000;
/** For a board that has its credential: it is charged for it. */
const SESSION_MS = 600_000;
/** Entries of failures that a token may cause for each of its boards, and some more. */
const FAILURES = { perBoard: 4, more: 16 };

/** @throws Failure `factory.key-mismatch` */
export function openEnrolment(options: EnrolmentOptions): Enrolment {
  const { group, issuerSecret, endorsement, operator, recordEk, allowSealed = false, boards, now } = options;
  const time = (): number => now().getTime();
  requireIssuer(group, issuerSecret);
  /** What all its verifications share is prepared once. */
  const verifier = groupVerifier(primitives, group.gpk, group.basename);
  const sessions = openSessions<Session>(boards, time, ({ secret }) => secret && wipe(secret));
  /** Entries of failures by token, since the start. */
  const failures = new Map<string, number>();

  /** Makes the entry of a failure; a board that fails again and again fills no disk: the log has it all the same. */
  async function recordFailure(session: Session, failure: string, message: string): Promise<void> {
    const { id, count } = session.token;
    const noted = failures.get(id) ?? 0;
    if (noted >= count * FAILURES.perBoard + FAILURES.more) return;
    failures.set(id, noted + 1);
    await record(session, { result: 'fail', failure, message });
  }

  const record = (session: Session, facts: Partial<Facts> & Pick<Facts, 'result'>): Promise<Row> =>
    withJournal(group, (journal) => journal.record(factsOf(session, facts)));

  const factsOf = (session: Session, facts: Partial<Facts> & Pick<Facts, 'result'>): Facts => ({
    ...operator,
    ...session.facts,
    member: session.member,
    ek: session.ek,
    ekHash: session.ekHash,
    resident: session.key && !isSealedSecret(session.key.publicArea),
    pseudonym: session.key && toHex(memberPseudonym(session.key.memberKey)),
    ...facts,
  });

  function sessionOf(id: string): Session {
    const session = sessions.get(id);
    if (session !== undefined) return session;
    throw new Failure('factory.no-session', 'retry', 'the station does not know this board any more', {
      action: 'Run the command on the board again: it goes on where it was.',
    });
  }

  /** What a board did is over; a failure has its entry. */
  async function ending<T>(id: string, session: Session, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      sessions.remove(id);
      if (error instanceof Failure && !UNRECORDED.includes(error.code))
        await recordFailure(session, error.code, error.message);
      throw error;
    }
  }

  /** Judges the certificate of a board's chip; a challenge if it holds. @throws Failure `factory.ek-absent`, `factory.ek-untrusted` */
  function challengeFor(session: Session, key: BoardKey): Challenge | undefined {
    const { authorities, required } = endorsement;
    const { certificate, publicArea } = key;
    const refused = (state: EndorsementState, text: string): undefined => {
      session.ek = state;
      if (required) requireVerified({ state, text });
    };
    if (certificate === undefined) return refused('absent', 'the board shows no endorsement certificate');
    if (authorities.length === 0) return refused('untrusted', "no folder of makers' certificates was given");
    const endorsementKey = certifiedKey(certificate);
    if (endorsementKey === undefined)
      return refused('untrusted', 'its certificate is none for an endorsement key');
    const judgement = judgeEndorsementCertificate(certificate, endorsementKey, authorities, now());
    if (!judgement.trusted)
      return refused('untrusted', `its endorsement certificate is not trusted: ${judgement.why}`);
    session.secret = primitives.random(SECRET_LENGTH);
    return makeCredential(endorsementKey, nameOf(publicArea, primitives.sha256), session.secret);
  }

  /**
   * Gives a credential for a key, charged to the token and with its entry on the disk before; a board that comes again is charged once, and one that
   * says that it holds a credential is charged, too, if the journal does not know of it.
   * That it works is seen when the board signs with it.
   * @throws Failure `factory.token-used`, `factory.token-expired`, `factory.batch-closed`, those of `Journal.record`
   */
  async function issue(session: Session): Promise<Reply> {
    const { key, token } = session;
    await requireListed(group, token.id, now());
    const issued = await withJournal(group, async (journal) => {
      const before = await journal.find({ member: session.member! });
      const known = before !== undefined && hasCredential(before);
      if (!known) requireLeft(token, journal.tally.tokens);
      journal.requireOpen();
      const made = key!.holds ? undefined : issueFor(issuerSecret, key!.memberKey);
      await journal.record(factsOf(session, { result: 'issued', ...(known ? {} : { token: token.id }) }));
      return made;
    });
    session.charged = true;
    session.until = time() + SESSION_MS;
    session.message = primitives.random(MESSAGE_LENGTH);
    return { message: session.message, credential: issued?.credential, signature: issued?.signature };
  }

  return {
    get open() {
      return sessions.size;
    },
    async begin({ token, facts, source, member }) {
      if (facts.serial !== undefined) checkSerial(facts.serial);
      const { left, returning } = await withJournal(group, async (journal) => {
        journal.requireOpen();
        const before = member === undefined ? undefined : await journal.find({ member });
        const known = before !== undefined && hasCredential(before);
        if (!known) requireLeft(token, journal.tally.tokens);
        return { left: leftOf(token, journal.tally.tokens), returning: known ? member : undefined };
      });
      const [id, nonce] = [toHex(primitives.random(SESSION_LENGTH)), primitives.random(NONCE_LENGTH)];
      const until = time() + KEY_MS;
      sessions.add(id, { token, facts, source, returning, nonce, until, charged: false }, left);
      return { session: id, nonce };
    },
    async join(id, key) {
      const session = sessionOf(id);
      return ending(id, session, async () => {
        if (session.key !== undefined) throw outOfTurn();
        const sealed = isSealedSecret(key.publicArea);
        if (sealed && !allowSealed) throw sealedRefused();
        const inTpm = sealed ? undefined : checkPublicArea(key.publicArea);
        checkMemberKey(primitives, key.memberKey, session.nonce, group.basename);
        const point = key.memberKey.slice(0, G1_LENGTH);
        // Only the key that is shown to be in the TPM; a sealed secret does not show whose it is.
        if (inTpm !== undefined && !equal(inTpm, point)) throw keyElsewhere();
        session.key = key;
        session.member = memberName(point);
        sessions.removeOthers(id, session.member);
        const challenge = challengeFor(session, key);
        session.until = time() + KEY_MS;
        return challenge === undefined ? await issue(session) : { challenge };
      });
    },
    async prove(id, answer) {
      const session = sessionOf(id);
      return ending(id, session, async () => {
        const { secret } = session;
        if (secret === undefined) throw outOfTurn();
        session.secret = undefined;
        const same = secretsEqual(answer, secret);
        wipe(secret);
        if (!same) throw keyElsewhere();
        session.ek = 'verified';
        if (recordEk) session.ekHash = endorsementHash(certifiedKey(session.key!.certificate!)!);
        return issue(session);
      });
    },
    async done(id, signature) {
      const session = sessionOf(id);
      return ending(id, session, async () => {
        const { message, key } = session;
        if (message === undefined || key === undefined) throw outOfTurn();
        const good =
          signature.length === LINKED_SIGNATURE_LENGTH &&
          equal(pseudonymOf(signature), memberPseudonym(key.memberKey)) &&
          (await verifier.verify(signature, message));
        if (!good) throw notProved();
        const row = await record(session, { result: 'pass' });
        sessions.remove(id);
        return row;
      });
    },
    async failed(id, code, message) {
      const session = sessionOf(id);
      sessions.remove(id);
      await recordFailure(session, code, message);
    },
  };
}

/** Nothing that concerns the board alone. */
const UNRECORDED: readonly string[] = [
  'factory.batch-closed',
  'factory.batch-busy',
  'os.disk-full',
  'os.write-failed',
];

function outOfTurn(): Failure {
  return new Failure('factory.out-of-turn', 'operator', 'the board sent a message that is not the next one', {
    action: 'Run the command on the board again.',
  });
}

function notProved(): Failure {
  return new Failure(
    'factory.board-not-proved',
    'operator',
    'the board did not sign with its credential: it is no device of this group',
    { action: 'Do not ship this board: its TPM is defective, or something else answers in its place.' },
  );
}
