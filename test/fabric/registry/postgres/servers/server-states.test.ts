import { expect, test } from 'vitest';
import { serverStates } from '../../../../../fabric/registry/postgres/server-states.mjs';

const primary = (log: number, used = true) => ({
  ...{ place: 'a', used, system: '1', timeline: 2, log },
});
const standby = (log: number, system = '1') => ({ place: 'b', used: false, system, log });
const away = { place: 'b', used: false, why: 'gone' };

test('a standby is behind since it lacked what was written then, until it has that', () => {
  const states = serverStates();
  const late = (own: number, its: number, now: number) =>
    states([primary(own), standby(its)], now)[1]!.behind;
  expect(late(10, 10, 1)).toBeUndefined();
  // One that keeps up lacks the newest of each time, and has that of the time before.
  expect(late(20, 19, 2)).toEqual({ since: 2, bytes: 1 });
  expect(late(30, 29, 3)).toEqual({ since: 3, bytes: 1 });
  // One that does not lacks it as long as it takes.
  expect(late(40, 29, 4)).toEqual({ since: 3, bytes: 11 });
  expect(late(50, 29, 5)).toEqual({ since: 3, bytes: 21 });
  expect(late(60, 31, 6)).toEqual({ since: 6, bytes: 29 });
  expect(late(60, 60, 7)).toBeUndefined();
  expect(late(70, 60, 8)).toEqual({ since: 8, bytes: 10 });
});

test('a standby of another database never has what it lacks; without a server that is used nothing is said of it', () => {
  const states = serverStates();
  expect(states([primary(10), standby(99, '2')], 1)[1]!.behind).toEqual({ since: 1 });
  expect(states([primary(10), standby(99, '2')], 2)[1]!.behind).toEqual({ since: 1 });
  expect(states([primary(10, false), standby(5)], 3)[1]).toEqual({
    ...{ place: 'b', at: 3, primary: false, used: false },
  });
  expect(states([primary(10), standby(5)], 4)[1]!.behind).toEqual({ since: 4, bytes: 5 });
});

test('a server is lost since there was no connection first, and what it lacks once it is back counts from then on', () => {
  const states = serverStates();
  const second = (it: typeof away | ReturnType<typeof standby>, now: number) =>
    states([primary(10), it], now)[1];
  expect(second(standby(5), 1)).toMatchObject({ behind: { since: 1 } });
  expect(second(away, 2)).toEqual({
    ...{ place: 'b', at: 2, primary: false, used: false, lost: { since: 2, why: 'gone' } },
  });
  expect(second(away, 3)).toMatchObject({ at: 3, lost: { since: 2 } });
  expect(second(standby(5), 4)).toEqual({
    ...{ place: 'b', at: 4, primary: false, used: false, behind: { since: 4, bytes: 5 } },
  });
  expect(second(away, 5)).toMatchObject({ lost: { since: 5 } });
});
