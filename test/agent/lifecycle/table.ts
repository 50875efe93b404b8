import { STOPPED, step } from '../../../agent/lifecycle/lifecycle.ts';
import type { Action, Event, Situation } from '../../../agent/lifecycle/situation.ts';
import { Failure } from '../../../protocol/failure.ts';

export const network = new Failure('net.unreachable', 'retry', 'cannot reach it', { action: 'Plug it in.' });
export const timeout = new Failure('net.timeout', 'retry', 'no answer');
export const xttRefused = new Failure('xtt.error-received', 'retry', 'the server refused');
export const clock = new Failure('tls.clock', 'retry', 'the clock is wrong');
export const untrusted = new Failure('tls.untrusted-server', 'retry', 'another root');
export const absent = new Failure('tpm.absent', 'operator', 'no TPM');
export const busy = new Failure('tpm.busy', 'retry', 'the TPM is busy');

export const ADDRESS = 'fd00::7';
export const start: Event = { kind: 'start' };
export const timer: Event = { kind: 'timer' };
export const up: Event = { kind: 'up' };
export const stop: Event = { kind: 'stop' };
export const networkChange: Event = { kind: 'network' };
export const moved: Event = { kind: 'moved' };
export const disturbed: Event = { kind: 'disturbed', cause: 'the clock jumped' };
export const renew: Event = { kind: 'renew' };
export const fresh: Event = { kind: 'prepared', goal: { kind: 'provision', reason: 'first-boot' } };
export const known: Event = { kind: 'prepared', goal: { kind: 'connect', address: ADDRESS } };
export const foreign: Event = {
  kind: 'prepared',
  goal: { kind: 'provision', reason: 'foreign-state', address: ADDRESS },
};
export const halfway: Event = {
  kind: 'prepared',
  goal: { kind: 'provision', reason: 'interrupted', address: ADDRESS },
};
export const provisioned: Event = { kind: 'provisioned', address: ADDRESS };
export const failed = (failure: Failure): Event => ({ kind: 'failed', failure });
export const verdict = (kind: 'evicted' | 'unknown' | 'unregistered' | 'retired'): Event => ({
  kind: 'verdict',
  verdict: { kind },
});
export const excluded = (kind: 'banned' | 'suspended', seconds: number): Event => ({
  kind: 'verdict',
  verdict: { kind, seconds },
});
export const retryAfter = (seconds: number): Event => ({
  kind: 'verdict',
  verdict: { kind: 'retry-after', seconds },
});

/** A life: each event, optionally with the milliseconds that pass before it. */
export function live(
  events: readonly (Event | readonly [number, Event])[],
  random = 0.5,
): { situation: Situation; actions: readonly Action[]; all: Action[]; log: string[]; ms: number } {
  let situation: Situation = STOPPED;
  let ms = 0;
  let actions: readonly Action[] = [];
  const all: Action[] = [];
  for (const each of events) {
    const [after, event] = Array.isArray(each) ? (each as [number, Event]) : [0, each as Event];
    ms += after;
    ({ situation, actions } = step(situation, event, { ms, random }));
    all.push(...actions);
  }
  const log = all.flatMap((action) => (action.kind === 'log' ? [action.message] : []));
  return { situation, actions, all, log, ms };
}

export const kinds = (actions: readonly Action[]): string[] =>
  actions.map((action) => action.kind).filter((kind) => kind !== 'log');
export const waited = (actions: readonly Action[]): number =>
  actions.flatMap((action) => (action.kind === 'wait' ? [action.ms] : []))[0] ?? Number.NaN;
