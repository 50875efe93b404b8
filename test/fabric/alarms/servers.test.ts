import { expect, test } from 'vitest';
import { serversAmiss } from '../../../fabric/alarms/servers.ts';
import { alarmText } from '../../../fabric/operations/alarm-text.ts';
import type { ServerState } from '../../../fabric/registry/alarms.ts';

const AT = 86_400_000;
const LONG = AT - 300_000;
const server = (place: string, state: Partial<ServerState>): ServerState => ({
  ...{ place, at: AT, primary: false, used: false, ...state },
});
const used = server('a:5432', { primary: true, used: true });
const since = '1970-01-01T23:55:00.000Z';
const text = (servers: readonly ServerState[]) => serversAmiss(servers).map((each) => alarmText(each).what);

test('servers of which one takes changes, and the others keep up, are as they should be', () => {
  expect(serversAmiss([])).toEqual([]);
  expect(serversAmiss([used])).toEqual([]);
  const behind = { since: AT, bytes: 5 };
  expect(serversAmiss([used, server('b:5432', {}), server('c:5432', { behind })])).toEqual([]);
});

test('two that take changes are told of at once, with the one that is used', () => {
  const other = server('b:5432', { primary: true });
  const about = { kind: 'registry.two-primaries', owner: 0, subject: 'registry' };
  expect(serversAmiss([other, used])).toEqual([
    { ...about, detail: { servers: 'b:5432 and a:5432', used: 'a:5432' } },
  ]);
  expect(text([other, used])).toEqual([
    'b:5432 and a:5432 take changes at once: what is written to one, the others lack. This fabric uses a:5432.',
  ]);
  expect(text([other, { ...used, used: false }])).toEqual([expect.stringMatching(/None of them is used\.$/)]);
});

test('one that is away is told of after five minutes', () => {
  const away = (at: number) => [used, server('b:5432', { lost: { since: at, why: 'refused' } })];
  expect(serversAmiss(away(LONG + 1))).toEqual([]);
  expect(serversAmiss(away(LONG))).toEqual([
    { kind: 'registry.server-lost', owner: 0, subject: 'b:5432', detail: { since, why: 'refused' } },
  ]);
});

test('a standby that lacks what was written five minutes ago is told of, also one that never will have it', () => {
  const late = (behind: ServerState['behind'] & object) => [used, server('b:5432', { behind })];
  expect(serversAmiss(late({ since: LONG + 1, bytes: 5 }))).toEqual([]);
  expect(serversAmiss(late({ since: LONG, bytes: 5 }))).toEqual([
    { kind: 'registry.standby-behind', owner: 0, subject: 'b:5432', detail: { since, bytes: 5 } },
  ]);
  expect(text(late({ since: LONG, bytes: 2 ** 30 }))[0]).toContain('1,024 MB of log');
  expect(text(late({ since: LONG }))[0]).toContain('follows another database');
});
