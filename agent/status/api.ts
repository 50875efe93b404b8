import { type Question, TextAnswer } from '../../os/net/control-socket.ts';
import type { Counters } from '../tunnel/session.ts';
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
}

/** The answer to `POST /v1/provision`. */
export interface Renewal {
  readonly accepted: boolean;
  readonly situation: Status['situation'];
}

interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  answer(agent: Agent): unknown;
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
    answer: (agent): Renewal => ({ accepted: agent.renew(), situation: agent.status().situation }),
  },
  METRICS,
];

/** The answer to a question on the control socket; undefined: no such path. */
export function answerApi({ method, path }: Question, agent: Agent): unknown {
  return ROUTES.find((route) => route.method === method && route.path === path)?.answer(agent);
}

/** The answer on loopback, where everybody on this machine may ask: nothing but the metrics. */
export function answerMetrics({ method, path }: Question, agent: Agent): unknown {
  return method === METRICS.method && path === METRICS.path ? METRICS.answer(agent) : undefined;
}
