import { STOPPED, step } from '../../agent/lifecycle/lifecycle.ts';
import type { Action, Event, Goal, Moment, Situation, Trouble } from '../../agent/lifecycle/situation.ts';

/**
 * The agents of a simulation. Each lives by the lifecycle of the real agent (agent/lifecycle), whose situations are kept in columns of
 * numbers: some 60 bytes for each agent, whatever happens to it. What only people read is not kept: the message of a trouble is the first of its
 * code.
 */
export interface Fleet {
  readonly size: number;
  /** Starts the agent, whose state and keys are open at once: `prepared` says what comes next. */
  begin(agent: number, prepared: Event, now: Moment): readonly Action[];
  /** Tells the agent what has happened, and returns what it does about it. */
  dispatch(agent: number, event: Event, now: Moment): readonly Action[];
  situation(agent: number): Situation;
  isOnline(agent: number): boolean;
  /** How many of each kind of situation there are, counted anew. */
  census(): Map<Situation['kind'], number>;
}

/** All agents have one: no decision of theirs depends on it. */
const ADDRESS = 'fd00::1';

/** The kinds that last; those in between are over before anything else happens. */
const KINDS = ['stopped', 'provisioning', 'connecting', 'online', 'backing-off', 'blocked'] as const;
const ONLINE = KINDS.indexOf('online');

const GOALS: readonly Goal[] = [
  { kind: 'connect', address: ADDRESS },
  { kind: 'connect', address: ADDRESS, unfinished: true },
  { kind: 'provision', reason: 'first-boot' },
  { kind: 'provision', reason: 'renewal', address: ADDRESS },
  { kind: 'provision', reason: 'interrupted', address: ADDRESS },
];

/** What is to be done when an agent starts. */
export const KNOWN: Event = { kind: 'prepared', goal: { kind: 'connect', address: ADDRESS } };
export const FRESH: Event = { kind: 'prepared', goal: { kind: 'provision', reason: 'first-boot' } };
export const PROVISIONED: Event = { kind: 'provisioned', address: ADDRESS };

export function makeFleet(size: number): Fleet {
  const kinds = new Uint8Array(size);
  const goals = new Uint8Array(size);
  const connect = new Uint16Array(size);
  const provision = new Uint16Array(size);
  const since = new Uint32Array(size);
  const until = new Uint32Array(size);
  const renewing = new Uint32Array(size);
  /** 0: none, else one more than the index of its code. */
  const troubles = new Uint8Array(size);
  const troubleSince = new Uint32Array(size);
  const troubleAttempts = new Uint16Array(size);
  const logged = new Uint32Array(size);
  const refusals = new Uint8Array(size);
  const codes: Pick<Trouble, 'code' | 'area' | 'message' | 'action'>[] = [];

  // No spread in what follows: it is done for each event of each agent.
  function troubleAt(agent: number): Trouble | undefined {
    if (troubles[agent] === 0) return undefined;
    const { code, area, message, action } = codes[troubles[agent]! - 1]!;
    const sinceMs = troubleSince[agent]!;
    const attempts = troubleAttempts[agent]!;
    const loggedMs = logged[agent]!;
    const trouble: { -readonly [Key in keyof Trouble]: Trouble[Key] } = {
      code,
      area,
      message,
      sinceMs,
      attempts,
      loggedMs,
    };
    if (action !== undefined) trouble.action = action;
    if (refusals[agent]! > 0) trouble.refusals = refusals[agent]!;
    return trouble;
  }

  const keepTrouble = (agent: number, trouble: Trouble | undefined): void => {
    if (trouble === undefined) {
      troubles[agent] = 0;
      return;
    }
    let index = codes.findIndex(({ code }) => code === trouble.code);
    if (index < 0) {
      const { code, area, message, action } = trouble;
      index = codes.push({ code, area, message, ...(action !== undefined && { action }) }) - 1;
    }
    troubles[agent] = index + 1;
    troubleSince[agent] = trouble.sinceMs;
    troubleAttempts[agent] = trouble.attempts;
    logged[agent] = trouble.loggedMs;
    refusals[agent] = trouble.refusals ?? 0;
  };

  function situation(agent: number): Situation {
    const kind = KINDS[kinds[agent]!]!;
    if (kind === 'stopped') return STOPPED;
    const goal = GOALS[goals[agent]!]!;
    const attempts = { prepare: 0, provision: provision[agent]!, connect: connect[agent]!, erase: 0 };
    const sinceMs = since[agent]!;
    const trouble = troubleAt(agent);
    if (kind === 'online') {
      const connected = goal as Goal & { kind: 'connect' };
      const renewingSinceMs = renewing[agent]!;
      return renewingSinceMs === 0
        ? { kind, goal: connected, attempts, sinceMs }
        : { kind, goal: connected, attempts, sinceMs, renewingSinceMs };
    }
    if (kind === 'backing-off' || kind === 'blocked')
      return { kind, goal, attempts, sinceMs, trouble: trouble!, untilMs: until[agent]! };
    const busy =
      trouble === undefined ? { kind, goal, attempts, sinceMs } : { kind, goal, attempts, sinceMs, trouble };
    return busy as Situation;
  }

  function keep(agent: number, next: Situation): void {
    const kind = (KINDS as readonly string[]).indexOf(next.kind);
    if (kind < 0) throw new Error(`a situation that the simulation does not know: ${next.kind}`);
    kinds[agent] = kind;
    if (next.kind === 'stopped') return;
    goals[agent] = indexOf(next.goal);
    connect[agent] = next.attempts.connect;
    provision[agent] = next.attempts.provision;
    since[agent] = next.sinceMs;
    until[agent] = 'untilMs' in next ? next.untilMs : 0;
    renewing[agent] = ('renewingSinceMs' in next && next.renewingSinceMs) || 0;
    keepTrouble(agent, 'trouble' in next ? next.trouble : undefined);
  }

  return {
    size,
    begin(agent, prepared, now) {
      const started = step(STOPPED, { kind: 'start' }, now);
      const next = step(started.situation, prepared, now);
      keep(agent, next.situation);
      return next.actions;
    },
    dispatch(agent, event, now) {
      const next = step(situation(agent), event, now);
      keep(agent, next.situation);
      return next.actions;
    },
    situation,
    isOnline: (agent) => kinds[agent] === ONLINE,
    census() {
      const counts = new Map<Situation['kind'], number>();
      for (const kind of kinds) counts.set(KINDS[kind]!, (counts.get(KINDS[kind]!) ?? 0) + 1);
      return counts;
    },
  };
}

function indexOf(goal: Goal): number {
  const index = GOALS.findIndex(
    (each) =>
      each.kind === goal.kind &&
      (each.kind !== 'provision' || each.reason === (goal as typeof each).reason) &&
      (each.kind !== 'connect' || each.unfinished === (goal as typeof each).unfinished),
  );
  if (index < 0) throw new Error(`a goal that the simulation does not know: ${JSON.stringify(goal)}`);
  return index;
}
