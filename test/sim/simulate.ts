import { overduePause, ROTATION_RETRY } from '../../agent/lifecycle/rotation.ts';
import type { Action, Event, Moment } from '../../agent/lifecycle/situation.ts';
import { STABLE_MS } from '../../agent/lifecycle/timing.ts';
import { LOOK_MS } from '../../agent/service/rotation.ts';
import { REGISTRY_DOWN } from '../../fabric/router/questions/authorize.ts';
import { pause } from '../../protocol/backoff.ts';
import type { Failure } from '../../protocol/failure.ts';
import { AGENT, FAILURES, PROVING_MS, ROUND_TRIP_MS, SIGNING_MS } from './agent.ts';
import { FRESH, KNOWN, makeFleet, PROVISIONED } from './fleet.ts';
import { happeningsOf } from './happenings.ts';
import { makeDialler } from './hosts/dialler.ts';
import { type IdentityServers, makeIdentityServers } from './identity.ts';
import { timerWheel } from './links.ts';
import { seeded } from './random.ts';
import { type Cpu, makeRouters, type Routers } from './router.ts';
import { makeSeries, type Series } from './series.ts';
import { capacity, type Setup } from './setup.ts';

/** Time goes on in steps of this. */
export const STEP_MS = 10;
/** How far a node's estimate may be off, as a factor. */
const FURTHEST = 8;

const ANSWERS = Object.keys(FAILURES) as (keyof typeof FAILURES)[];
/** Beside those: what comes to an agent from a node. */
const [UP, GIVEN, FULL, REGISTRY] = [100, 101, 102, 103];

/** What an agent waits for; its one timer ends at the end of it, at the latest. */
const PHASE = {
  nothing: 0,
  /** The lifecycle's pause. */
  pause: 1,
  /** Its connection to come to a router, or to an identity server. */
  dialling: 2,
  /** The router; the timer is its time-out. */
  router: 3,
  /** The server's flight, and its own TPM. */
  signing: 4,
  /** The identity server; the timer is its time-out. */
  identity: 5,
  /** Its TPM, to claim. */
  proving: 6,
  /** An answer that is on its way. */
  answer: 7,
  /** To find out that its tunnel is dead. */
  heartbeat: 8,
  /** To renew its identity. */
  rotation: 9,
  /** To be switched on. */
  start: 10,
};

/** What a simulation has counted. */
export interface Run {
  readonly setup: Setup;
  readonly series: Series;
  /** Whole seconds that were simulated. */
  readonly seconds: number;
  readonly cpu: Cpu;
  /** Those that each node carries at the end. */
  readonly carried: readonly number[];
  /** Identities that were renewed. */
  readonly renewed: number;
}

export interface Watch {
  /** Called once in each simulated second. */
  readonly onSecond?: (second: number, online: number) => void;
  /** Looks in each second whether every agent is in exactly one place. */
  readonly check?: boolean;
}

