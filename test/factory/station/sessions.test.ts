import { describe, expect, test } from 'vitest';
import { type Held, openSessions, type Sessions } from '../../../factory/station/sessions.ts';
import { isFailure } from '../../../protocol/failure.ts';

const BOARDS = 64;
const MANY = { id: 'aaaaaaaa', hash: '', count: 500, expires: '' };
let at = 0;
let made = 0;
let ended: Held[] = [];

function opened(boards = BOARDS): Sessions<Held> {
  [at, made, ended] = [0, 0, []];
  return openSessions<Held>(
    boards,
    () => at,
    (session) => ended.push(session),
  );
}

/** Adds a session for a board at this address; its number, or undefined if the station is busy. */
function add(
  sessions: Sessions<Held>,
  source: string,
  more: Partial<Held> = {},
  left = 500,
): string | undefined {
  const id = String(++made);
  try {
    sessions.add(
      id,
      { token: MANY, source, returning: undefined, charged: false, until: at + 120_000, ...more },
      left,
    );
    return id;
  } catch (error) {
    if (isFailure(error, 'factory.station-busy')) return undefined;
    throw error;
  }
}

describe('the sessions of a station', () => {
  test('one address that begins without end keeps no other out, and has all places while nobody else wants one', () => {
    const sessions = opened();
    for (let i = 0; i < BOARDS; i++) expect(add(sessions, 'loud')).toBeDefined();
    expect(add(sessions, 'loud')).toBeUndefined();
    const others = Array.from({ length: BOARDS / 2 }, (_, i) => add(sessions, `board-${i}`));
    expect(others.map((id) => sessions.get(id!)?.source)).toEqual(others.map((_, i) => `board-${i}`));
    expect(sessions.size).toBe(BOARDS);
    expect(ended.map(({ source }) => source)).toEqual(others.map(() => 'loud'));
  });

  test('boards with equal shares, and those that have their credential, are not put out', () => {
    const sessions = opened(4);
    for (const source of ['a', 'b', 'c', 'd']) add(sessions, source);
    expect(add(sessions, 'e')).toBeUndefined();
    const paid = opened(4);
    for (let i = 0; i < 4; i++) add(paid, 'a', { charged: true });
    expect(add(paid, 'e')).toBeUndefined();
  });

  test('a board that starts every nine seconds has the places of two minutes at most', () => {
    const sessions = opened();
    for (; at < 3_600_000; at += 9_000) expect(add(sessions, 'board')).toBeDefined();
    expect(sessions.size).toBeLessThan(15);
    expect(sessions.get('1')).toBeUndefined();
  });

  test('a token opens as many sessions as it has boards left; a board takes the place of what it was', () => {
    const sessions = opened();
    const first = add(sessions, 'a', {}, 2)!;
    expect(add(sessions, 'b', {}, 2)).toBeDefined();
    expect(add(sessions, 'c', {}, 2)).toBeUndefined();
    expect(add(sessions, 'c', { token: { ...MANY, id: 'bbbbbbbb' } }, 1)).toBeDefined();
    expect(add(sessions, 'a', {}, 2)).toBeDefined();
    expect(sessions.get(first)).toBeUndefined();
    // Those that have their credential cost nothing, and are there once.
    for (const returning of ['m1', 'm2', 'm3', 'm1'])
      expect(add(sessions, 'd', { returning }, 0)).toBeDefined();
    expect(sessions.size).toBe(6);
  });

  test('a device is at work once', () => {
    const sessions = opened();
    const [one, two] = [
      add(sessions, 'a', { member: 'm', charged: true })!,
      add(sessions, 'b', { member: 'n' })!,
    ];
    const again = add(sessions, 'c', { member: 'm' })!;
    sessions.removeOthers(again, 'm');
    expect([one, two, again].map((id) => sessions.get(id) !== undefined)).toEqual([false, true, true]);
  });
});
