import { expect, test } from 'vitest';
import { script } from './gateway.ts';

const decide = (facts: string): string => script('trial', ['decide', ...facts.split(' ')]).output;

//  booted, slot on trial, its attempts, which trial, online, seconds since the boot, seconds it has, a system to fall back on
test.each([
  ['nothing is on trial', 'A - 3 0 no 5 600 1', 'keep'],
  ['nothing is on trial, and no uplink for long', 'A - 3 0 no 90000 600 1', 'keep'],
  ['an update was installed and not booted', 'A B 3 1 yes 5 600 1', 'keep'],
  ['the same in a system that was offline', 'A B 3 1 yes 90000 600 1', 'keep'],
  ['the update is online', 'B B 2 1 yes 5 600 1', 'accept'],
  ['it is online at its last attempt', 'B B 0 1 yes 5 600 1', 'accept'],
  ['it comes online late, before anything was decided', 'B B 2 1 yes 700 600 1', 'accept'],
  ['it has time left', 'B B 2 1 no 599 600 1', 'wait'],
  ['it had its time', 'B B 2 1 no 600 600 1', 'fall-back'],
  ['it had its time, and there is nothing to fall back on', 'B B 2 1 no 600 600 0', 'wait'],
  ['it comes online after that', 'B B 2 1 yes 9000 600 0', 'accept'],
  [
    'the system before it comes online in that time: the update is at fault',
    'A B 0 1 yes 599 600 1',
    'reject',
  ],
  ['the system before it is offline too', 'A B 0 1 no 90000 600 1', 'wait'],
  ['it was offline for as long: the uplink was at fault', 'A B 0 1 yes 600 600 1', 'retry'],
  ['the same after a second trial', 'A B 0 2 yes 600 600 1', 'retry'],
  ['three trials are enough', 'A B 0 3 yes 600 600 1', 'reject'],
])('[H-F3] %s', (_, facts, decision) => {
  expect(decide(facts)).toBe(decision);
});

test('what it does not know is refused', () => {
  expect(script('trial', ['boot'])).toEqual({ code: 1, output: 'trial: no such command: boot' });
});
