import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LOOKED_UP_AT_ONCE } from '../../../../fabric/registry/admission.ts';
import { type Answers, answersTogether } from '../../../../fabric/router/questions/answers.ts';
import { type StandingClock, standingClock } from './clock.ts';

let clock: StandingClock;
/** How long the registry takes for an answer, in milliseconds. */
let takes: number;
/** By the threads of the questions, those that were answered together. */
let answered: (readonly number[])[];
let answers: Answers;

beforeEach(() => {
  clock = standingClock();
  [takes, answered] = [0, []];
  answers = answersTogether((questions) => {
    answered.push(questions.map(({ thread }) => thread));
    clock.spend(takes);
  });
});
afterEach(() => {
  answers.close();
  vi.unstubAllGlobals();
});

const ask = (...threads: readonly number[]): void => {
  for (const thread of threads) answers.ask({ thread, address: new Uint8Array(16) });
};

test('[H-A3] the questions of a turn are answered together, at its end', () => {
  ask(1, 2);
  ask(3);
  expect(answered).toEqual([]);
  clock.turn();
  expect(answered).toEqual([[1, 2, 3]]);
  ask(4);
  clock.turn();
  expect(answered).toEqual([[1, 2, 3], [4]]);
});

test('[H-A3] however many there are, so many are answered in one turn, in order', () => {
  const all = Array.from({ length: 2 * LOOKED_UP_AT_ONCE + 1 }, (_, i) => i);
  ask(...all);
  clock.turn();
  expect(answered.map(({ length }) => length)).toEqual([LOOKED_UP_AT_ONCE]);
  clock.turn();
  clock.turn();
  expect(answered.map(({ length }) => length)).toEqual([LOOKED_UP_AT_ONCE, LOOKED_UP_AT_ONCE, 1]);
  expect(answered.flat()).toEqual(all);
});

test('[H-A3] four fifths of the time are for others, also when the registry answers slowly', () => {
  takes = 100;
  ask(1);
  clock.turn();
  ask(2);
  clock.pass(399);
  ask(3);
  expect(answered).toEqual([[1]]);
  clock.pass(1);
  expect(answered).toEqual([[1], [2, 3]]);
  // A pause that is over before the next question keeps nobody waiting.
  clock.pass(500);
  ask(4);
  clock.turn();
  expect(answered).toEqual([[1], [2, 3], [4]]);
});

test('a registry that does not answer is asked again after some seconds', () => {
  takes = 4_000;
  ask(1);
  clock.turn();
  ask(2);
  clock.pass(4_999);
  expect(answered).toEqual([[1]]);
  clock.pass(1);
  expect(answered).toEqual([[1], [2]]);
});

test('nothing is asked once it is closed', () => {
  takes = 100;
  ask(1);
  clock.turn();
  ask(2);
  answers.close();
  clock.pass(10_000);
  expect(answered).toEqual([[1]]);
});
