import { pause } from '../../protocol/backoff.ts';
import { Failure } from '../../protocol/failure.ts';
import { duration } from './duration.ts';
import type { Action, Event, Moment, Situation, Step } from './situation.ts';
import { retryAtFabric } from './timing.ts';

/*
 * What a device does whose router leaves service (docs/wire.md, "Drain"): it connects to another host beside the tunnel that there is, or, where there is
 * none, stays until that ends, and comes back when it was told to.
 */

type Online = Extract<Situation, { kind: 'online' }>;

const say = (level: 'notice' | 'info', message: string): Action => ({ kind: 'log', level, message });

/** Devices of one router do not go to the others all at the same moment; the last part of their time is for the connection itself. */
const SHARE = 0.8;

/** The router leaves service. One that says so again may have other times. */
export function drained(
  situation: Online,
  { order, elsewhere }: Extract<Event, { kind: 'drained' }>,
  now: Moment,
): Step {
  const { drain } = situation;
  if (drain?.move !== undefined)
    return {
      situation: { ...situation, drain: { ...drain, move: { heard: { order, elsewhere } } } },
      actions: [],
    };
  const next = { ...situation, drain: { order, elsewhere, failures: drain?.failures ?? 0 } };
  if (!elsewhere) {
    const line = `the router leaves service, and there is no other host: back ${order.after} s after its end`;
    return { situation: next, actions: [say('notice', line)] };
  }
  const ms = Math.floor(now.random * SHARE * order.within * 1_000);
  const line = `the router leaves service: to another host in ${duration(ms)}`;
  return { situation: next, actions: [say('notice', line), { kind: 'wait', ms }] };
}

export const undrained = ({ drain, ...situation }: Online): Step => ({
  situation,
  actions: drain === undefined ? [] : [say('notice', 'the router stays in service')],
});

/** The time has come. */
export const moveIfDrained = (situation: Online): Step => {
  const { drain } = situation;
  return drain?.elsewhere
    ? { situation: { ...situation, drain: { ...drain, move: {} } }, actions: [{ kind: 'move' }] }
    : { situation, actions: [] };
};

/** The tunnel is one to another host now, whose router may have said at once that it leaves service, too. */
export function arrived({ drain, ...situation }: Online, now: Moment): Step {
  if (drain === undefined) return { situation, actions: [] };
  const moved = say('notice', 'moved to another host');
  const heard = drain.move?.heard;
  if (heard === undefined) return { situation, actions: [moved] };
  const next = drained(situation, { kind: 'drained', ...heard }, now);
  return { ...next, actions: [moved, ...next.actions] };
}

/** There is still the tunnel, and perhaps still time. */
export function notMoved(situation: Online, failure: Failure, now: Moment): Step {
  if (situation.drain === undefined) return { situation, actions: [] };
  const { move, ...before } = situation.drain;
  const drain = { ...before, ...move?.heard };
  const ms = pause(retryAtFabric(now), drain.failures, now.random);
  const line = `${failure.code}: ${failure.message}; still with the router that leaves service, next try in ${duration(ms)}`;
  return {
    situation: { ...situation, drain: { ...drain, failures: drain.failures + 1 } },
    actions: [say('info', line), { kind: 'wait', ms }],
  };
}

/** The pause of one that has nowhere else to go, and what it shows; undefined for others. `random` is uniform in [0, 1). */
export function whenDrained(
  { drain }: Online,
  random: number,
): { readonly failure: Failure; readonly ms: number } | undefined {
  if (drain === undefined || drain.elsewhere) return undefined;
  const { after, spread } = drain.order;
  return {
    failure: new Failure('fabric.drained', 'retry', 'the router has left service, as it had said'),
    ms: after * 1_000 + Math.floor(random * spread * 1_000),
  };
}
