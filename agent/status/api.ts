import { type Question, TextAnswer } from '../../os/net/control-socket.ts';
import type { Counters } from '../tunnel/session.ts';
import type { HandshakeEnd } from './facts.ts';
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
}

/** The answer to `POST /v1/provision`. */
export interface Renewal {
  readonly accepted: boolean;
  readonly situation: Status['situation'];
  /** If it was waited for: how the handshake has ended, null if it has not in that time. */
  readonly end?: HandshakeEnd | null;
}

interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  answer(agent: Agent, question: Question): unknown;
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
    answer: renewal,
  },
  METRICS,
];

/** The answer to a question on the control socket; undefined: no such path. */
export function answerApi(question: Question, agent: Agent): unknown {
  const { method, path } = question;
  return ROUTES.find((route) => route.method === method && route.path === path)?.answer(agent, question);
}

/** Longest wait for the end of a handshake, in seconds. */
export const LONGEST_WAIT_S = 3_600;

/** With `?wait=SECONDS` it is answered when the handshake has ended, or the time is up, or nobody waits any more. */
function renewal(agent: Agent, { query, signal }: Question): Renewal | Promise<Renewal> {
  const seconds = Math.min(LONGEST_WAIT_S, Number(query?.get('wait') ?? 0));
  // The question comes before the handshake begins: its end cannot be missed.
  const end = seconds > 0 ? agent.handshakeEnd?.() : undefined;
  const accepted = agent.renew();
  const { situation } = agent.status();
  if (!accepted || end === undefined) return { accepted, situation };
  return ended(end, seconds, signal).then((found) => ({
    accepted,
    situation: agent.status().situation,
    end: found ?? null,
  }));
}

async function ended(
  end: Promise<HandshakeEnd | undefined>,
  seconds: number,
  signal: AbortSignal | undefined,
): Promise<HandshakeEnd | undefined> {
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
export function answerMetrics(question: Question, agent: Agent): unknown {
  const { method, path } = question;
  return method === METRICS.method && path === METRICS.path ? METRICS.answer(agent, question) : undefined;
}
