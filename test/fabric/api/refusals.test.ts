import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROUTES, type Route } from '../../../fabric/api/routes.ts';
import { type Api, startApi } from '../../../fabric/api/server.ts';
import { startControl } from '../../../fabric/control.ts';
import { emptyRegistry, openRegistry } from '../../../fabric/open-registry.ts';
import { requestFor } from '../../../fabric/operations/contract/request.ts';
import { createToken } from '../../../fabric/operations/people/tokens.ts';
import { askRunning } from '../../../fabric/operations/running.ts';
import { foundAuthority } from '../../../fabric/pki/found.ts';
import { openAuthority } from '../../../fabric/pki/keeper.ts';
import type { Control } from '../../../os/net/control-socket.ts';
import type { WholeRegistry as Registry } from '../place.ts';
import { wholeOf } from '../place.ts';

/*
 * Every operation of the catalogue with input that is wrong, at both doors: the API and the control socket. What is wrong is made from the schema of
 * the input, so that a new operation is tried as it comes.
 */

const folder = mkdtempSync(join(tmpdir(), 'enf-refusals-'));
const socket = join(folder, 'control.sock');
const errors = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
const log: string[] = [];
let registry: Registry;
let control: Control;
let api: Api;

beforeAll(async () => {
  const data = join(folder, 'fabric');
  await foundAuthority(data, 'test');
  writeFileSync(join(folder, 'registry.db'), emptyRegistry('test'));
  registry = wholeOf(await openRegistry(join(folder, 'registry.db')));
  const note = (level: string, line: string): void => void log.push(`${level} ${line}`);
  control = await startControl(socket, { registry, keys: openAuthority(data), log: note });
  api = await startApi({
    listen: { host: '127.0.0.1', port: 0 },
    news: async () => undefined,
    call: async (name, caller, input) =>
      (await askRunning(socket, name, { actor: 'console', ...caller, input })) as never,
    version: '1.2.3',
    log: note,
  });
});
afterAll(async () => {
  await api.close();
  await control.close();
  await registry.close();
  rmSync(folder, { recursive: true });
});

interface Field {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
}

/** A value that the schema takes; whatever it means. */
function fitting({ type, enum: words, minimum }: Field): unknown {
  if (words !== undefined) return words[0];
  if (type === 'integer') return minimum;
  return type === 'boolean' ? true : 'x';
}

/** Values that the schema does not take. */
function unfitting({ type, enum: words, minimum = 0, maximum = 0, maxLength = 0 }: Field): unknown[] {
  // A list may be empty.
  if (type === 'array') return [null, {}, 'x', 7, [null], [{}], Array.from({ length: 5_000 }, () => 'x')];
  const any = [null, {}, [], Array.from({ length: 5_000 }, () => 'x'), { $gt: '' }];
  if (words !== undefined) return [...any, 7, 'x'.repeat(5_000), `${words[0]} `];
  if (type === 'integer') return [...any, 'x', true, minimum - 1, maximum + 1, minimum + 0.5];
  if (type === 'boolean') return [...any, 'true', 1];
  return [...any, 7, true, 'x'.repeat(maxLength + 1), 'a\u0000b', '\u202ex', 'a\nb'];
}

const fitsAll = ({ fields, required }: Route): Record<string, unknown> =>
  Object.fromEntries(required.map((name) => [name, fitting(fields[name] as Field)]));

/** Inputs that are refused for their shape, each with what is wrong of it. */
function wrongInputs(route: Route): [what: string, input: Record<string, unknown>][] {
  const good = fitsAll(route);
  const { [route.required[0] ?? '']: _, ...missing } = good;
  return [
    ['an unknown field', { ...good, colour: 'red' }],
    ['an unknown field that objects have', { ...good, constructor: 1 }],
    ...(route.required.length === 0
      ? []
      : ([[`no ${route.required[0]}`, missing]] as [string, Record<string, unknown>][])),
    ...Object.entries(route.fields).flatMap(([name, field]) =>
      unfitting(field as Field).map((value): [string, Record<string, unknown>] => [
        `${name} = ${JSON.stringify(value).slice(0, 40)}`,
        { ...good, [name]: value },
      ]),
    ),
  ];
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: { code?: string }) => error.code ?? String(error),
  );

const atSocket = (name: string, input: unknown): Promise<string> =>
  codeOf(askRunning(socket, name, { actor: 'alice', input }));

