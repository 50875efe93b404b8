import { afterAll, beforeAll, expect, test } from 'vitest';
import { pathsOf } from '../../strict.ts';
import { inventory } from './inventory.ts';
import { accounts, owners, signingIn } from './people.ts';
import { certificateAuthorities, issuing } from './pki.ts';
import { close, described, NEVER, open, seen } from './place.ts';
import { alarmsAndKeys, events, handshakes, nodes } from './watching.ts';

/*
 * A story in which every request of the API is answered at least once, and every field of every answer has a value at least once.
 */

beforeAll(open);
afterAll(close);

test.each([
  ['networks, groups and devices', inventory],
  ['CAs', certificateAuthorities],
  ['a CA of the fabric, its codes and what it issues', issuing],
  ['handshakes, numbers and the audit trail', handshakes],
  ['alarms, hooks, people, tokens and certificates', alarmsAndKeys],
  ['signing in, and what people do for themselves', signingIn],
  ['accounts elsewhere', accounts],
  ['owners', owners],
  ['nodes', nodes],
  ['events', events],
] as const)('%s: every answer is as it is described', (_, tell) => tell());

test('every request was answered: a new one needs a schema, and a place in this story', () => {
  expect([...described.keys()].filter((name) => !seen.requests.has(name))).toEqual([]);
});

test('every field of every answer has had a value', () => {
  const all = new Set([...described].flatMap(([name, schema]) => pathsOf(schema, name)));
  expect([...all].filter((path) => !seen.paths.has(path)).sort()).toEqual(NEVER);
});
