import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROUTER_LIMITS } from '../../fabric/router/limits.ts';
import { ROOT } from '../structure.ts';
import { makeRouters, NATIVE, type RouterModel, SHARES } from './router.ts';

const source = (name: string): string => readFileSync(join(ROOT, 'native', name), 'utf8');

/** One node with one thread that needs 10 ms for an accept. */
function node(model: Partial<RouterModel> = {}) {
  const heard: string[] = [];
  const admitted: number[] = [];
  const routers = makeRouters(
    20_000,
    { nodes: 1, threads: 1, acceptMs: 10, ...model },
    {
      flight: (agent) => void heard.push(`flight ${agent}`),
      admitted: (agent) => void admitted.push(agent),
      cut: (agent) => void heard.push(`cut ${agent}`),
      told: (agent, why) => void heard.push(`told ${agent} ${why}`),
    },
  );
  return { routers, heard, admitted };
}

test('what C has as numbers is the same there', () => {
  expect(source('router/router.c')).toMatch(new RegExp(`BACKLOG = ${NATIVE.backlog}\\b`));
  expect(source('router/thread.c')).toMatch(new RegExp(`ACCEPTED = ${NATIVE.acceptedAtOnce},`));
  expect(source('transport/turn.h')).toContain(`DP_TURN_NS = ${NATIVE.turnMs * 1e6},`);
  expect(source('router/connection.c')).toContain(`HELLO_MS = ${NATIVE.helloMs},`);
  expect(source('backlog/backlog.c')).toMatch(/most \/ 4/);
});

test('the shares of an accept are all of it', () => {
  expect(Object.values(SHARES).reduce((sum, share) => sum + share, 0)).toBeCloseTo(1);
});

describe('a router', () => {
  test('admits a device in two steps, and takes the time that they cost', () => {
    const { routers, heard, admitted } = node();
    expect(routers.connect(5, 0, 0)).toBe(true);
    routers.serve(0, 10, 10);
    expect([heard, admitted]).toEqual([['flight 5'], []]);
    routers.reply(5, 20);
    routers.serve(0, 20, 10);
    expect([heard, admitted, routers.open(0)]).toEqual([['flight 5'], [5], 0]);
    expect(routers.cpu()).toMatchObject({ wasted: 0 });
    expect(routers.cpu().used).toBeCloseTo(10);
  });

  test('takes as many in a second as its processors have time for, and keeps no time in which it was idle', () => {
    const { routers, admitted } = node();
    routers.serve(0, 10, 60_000);
    for (let agent = 0; agent < 500; agent++) routers.connect(agent, 0, 60_000);
    const work = (from: number, to: number): void => {
      for (let ms = from; ms < to; ms += 10) {
        routers.serve(0, ms, 10);
        for (let agent = 0; agent < 500; agent++) routers.reply(agent, ms);
      }
    };
    work(60_010, 64_900);
    expect(admitted.length).toBeLessThan(495);
    work(64_900, 65_200);
    expect(admitted).toHaveLength(500);
  });

  test('closes the oldest that has said nothing yet for a new one when all places are taken', () => {
    const { routers, heard } = node();
    const { pending } = ROUTER_LIMITS;
    for (let agent = 0; agent < pending + 10; agent++) expect(routers.connect(agent, 0, 0)).toBe(true);
    routers.serve(0, 10, 3_000);
    const cut = heard.filter((each) => each.startsWith('cut'));
    expect(cut).toHaveLength(10);
    // Who had the server's flight keeps its place; the next in the row are closed.
    expect(heard[0]).toBe('flight 0');
    expect(cut[0]).not.toBe('cut 0');
    expect(routers.cpu().wasted).toBeCloseTo(10 * SHARES.touch * 10);
  });

  test('closes those whose flight was for nothing when they hold the places, which costs', () => {
    const { routers, heard } = node();
    const { pending } = ROUTER_LIMITS;
    for (let agent = 0; agent < pending; agent++) routers.connect(agent, 0, 0);
    routers.serve(0, 10, 20_000);
    expect(heard.filter((each) => each.startsWith('flight'))).toHaveLength(pending);
    routers.connect(pending, 0, 20);
    routers.serve(0, 20, 10);
    expect(heard).toContain('cut 0');
    expect(routers.cpu().wasted).toBeCloseTo((SHARES.touch + SHARES.flight) * 10);
  });

  test('has no room beyond the kernel’s queue', () => {
    const { routers } = node();
    for (let agent = 0; agent < NATIVE.backlog; agent++) expect(routers.connect(agent, 0, 0)).toBe(true);
    expect(routers.connect(NATIVE.backlog, 0, 0)).toBe(false);
    routers.leave(17);
    expect(routers.connect(NATIVE.backlog, 0, 0)).toBe(true);
  });

  test('closes who waits for its turn as long as a ClientHello may take', () => {
    const { routers, heard } = node({ acceptMs: 1_000 });
    for (const agent of [1, 2, 3]) routers.connect(agent, 0, 0);
    routers.serve(0, 10, 100);
    expect(heard).toEqual(['flight 1']);
    routers.serve(0, 10 + NATIVE.helloMs, 10);
    expect(heard).toEqual(['flight 1', 'cut 2', 'cut 3']);
  });

  test('tells when to come again, as far as its share of time goes, if it is to', () => {
    const { routers, heard } = node({ told: { share: 0.2, cost: 0.5 } });
    for (let agent = 0; agent < 2_000; agent++) routers.connect(agent, 0, 0);
    routers.serve(0, 10, 1_000);
    const told = heard.filter((each) => each.startsWith('told'));
    expect(told).toHaveLength(40);
    expect(told[0]).toMatch(/^told \d+ full$/);
    expect(routers.cpu().telling).toBeCloseTo(200);
    expect(heard.some((each) => each.startsWith('cut'))).toBe(true);
  });

  test('tells all when to come again while the registry does not answer', () => {
    const { routers, heard, admitted } = node();
    routers.setRegistry(false);
    routers.connect(3, 0, 0);
    routers.serve(0, 10, 10);
    routers.reply(3, 20);
    routers.serve(0, 20, 10);
    expect([heard.at(-1), admitted]).toEqual(['told 3 registry', []]);
    expect(routers.cpu().wasted).toBeCloseTo(routers.cpu().used);
  });

  test('tells it at one node alone if that does not reach the registry', () => {
    const { routers, heard, admitted } = node({ nodes: 2 });
    routers.setRegistry(false, 1);
    for (const agent of [0, 1]) routers.connect(agent, agent, 0);
    for (const ms of [0, 20]) {
      for (const at of [0, 1]) routers.serve(at, ms, 10);
      for (const agent of [0, 1]) routers.reply(agent, ms + 10);
    }
    for (const at of [0, 1]) routers.serve(at, 40, 10);
    expect(admitted).toHaveLength(1);
    expect(heard).toContain('told 1 registry');
    expect(heard).not.toContain('told 0 registry');
  });

  test('resets all that it has when its program ends, and forgets who has left', () => {
    const { routers, heard } = node();
    for (const agent of [1, 2, 3]) routers.connect(agent, 0, 0);
    routers.leave(2);
    routers.leave(2);
    routers.serve(0, 10, 4);
    routers.kill(0);
    expect(heard).toEqual(['flight 1', 'cut 3', 'cut 1']);
    expect(routers.open(0)).toBe(0);
    routers.reply(1, 20);
    expect(routers.open(0)).toBe(0);
  });
});