/** Simulates: as long as `untilMs`, or until nothing is left to happen. @throws Error if an agent is lost or in two places, with `check` */
export function simulate(setup: Setup, { onSecond, check = false }: Watch = {}): Run {
  const { agents, nodes } = setup;
  const chance = seeded(setup.seed);
  const fleet = makeFleet(agents);
  const wheel = timerWheel(agents, Math.ceil(setup.untilMs / STEP_MS) + 1);
  const series = makeSeries(Math.ceil(setup.untilMs / 1_000) + 1);
  const phases = new Uint8Array(agents);
  const answers = new Uint8Array(agents);
  /** The node of its tunnel, one more; 0: none. */
  const homes = new Uint8Array(agents);
  const dialler = makeDialler(setup, chance, {
    now: () => ms,
    trip: (agent) => trips[agent]!,
    reaches: (agent, afterMs) => wait(agent, PHASE.dialling, afterMs),
    fails: (agent, why, afterMs) => fail(agent, why, afterMs),
  });
  /** Of those on an errand to the identity server instead of a router. */
  const provisioning = new Uint8Array(agents);
  const trips = new Uint16Array(agents);
  const due = new Uint8Array(setup.renewals ? agents : 0);
  const failures = new Uint8Array(setup.renewals ? agents : 0);
  let everythingIsAway: 'refused' | 'silent' | undefined;
  let ms = 0;
  let online = 0;
  /** Agents that take a tunnel for alive whose node is gone. */
  let unnoticed = 0;
  let renewed = 0;

  const between = ([least, most]: readonly [number, number]): number => least + chance() * (most - least);
  const errors = Array.from({ length: nodes }, () => errorOf(setup.told?.error ?? 0, chance));
  const moment = (): Moment => ({
    ms,
    random: setup.jitter ? chance() : 1 - 2 ** -30,
    longestMs: setup.longestMs,
  });

  function wait(agent: number, phase: number, forMs: number): void {
    phases[agent] = phase;
    wheel.set(agent, Math.ceil((ms + Math.max(forMs, STEP_MS)) / STEP_MS));
  }

  function answer(agent: number, what: number, forMs = trips[agent]! / 2): void {
    answers[agent] = what;
    wait(agent, PHASE.answer, forMs);
  }

  const fail = (agent: number, why: keyof typeof FAILURES, forMs?: number): void =>
    answer(agent, ANSWERS.indexOf(why), forMs);

  function tell(agent: number, event: Event): void {
    const before = fleet.isOnline(agent);
    act(agent, fleet.dispatch(agent, event, moment()));
    noteOnline(agent, before);
  }

  function noteOnline(agent: number, before: boolean): void {
    const now = fleet.isOnline(agent);
    if (now === before) return;
    online += now ? 1 : -1;
    if (now && due[agent] === 1)
      wait(
        agent,
        PHASE.rotation,
        STABLE_MS + overduePause(AGENT.rotateAfterMs, chance()) + chance() * LOOK_MS,
      );
  }

  function act(agent: number, actions: readonly Action[]): void {
    phases[agent] = PHASE.nothing;
    wheel.clear(agent);
    for (const action of actions) {
      if (action.kind === 'wait') wait(agent, PHASE.pause, action.ms);
      else if (action.kind === 'connect') dial(agent, false);
      else if (action.kind === 'provision' || action.kind === 'renew') dial(agent, true);
    }
  }

  function dial(agent: number, provisions: boolean): void {
    series.add('attempts', ms);
    provisioning[agent] = provisions ? 1 : 0;
    if (!provisions) homes[agent] = 0;
    if (everythingIsAway === 'refused') fail(agent, 'unreachable', trips[agent]!);
    else if (everythingIsAway === 'silent') fail(agent, 'silent', AGENT.connectTimeoutMs);
    else dialler.dial(agent);
  }

  function arrive(agent: number): void {
    const node = dialler.targetOf(agent);
    if (everythingIsAway !== undefined || dialler.isLost(node)) {
      fail(agent, 'unreachable');
      return;
    }
    if (provisioning[agent] === 1) {
      wait(agent, PHASE.identity, AGENT.connectTimeoutMs);
      identity.connect(agent, node);
      return;
    }
    series.add('arrivals', ms);
    if (routers.connect(agent, node, ms)) wait(agent, PHASE.router, AGENT.connectTimeoutMs);
    else dialler.dialAgain(agent);
  }

  const routers: Routers = makeRouters(agents, setup, {
    flight: (agent) => wait(agent, PHASE.signing, trips[agent]! + between(SIGNING_MS)),
    admitted(agent, node) {
      series.add('admitted', ms);
      homes[agent] = node + 1;
      answer(agent, UP);
    },
    cut(agent) {
      series.add('cut', ms);
      fail(agent, 'cut');
    },
    told(agent, why) {
      series.add('told', ms);
      answer(agent, why === 'full' ? FULL : REGISTRY);
    },
  });

  const identity: IdentityServers = makeIdentityServers(
    agents,
    { nodes, perSecond: setup.provisionsPerSecond },
    {
      answered: (agent) => wait(agent, PHASE.proving, trips[agent]! + between(PROVING_MS)),
      provisioned(agent) {
        series.add('provisioned', ms);
        answer(agent, GIVEN);
      },
      refused(agent) {
        series.add('refused', ms);
        fail(agent, 'refused');
      },
    },
  );

  /** What a node without room says: until all that are missing are back, a time of chance within that, or all of it. */
  function secondsToWait(node: number): number {
    const whole = ((agents - online) / capacity(setup)) * errors[node]!;
    return Math.max(1, Math.ceil(setup.told?.same ? whole : whole * chance()));
  }

  /** An answer has come. */
  function receive(agent: number): void {
    const what = answers[agent]!;
    if (what === UP) {
      dialler.worked(agent);
      dialler.forget(agent);
      tell(agent, { kind: 'up' });
    } else if (what === GIVEN) given(agent);
    else if (what === FULL || what === REGISTRY) {
      const verdict =
        what === REGISTRY
          ? REGISTRY_DOWN
          : ({ kind: 'retry-after', seconds: secondsToWait(dialler.targetOf(agent)) } as const);
      const seconds = 'seconds' in verdict ? verdict.seconds : 0;
      tell(agent, {
        kind: 'verdict',
        verdict,
        elsewhere: dialler.refused(agent, seconds),
      });
    } else failed(agent, FAILURES[ANSWERS[what]!]);
  }

  function given(agent: number): void {
    if (due[agent] === 1) {
      due[agent] = 0;
      renewed++;
    }
    tell(agent, PROVISIONED);
  }

  function failed(agent: number, failure: Failure): void {
    dialler.forget(agent);
    if (failure.area === 'tls') dialler.failed(agent);
    if (provisioning[agent] === 0 || !fleet.isOnline(agent)) {
      tell(agent, { kind: 'failed', failure });
      return;
    }
    // A renewal beside the tunnel: the tunnel goes on.
    provisioning[agent] = 0;
    tell(agent, { kind: 'not-renewed', failure });
    const pauseMs = ROTATION_RETRY.firstMs + pause(ROTATION_RETRY, failures[agent]!++, chance());
    wait(agent, PHASE.rotation, pauseMs + chance() * LOOK_MS);
  }

  /** What an agent has waited for, by its phase. */
  const ends: Record<number, (agent: number) => void> = {
    [PHASE.pause]: (agent) => tell(agent, { kind: 'timer' }),
    [PHASE.dialling]: arrive,
    [PHASE.router](agent) {
      series.add('late', ms);
      routers.leave(agent);
      failed(agent, FAILURES.late);
    },
    [PHASE.signing](agent) {
      wait(agent, PHASE.router, AGENT.connectTimeoutMs);
      routers.reply(agent, ms);
    },
    [PHASE.proving](agent) {
      wait(agent, PHASE.identity, AGENT.connectTimeoutMs);
      identity.claim(agent);
    },
    [PHASE.identity](agent) {
      series.add('late', ms);
      identity.leave(agent);
      failed(agent, FAILURES.silent);
    },
    [PHASE.answer]: receive,
    [PHASE.heartbeat](agent) {
      unnoticed--;
      tell(agent, { kind: 'failed', failure: FAILURES.lost });
    },
    [PHASE.rotation]: (agent) => tell(agent, { kind: 'renew' }),
    [PHASE.start]: (agent) => act(agent, fleet.begin(agent, FRESH, moment())),
  };

  /** A node, or all of them, is gone: its connections end, and its tunnels. */
  function lose(node: number, how: 'refused' | 'silent'): void {
    routers.kill(node);
    identity.kill(node);
    for (let agent = 0; agent < agents; agent++) {
      if (homes[agent] !== node + 1) continue;
      homes[agent] = 0;
      if (fleet.isOnline(agent) && provisioning[agent] === 1) {
        // Its errand goes on without the tunnel.
        fleet.dispatch(agent, { kind: 'failed', failure: FAILURES.closed }, moment());
        noteOnline(agent, true);
      } else if (!fleet.isOnline(agent)) fail(agent, 'cut');
      else if (how === 'refused') fail(agent, 'closed');
      else {
        unnoticed++;
        wait(agent, PHASE.heartbeat, chance() * AGENT.heartbeatPeriodMs + AGENT.heartbeatTimeoutMs);
      }
    }
  }

  const happenings = happeningsOf(setup, {
    away(how) {
      everythingIsAway = how;
      if (how !== undefined) for (let node = 0; node < nodes; node++) lose(node, how);
    },
    lost(node, how) {
      dialler.lose(node);
      lose(node, how);
    },
    database(writes, reads) {
      identity.setDatabase(writes);
      routers.setRegistry(reads);
    },
    cutOff: (node, reads) => routers.setRegistry(reads, node),
  });

  function begin(): void {
    const { fromMs = 0, forMs = 0 } = setup.outage ?? {};
    for (let agent = 0; agent < agents; agent++) {
      trips[agent] = Math.round(between(ROUND_TRIP_MS));
      if (chance() < setup.fresh) {
        wait(agent, PHASE.start, fromMs + chance() * forMs);
        continue;
      }
      fleet.begin(agent, KNOWN, moment());
      fleet.dispatch(agent, { kind: 'up' }, moment());
      phases[agent] = PHASE.nothing;
      homes[agent] = Math.floor(chance() * nodes) + 1;
      online++;
      if (setup.renewals) due[agent] = 1;
    }
  }

  /** Every agent is at one node or none, as its phase says, and those that are not online wait for something. */
  function audit(): void {
    let atRouters = 0;
    let atServers = 0;
    for (let agent = 0; agent < agents; agent++) {
      const phase = phases[agent]!;
      if (phase === PHASE.router || phase === PHASE.signing) atRouters++;
      if (phase === PHASE.identity || phase === PHASE.proving) atServers++;
      if (!wheel.isSet(agent) && !fleet.isOnline(agent)) throw new Error(`agent ${agent} waits for nothing`);
    }
    const numbers = Array.from({ length: nodes }, (_, node) => node);
    const sum = (open: (node: number) => number): number =>
      numbers.reduce((all, node) => all + open(node), 0);
    const counted = [...fleet.census().values()].reduce((all, each) => all + each, 0);
    const found = [sum(routers.open), sum(identity.open), counted, fleet.census().get('online') ?? 0];
    const expected = [atRouters, atServers, agents, online];
    if (found.some((each, i) => each !== expected[i]))
      throw new Error(`agents at routers, servers, in all, online: ${found}, expected ${expected}`);
  }

  const work = (): void => {
    for (let node = 0; node < nodes; node++) {
      if (everythingIsAway !== undefined || dialler.isLost(node)) continue;
      routers.serve(node, ms, STEP_MS);
      identity.serve(node, STEP_MS);
    }
  };

  begin();
  for (let step = 1; ms < setup.untilMs; step++) {
    ms = step * STEP_MS;
    while (happenings[0] !== undefined && happenings[0].atMs <= ms) happenings.shift()!.happens();
    wheel.end(step, (agent) => ends[phases[agent]!]!(agent));
    work();
    if (ms % 1_000 !== 0) continue;
    series.setOnline(ms, online - unnoticed);
    if (check) audit();
    onSecond?.(ms / 1_000, online - unnoticed);
    if (happenings.length === 0 && online === agents && wheel.count === 0) break;
  }
  const carried = new Array<number>(nodes).fill(0);
  for (const home of homes) if (home > 0) carried[home - 1]!++;
  return { setup, series, seconds: Math.floor(ms / 1_000), cpu: routers.cpu(), carried, renewed };
}

/** What an estimate is off by: its logarithm is normal with that standard deviation. */
function errorOf(deviation: number, chance: () => number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - chance())) * Math.cos(2 * Math.PI * chance());
  return Math.min(FURTHEST, Math.max(1 / FURTHEST, Math.exp(deviation * normal)));
}
