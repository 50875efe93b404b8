import { describe, expect, test } from 'vitest';
import { judgeRoutes, REACHED, type RoutesState, SETTLED_MS } from '../../../fabric/nodes/routes.ts';

/** What is so at each look, a second apart, and whether devices are to leave then. `.`: routes reach others, `x`: they do not; capital: another node is better off. */
function looks(pattern: string, before: RoutesState = REACHED): string {
  let state = before;
  return [...pattern]
    .map((each, second) => {
      const lost = each.toLowerCase() === 'x';
      state = judgeRoutes(state, { lost, elsewhere: each === 'X' || each === ':' }, second * 1_000);
      return state.leaving ? 'l' : '-';
    })
    .join('');
}

describe('devices leave a node whose routes are lost', () => {
  test('once that has been so for five seconds, and stay again once it has not been so for as long', () => {
    expect(SETTLED_MS).toBe(5_000);
    expect(looks(':XXXXXXXX::::::::')).toBe('------llllllll---');
    expect(looks('XXXXX')).toBe('-----');
    expect(looks('XXXXXX')).toBe('-----l');
  });

  test('not for sessions that flap, and no sooner back for those', () => {
    expect(looks('XXXX:XXXX:XXXX')).toBe('--------------');
    expect(looks('XXXXXXX:::X:::')).toBe('-----lllllllll');
  });

  test('not while no other node is better off, and no longer once none is', () => {
    expect(looks('xxxxxxxxxx')).toBe('----------');
    expect(looks('xxxxxxxxXX')).toBe('--------ll');
    expect(looks('XXXXXXXxxX')).toBe('-----ll--l');
    expect(looks('..........')).toBe('----------');
  });
});
