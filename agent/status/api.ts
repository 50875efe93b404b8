import { type Question, type Received, TextAnswer } from '../../os/net/control-socket.ts';
import { isFailure } from '../../protocol/failure.ts';
import { type SerializedFailure, serializeFailure } from '../../protocol/failure-message.ts';
import type { CertificateView } from '../identity/session.ts';
import type { Counters } from '../tunnel/session.ts';
import type { DepartureEnd, HandshakeEnd } from './facts.ts';
import { renderMetrics } from './metrics.ts';
import type { Status } from './status.ts';

/** What the API needs of the running agent. */
export interface Agent {
  status(): Status;
  /** Of the data plane; undefined before the first tunnel. */
  counters(): Counters | undefined;
  residentBytes(): number;
  /** Runs the handshake again; false if that is not possible now. */
  renew(): boolean;
  /** How the next handshake ends; undefined if the agent stops before. */
  handshakeEnd?(): Promise<HandshakeEnd | undefined>;
  /** Takes the device out of service, with the fabric or without; false if that is not possible now. */
  decommission(offline: boolean): boolean;
  /** How that ends, if it is under way or begins next; undefined if the agent stops before. */
  departureEnd(): Promise<DepartureEnd | undefined>;
  /** Gets a certificate and connects with it. @throws Failure as `Effects.enroll` */
  enroll(order: EnrollOrder): Promise<CertificateView>;
  /** A command has enrolled the device in the state folder: opens that at once, and connects. */
  enrolled(): void;
}

/** The body of `POST /v1/enroll`. */
export interface EnrollOrder {
  /** The one-time code. */
  readonly code: string;
  /** Also if there is a certificate already. */
  readonly again: boolean;
}

/** The answer to that. */
export type Enrolled = { readonly certificate: CertificateView } | { readonly failure: SerializedFailure };

/** The answer to a request for something that takes a while. */
export interface Begun<End> {
  readonly accepted: boolean;
  readonly situation: Status['situation'];
  /** If it was waited for: how it has ended, null if it has not in that time. */
  readonly end?: End | null;
}

/** The answer to `POST /v1/provision`. */
export type Renewal = Begun<HandshakeEnd>;

/** The answer to `POST /v1/decommission`. */
export type Leave = Begun<DepartureEnd>;

/** A request; one without a body has nothing to be read. */
type Asked = Question & Partial<Pick<Received, 'json'>>;

interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  answer(agent: Agent, question: Asked): unknown;
}

const METRICS: Route = {
  method: 'GET',
  path: '/metrics',
  answer: (agent) =>
    new TextAnswer(
      'text/plain; version=0.0.4; charset=utf-8',
      renderMetrics(agent.status(), agent.counters(), agent.residentBytes()),
    ),
};

/** Everything the control socket answers; docs/api.md describes it. */
export const ROUTES: readonly Route[] = [
  { method: 'GET', path: '/v1/status', answer: (agent) => agent.status() },
  {
    method: 'POST',
    path: '/v1/provision',
    answer: (agent, question) =>
      begun(
        agent,
        question,
        () => agent.handshakeEnd?.(),
        () => agent.renew(),
      ),
  },
  {
    method: 'POST',
    path: '/v1/decommission',
    answer: (agent, question) =>
      begun(
        agent,
        question,
        () => agent.departureEnd(),
        () => agent.decommission(question.query?.get('offline') === '1'),
      ),
  },
  { method: 'POST', path: '/v1/enroll', answer: enroll },
  {
    method: 'POST',
    path: '/v1/enrolled',
    answer: (agent) => {
      agent.enrolled();
      return { situation: agent.status().situation };
    },
  },
  METRICS,
];

async function enroll(agent: Agent, question: Asked): Promise<Enrolled> {
  try {
    const { code, again } = ((await question.json?.()) ?? {}) as Partial<Record<keyof EnrollOrder, unknown>>;
    const order = { code: typeof code === 'string' ? code : '', again: again === true };
    return { certificate: await agent.enroll(order) };
  } catch (error) {
    if (!isFailure(error)) throw error;
    return { failure: serializeFailure(error) };
  }
}

/** The answer to a question on the control socket; undefined: no such path. */
export function answerApi(question: Asked, agent: Agent): unknown {
  const { method, path } = question;
  return ROUTES.find((route) => route.method === method && route.path === path)?.answer(agent, question);
}

/** Longest wait for an end, in seconds. */
export const LONGEST_WAIT_S = 3_600;

/** With `?wait=SECONDS` it is answered when what was begun has ended, or the time is up, or nobody waits any more. */
function begun<End>(
  agent: Agent,
  { query, signal }: Question,
  endOf: () => Promise<End | undefined> | undefined,
  begin: () => boolean,
): Begun<End> | Promise<Begun<End>> {
  const seconds = Math.min(LONGEST_WAIT_S, Number(query?.get('wait') ?? 0));
  // The question comes before it begins: its end cannot be missed.
  const end = seconds > 0 ? endOf() : undefined;
  const accepted = begin();
  const { situation } = agent.status();
  if (!accepted || end === undefined) return { accepted, situation };
  return ended(end, seconds, signal).then((found) => ({
    accepted,
    situation: agent.status().situation,
    end: found ?? null,
  }));
}

async function ended<End>(
  end: Promise<End | undefined>,
  seconds: number,
  signal: AbortSignal | undefined,
): Promise<End | undefined> {
  let stop = (): void => {};
  const tired = new Promise<undefined>((resolve) => {
    const timer = setTimeout(resolve, seconds * 1_000, undefined);
    stop = (): void => {
      clearTimeout(timer);
      resolve(undefined);
    };
    signal?.addEventListener('abort', stop, { once: true });
  });
  return Promise.race([end, tired]).finally(() => stop());
}

/** The answer on loopback, where everybody on this machine may ask: nothing but the metrics. */
export function answerMetrics(question: Asked, agent: Agent): unknown {
  const { method, path } = question;
  return method === METRICS.method && path === METRICS.path ? METRICS.answer(agent, question) : undefined;
}
