import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../agent/config/config.ts';
import { heartbeats, parseConfig as parseFabric } from '../../fabric/config/config.ts';
import { longestPause } from '../../fabric/router/pace.ts';
import { REGISTRY_DOWN } from '../../fabric/router/questions/authorize.ts';
import { ROOT } from '../structure.ts';
import { AGENT, STAGGER_MS } from './agent.ts';
import { figuresOf } from './figures.ts';
import { CALM_MS, capacity, casesOf, SCENARIOS, type Scenario, type Setup } from './setup.ts';
import { type Run, simulate } from './simulate.ts';

/** 4,000 agents, and nodes that need 100 s for all of them. */
const SMALL = { agents: 4_000, nodes: 4, threads: 1, acceptMs: 100, provisionsPerSecond: 20 };

const scenario = (name: string): Scenario => SCENARIOS.find((each) => each.name === name)!;

function run(name: string, change: Partial<Setup> = {}, variant = '') {
  const found = casesOf(scenario(name), { agents: SMALL.agents, seed: 1, pauses: [300] });
  const one = found.find((each) => each.variant === variant)!;
  const setup = { ...one.setup, ...SMALL, ...change };
  const result = simulate(setup, { check: true });
  return { ...figuresOf({ ...one, setup }, result), run: result };
}

const online = ({ series, seconds }: Run): number[] => [...series.of('online').subarray(0, seconds)];

test('agents have the configuration that real ones have by default, and the heartbeats that nodes tell them', () => {
  const { remote } = parseConfig('[remote]\nhosts = ["192.0.2.1"]\n', 'agent.toml');
  const told = heartbeats(parseFabric('[node]\nname = "a"\n', 'fabric.toml'))!;
  expect(AGENT).toMatchObject({
    connectTimeoutMs: remote.connectTimeout,
    heartbeatPeriodMs: told.periodMs,
    heartbeatTimeoutMs: told.timeoutMs,
  });
  const connecting = readFileSync(join(ROOT, 'os/net/connect.ts'), 'utf8');
  expect(connecting).toContain(`const STAGGER_MS = ${STAGGER_MS};`);
});

describe('each scenario', () => {
  test.each(SCENARIOS.map(({ name }) => name))('%s loses no agent, and none is in two places', (name) => {
    const { run: result, missing } = run(name, { agents: 1_000, acceptMs: 400, provisionsPerSecond: 10 });
    expect(online(result)[100]).toBeLessThanOrEqual(1_000);
    expect(missing).toBeGreaterThan(name === 'node' ? 200 : 950);
  });

  test('names are there once, and so are the runs of each', () => {
    const names = SCENARIOS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const each of SCENARIOS) {
      const runs = casesOf(each, { agents: 1_000_000, seed: 1 }).map(
        (one) => `${one.variant} ${one.longestPause}`,
      );
      expect(new Set(runs).size).toBe(runs.length);
    }
  });

  test('the pause that the fabric tells is among those that are compared', () => {
    const found = casesOf(scenario('short'), { agents: 100_000, seed: 1 });
    const told = longestPause(100_000, capacity(found[0]!.setup));
    expect(told).toBeLessThan(300);
    expect(
      found.filter(({ isTold, variant }) => isTold && variant === '').map((each) => each.longestPause),
    ).toEqual([told]);
    expect(found.filter(({ variant }) => variant === '').map((each) => each.longestPause)).toContain(300);
  });
});

describe('an outage of ten minutes', () => {
  test('is over for all as soon as the longest pause has passed, and no connection is closed for another', () => {
    const { back, cut, wasted, peak, ...figures } = run('outage');
    expect([cut, wasted]).toEqual([0, 0]);
    expect(back['100']).toBeGreaterThan(200);
    expect(back['100']).toBeLessThan(330);
    expect(peak).toBeLessThan(2 * figures.capacity);
  });

  test('takes less time with a shorter pause, and more attempts', () => {
    const [long, short] = [run('outage'), run('outage', { longestMs: 120_000 })];
    expect(short.back['99']).toBeLessThan(long.back['99']!);
    expect(short.attemptsPerAgent).toBeGreaterThan(long.attemptsPerAgent);
    expect(short.peak).toBeGreaterThan(long.peak);
  });

  test('is not over within half an hour without jitter, where nodes have no time for all at once', () => {
    const crowd = { agents: 10_000, nodes: 1, acceptMs: 10, untilMs: CALM_MS + 40 * 60_000 };
    const [spread, together] = [run('outage', crowd), run('outage', { ...crowd, jitter: false })];
    expect(spread.back['100']).toBeLessThan(330);
    expect(together.back['99']).toBeNull();
    expect(together.cut + together.late).toBeGreaterThan(10 * (spread.cut + spread.late + 1));
  });

  test('is the same for the same seed, and another for another', () => {
    const [one, same, other] = [run('short'), run('short'), run('short', { seed: 2 })];
    expect(online(same.run)).toEqual(online(one.run));
    expect(online(other.run)).not.toEqual(online(one.run));
  });

  test('takes as long when nothing answers, with fewer attempts', () => {
    const [refused, silent] = [run('outage'), run('silent')];
    expect(silent.attemptsPerAgent).toBeLessThan(refused.attemptsPerAgent);
    expect(silent.back['100']).toBeLessThan(330);
  });
});

