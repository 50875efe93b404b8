import { type SmallAnswer, type SmallRequest, serveHttps } from '../../os/net/https.ts';
import type { ListenAddress } from '../../os/net/listen.ts';
import { repeats } from '../../os/service/repeats.ts';
import { Failure } from '../../protocol/failure.ts';
import { serializeFailure } from '../../protocol/failure-message.ts';
import type { Trust } from '../../protocol/identity/trust.ts';
import type { Group } from '../group/group.ts';
import type { BoardFacts, Enrolment, Reply } from './enrolment.ts';
import type { StationIdentity } from './identity.ts';
import { encodeMessage, type Fields, MAX_BODY, readFields, STEP } from './messages.ts';
import { checkToken } from './token.ts';

/** What a station says while it serves: its log, or JSON. */
export type StationEvent =
  | {
      readonly event: 'board';
      readonly source: string;
      readonly serial: string | undefined;
      readonly open: number;
    }
  | {
      readonly event: 'pass';
      readonly source: string;
      readonly member: string | undefined;
      readonly serial: string | undefined;
    }
  | {
      readonly event: 'refused';
      readonly source: string;
      readonly code: string;
      readonly message: string;
      /** How many more of this address were left out before it. */
      readonly more: number;
    }
  /** A mistake in the station itself. */
  | { readonly event: 'error'; readonly source: string; readonly message: string };

export interface Serving {
  readonly enrolment: Enrolment;
  readonly group: Group;
  readonly trust: Trust;
  readonly identity: StationIdentity;
  readonly address: ListenAddress;
  /** True if boards shall show their endorsement certificates. */
  readonly wantsCertificate: boolean;
  /** Told to boards: see EnrolmentOptions. */
  readonly allowSealed?: boolean | undefined;
  /** Boards at a time; all may be behind one address. */
  readonly boards: number;
  readonly emit: (event: StationEvent) => void;
  readonly now: () => Date;
}

/** Of what an outsider can cause: events of one address, addresses, in a minute. */
const TOLD = { each: 10, subjects: 100, periodMs: 60_000 };
const REQUEST_MS = 20_000;
/** A board has one connection at a time; those that are closing count, too. */
const CONNECTIONS_PER_BOARD = 4;

/** Serves boards until it is closed. @throws Failure those of `listen` */
export async function serveBoards(
  serving: Serving,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const { identity, address, boards, emit } = serving;
  const refused = repeats<{ source: string; code: string; message: string }>(
    (refusal, more) => emit({ event: 'refused', ...refusal, more }),
    TOLD,
  );
  const server = await serveHttps({
    what: 'the station',
    key: identity.key,
    certificate: identity.certificate,
    address,
    connections: boards * CONNECTIONS_PER_BOARD,
    bodyBytes: MAX_BODY,
    requestMs: REQUEST_MS,
    async handle(request) {
      try {
        return { status: 200, body: await answer(serving, request) };
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        const { code, message } = error;
        refused.add(request.source, { source: request.source, code, message });
        return refusal(error);
      }
    },
    onError: (error, source) => emit({ event: 'error', source, message: String(error) }),
  });
  return {
    port: server.port,
    async close() {
      await server.close();
      refused.close();
    },
  };
}

const STEPS: ReadonlySet<string> = new Set(Object.values(STEP));

async function answer(serving: Serving, request: SmallRequest): Promise<string> {
  const { enrolment, emit } = serving;
  if (request.method !== 'POST' || !STEPS.has(request.path)) throw noSuchStep();
  if (request.path === STEP.begin) return begin(serving, request);
  const fields = await fieldsOf(request);
  const session = (): string => fields.needed('session', /^[0-9a-f]{32}$/);
  switch (request.path) {
    case STEP.join:
      return encodeReply(
        await enrolment.join(session(), {
          publicArea: fields.bytes('publicArea', 256),
          memberKey: fields.bytes('memberKey', 256),
          holds: fields.flag('holds'),
          certificate: fields.optionalBytes('certificate', 8_192),
        }),
      );
    case STEP.prove:
      return encodeReply(await enrolment.prove(session(), fields.bytes('secret', 64)));
    case STEP.done: {
      const { member, serial, time } = await enrolment.done(session(), fields.bytes('signature', 512));
      emit({ event: 'pass', source: request.source, member, serial });
      return encodeMessage({ member, serial, time });
    }
    case STEP.failed:
      await enrolment.failed(
        session(),
        fields.needed('code', /^[a-z0-9-]{1,30}\.[a-z0-9-]{1,40}$/),
        fields.needed('message', /^[^\p{C}]{0,400}$/u),
      );
      return '{}';
    default:
      throw noSuchStep();
  }
}

/** @throws Failure `factory.message-too-large`, `factory.bad-message` */
async function fieldsOf(request: SmallRequest): Promise<Fields> {
  const body = await request.body();
  if (body !== undefined) return readFields(body);
  throw new Failure('factory.message-too-large', 'operator', `a message has at most ${MAX_BODY} bytes`, {
    action: 'Use the same version of enf-factory at the station and on the board.',
  });
}

/** Who has no token is told so before it has sent a message. */
async function begin(serving: Serving, request: SmallRequest): Promise<string> {
  const { enrolment, group, trust, wantsCertificate, allowSealed, emit, now } = serving;
  const token = await checkToken(
    group,
    /^Bearer (\S{1,200})$/.exec(request.authorization ?? '')?.[1] ?? '',
    now(),
  );
  const fields = await fieldsOf(request);
  const facts: BoardFacts = {
    serial: fields.text('serial', /^.{1,64}$/),
    serialFrom: fields.text('serialFrom', /^(typed|scanned|dmi|board)$/) as BoardFacts['serialFrom'],
    tpm: fields.text('tpm', /^[ -~]{0,8}$/),
    firmware: fields.text('firmware', /^[\d.]{1,24}$/),
  };
  const member = fields.text('member', /^[0-9a-f]{64}$/);
  const { session, nonce } = await enrolment.begin({ token, facts, source: request.source, member });
  emit({ event: 'board', source: request.source, serial: facts.serial, open: enrolment.open });
  const { gpk, basename, name } = group;
  const { xttRoot, tlsRoot } = trust;
  return encodeMessage({
    ...{ session, nonce, gpk, basename, name, xttRoot, tlsRoot },
    ...{ wantsCertificate, allowSealed },
  });
}

const encodeReply = (reply: Reply): string =>
  'challenge' in reply
    ? encodeMessage({ challengeCredential: reply.challenge.credential, challengeSeed: reply.challenge.seed })
    : encodeMessage({ ...reply });

function statusOf({ code, remedy }: Failure): number {
  if (code.startsWith('factory.token-')) return 401;
  if (code === 'factory.message-too-large') return 413;
  return remedy === 'retry' ? 503 : 409;
}

const refusal = (failure: Failure): SmallAnswer => ({
  status: statusOf(failure),
  body: JSON.stringify({ error: serializeFailure(failure) }),
});

function noSuchStep(): Failure {
  return new Failure(
    'factory.bad-message',
    'operator',
    'what came over the network is malformed: no such step',
    {
      action: 'Use the same version of enf-factory at the station and on the board.',
    },
  );
}