/** A token that the fabric has accepted: until then requests count for their source, and there are more here than one may send. */
const tokenOf = async (): Promise<string> => {
  const on = {
    registry,
    running: { notify: async () => '', presence: async () => undefined },
    actor: 'alice',
  };
  const { token } = await createToken.run({ ...on, now: Date.now }, { name: 'x', role: 'host', days: 1 });
  const { status } = await fetch(`http://127.0.0.1:${api.port}/api/v1/me`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(status).toBe(200);
  return token;
};

interface Refused {
  readonly status: number;
  readonly code: string;
  readonly remedy: string;
}

/** Sends the input as it is: fields that are no text go into the body, where a GET has none. */
async function atApi(route: Route, token: string, input: Record<string, unknown>): Promise<Refused> {
  const { path, body } = requestFor(route, input);
  const response = await fetch(`http://127.0.0.1:${api.port}/api/v1${path}`, {
    method: route.method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const answer = (await response.json()) as Refused;
  if (response.status !== 200) {
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    expect(answer.status).toBe(response.status);
  }
  return { ...answer, status: response.status };
}

/** Does each value arrive at the operation as what it is? Path and query are text; and without `limit` a page has 50 rows. */
function travels({ method, inPath, fields, required }: Route, input: Record<string, unknown>): boolean {
  if ([...inPath, 'limit'].some((name) => required.includes(name) && input[name] === undefined)) return false;
  return Object.entries(input).every(([name, value]) => {
    if (method !== 'GET' && !inPath.includes(name)) return true;
    const isNumber = (fields[name] as Field | undefined)?.type === 'integer';
    if (typeof value === 'number') return isNumber;
    if (typeof value !== 'string' || value === '' || (isNumber && /^\d+$/.test(value))) return false;
    return !inPath.includes(name) || value.length <= LONGEST_IN_PATH;
  });
}

/** Of a field in a path; longer ones are no path of the API. */
const LONGEST_IN_PATH = 200;

const seqOf = async (): Promise<number> => (await registry.audit({ limit: 1 })).rows[0]!.seq;

test.each(ROUTES.map((route) => [route.name, route] as const))(
  '%s refuses whatever its schema does not take, by name, at both doors',
  async (name, route) => {
    const token = await tokenOf();
    const before = await seqOf();
    let tried = 0;
    for (const [what, input] of wrongInputs(route)) {
      expect(await atSocket(name, input), what).toBe('fabric.bad-input');
      if (!travels(route, input)) continue;
      tried++;
      expect(await atApi(route, token, input), what).toMatchObject({ status: 400, code: 'fabric.bad-input' });
    }
    for (const input of [undefined, null, 7, 'x', [], [[]]])
      expect(await atSocket(name, input)).toBe('fabric.bad-input');
    if (route.method !== 'GET') {
      const { path } = requestFor(route, fitsAll(route));
      const answer = await fetch(`http://127.0.0.1:${api.port}/api/v1${path}?colour=red`, {
        method: route.method,
        headers: { authorization: `Bearer ${token}` },
      });
      expect([answer.status, ((await answer.json()) as Refused).code]).toEqual([400, 'request.malformed']);
    }
    expect(tried + route.inPath.length).toBeGreaterThan(0);
    expect(await seqOf()).toBe(before);
  },
);

/** Ids of every kind, of things that are not there or are something else. */
const FOREIGN: readonly unknown[] = [
  'fd00:dead::1',
  'fd00:dead::/64',
  '::ffff:192.0.2.1',
  '192.0.2.1',
  'ff'.repeat(32),
  'ff'.repeat(16),
  'nobody',
  '999999999',
  '1; DROP TABLE device',
  '../../etc/passwd',
  '%',
  999_999_999,
];
/** Fields that name something that has to be there. */
const NAMES = ['address', 'by', 'prefix', 'network', 'gid', 'device', 'id', 'person'];
/** A job of a filter that finds nothing is done, and changes nothing. */
const FILTERS = ['device-bulk network'];
/** What an operation says of a name that is none, or of something else than it has. */
const REFUSED =
  /^(?:fabric\.(?:bad-input|bad-network|unknown-[a-z]+|ambiguous-[a-z]+)|jobs\.unknown|ipv6\.bad-[a-z]+|bytes\.bad-hex|label\.[a-z-]+|pki\.[a-z-]+)$/;

const naming = ROUTES.filter(
  ({ name, fields }) => name !== 'network-add' && NAMES.some((each) => each in fields),
);

test.each(naming.map((route) => [route.name, route] as const))(
  '%s refuses ids of another kind and of what is not there, at both doors',
  async (name, route) => {
    const token = await tokenOf();
    const before = await seqOf();
    for (const field of NAMES.filter(
      (each) => each in route.fields && !FILTERS.includes(`${name} ${each}`),
    )) {
      for (const id of FOREIGN) {
        const others = NAMES.filter((each) => each !== field && route.required.includes(each));
        const input = {
          ...fitsAll(route),
          ...Object.fromEntries(others.map((each) => [each, 'fd00:dead::2'])),
          [field]: id,
        };
        const said = await atSocket(name, input);
        const what = `${field} = ${id}: ${said}`;
        if (said === 'done') {
          // A list of what nobody has is empty.
          expect(route.method, what).toBe('GET');
          continue;
        }
        expect(said, what).toMatch(REFUSED);
        expect(errors, what).toContain(`\`${said}\``);
        if (!travels(route, input)) continue;
        const { status, code } = await atApi(route, token, input);
        expect(code, what).toMatch(REFUSED);
        expect([400, 404, 409], what).toContain(status);
      }
    }
    expect(await seqOf()).toBe(before);
  },
);

test('none of that was an error of the program', () => {
  expect(log.filter((line) => line.startsWith('error'))).toEqual([]);
});