describe('more than the nodes have time for', () => {
  /** One node takes 100 in a second; after twenty seconds 600 come. */
  const crowd = { agents: 10_000, nodes: 1, acceptMs: 10 };

  test('closes connections before they have cost much, and all come back', () => {
    const { cut, wasted, back, peak } = run('short', crowd);
    expect(peak).toBeGreaterThan(5 * 100);
    expect(cut).toBeGreaterThan(1_000);
    expect(wasted).toBeLessThan(0.1);
    expect(back['100']).not.toBeNull();
  });

  test('takes so long in the end that agents give up, and leave their places', () => {
    const slow = { agents: 2_000, nodes: 1, acceptMs: 1_000, untilMs: CALM_MS + 5 * 60_000 };
    const { late, run: result } = run('short', slow);
    expect(late).toBeGreaterThan(100);
    expect(online(result).at(-1)).toBeGreaterThan(50);
  });

  test('refusals cost: to say when to come again takes the time of those who could come in', () => {
    const told = (cost: number) =>
      run('short', { ...crowd, told: { share: 0.5, cost, error: 0, same: false } });
    const [cheap, dear] = [told(0.05), told(0.7)];
    expect(dear.wasted).toBeGreaterThan(2 * cheap.wasted);
    expect(dear.told).toBeLessThan(cheap.told);
    expect(dear.back['50']).toBeGreaterThan(cheap.back['50']!);
  });
});

describe('a node of four', () => {
  test('is missed by its own agents alone, which the others take', () => {
    const { missing, run: result, fullest } = run('node');
    expect(missing).toBeGreaterThan(900);
    expect(missing).toBeLessThan(1_100);
    expect(result.carried[0]).toBe(0);
    expect(result.carried.reduce((sum, each) => sum + each, 0)).toBe(SMALL.agents);
    expect(fullest).toBeLessThan(0.4);
  });

  test('that loses its power is missed until heartbeats are not answered', () => {
    const [ended, dead] = [run('node'), run('node', {}, 'power')];
    expect(dead.missing).toBeGreaterThan(900);
    expect(dead.back['50']! - ended.back['50']!).toBeGreaterThan(2);
    expect(dead.back['100']).toBeGreaterThanOrEqual(6);
    expect(dead.peak).toBeLessThan(ended.peak);
  });

  test('has all agents if it is the first of a list that is the same for all', () => {
    const all = { agents: 500, acceptMs: 10 };
    expect(run('hosts', all, 'listed').fullest).toBe(1);
    expect(run('hosts', all).fullest).toBeLessThan(0.4);
    expect(run('outage', all).fullest).toBeLessThan(0.4);
  });

  test('gives those for whom it has no time to the next of the list, unless all begin with the first', () => {
    const crowd = { agents: 10_000, acceptMs: 40, untilMs: CALM_MS + 30 * 60_000 };
    const [own, next, first] = ['', 'listed', 'from the first'].map((each) => run('hosts', crowd, each)) as [
      ...[ReturnType<typeof run>, ReturnType<typeof run>, ReturnType<typeof run>],
    ];
    expect(own.fullest).toBeLessThan(0.4);
    expect(own.back['99']).toBeLessThan(next.back['99']!);
    expect(next.fullest).toBeLessThan(0.75);
    expect(first.fullest).toBeGreaterThan(0.9);
    expect(next.back['50']).toBeLessThan(first.back['50']!);
  });
});

describe('a database that does not write', () => {
  const during = (result: Run, what: 'provisioned' | 'told'): number => {
    const { fromMs, forMs } = result.setup.database!;
    return result.series
      .of(what)
      .subarray(fromMs / 1_000 + 1, (fromMs + forMs) / 1_000 - 1)
      .reduce((sum, each) => sum + each, 0);
  };

  test('provisions nobody meanwhile, and all are there in the end', () => {
    const { run: result, provisioned, told } = run('database');
    expect([during(result, 'provisioned'), told]).toEqual([0, 0]);
    expect(provisioned).toBeGreaterThan(0.08 * SMALL.agents);
    expect(online(result).at(-1)).toBe(SMALL.agents);
  });

  test('and cannot be read: all who come are told when to come again, as the router says it', () => {
    const { run: result, told } = run('database', {}, 'nor read');
    expect(told).toBeGreaterThan(100);
    expect(during(result, 'told')).toBeGreaterThan(0.9 * told);
    expect(REGISTRY_DOWN).toEqual({ kind: 'retry-after', seconds: 30 });
    expect(online(result).at(-1)).toBe(SMALL.agents);
  });
});

describe('a node of four that does not reach the database', () => {
  test.each(['', 'one name'])(
    'keeps nobody away who has the others in a list, or by one name (%s)',
    (variant) => {
      const { told, back } = run('cut-off', {}, variant);
      expect(told).toBeGreaterThan(500);
      expect(told).toBeLessThan(SMALL.agents);
      expect(back['100']).toBeLessThan(330);
    },
  );

  test('is no reason to ask all of them again and again if none does', () => {
    const one = run('cut-off', {}, 'all nodes');
    expect(one.told).toBeGreaterThan(3 * SMALL.agents);
    // Three in the first round, and then one in each, which comes after 30 s at least.
    expect(one.told).toBeLessThan((3 + 600 / 30) * SMALL.agents);
    expect(online(one.run).at(-1)).toBe(SMALL.agents);
  });
});

test('keys that are all due are renewed within an hour and some minutes, each once', () => {
  const { renewed, provisioned, run: result, refused } = run('renewals');
  expect([renewed, provisioned, refused]).toEqual([SMALL.agents, SMALL.agents, 0]);
  expect(result.seconds).toBeLessThan(720 + 3_600 + 600);
  const perMinute = Array.from({ length: 90 }, (_, minute) =>
    result.series
      .of('provisioned')
      .subarray(720 + 60 * minute, 780 + 60 * minute)
      .reduce((sum, each) => sum + each, 0),
  );
  expect(Math.max(...perMinute)).toBeLessThan(2 * (SMALL.agents / 60));
});
