import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { patternsOf } from '../../../../fabric/api/compat/quirks.ts';
import { COMPAT_ROUTES, SIGN_IN } from '../../../../fabric/api/compat/table.ts';
import { type Exchange, exchanges, fabricWithAnna, type Shape, servedCompat } from './client.ts';

/** How an answer differs from its shape; undefined: it does not. */
function differs(shape: Shape, answer: unknown, at = 'the answer'): string | undefined {
  if (shape === null || typeof shape === 'number')
    return shape === answer ? undefined : `${at} is ${String(answer)}`;
  if (typeof shape === 'string') {
    if (shape.startsWith('=')) return answer === shape.slice(1) ? undefined : `${at} is ${String(answer)}`;
    const kind = answer === null ? 'null' : typeof answer === 'string' ? 'text' : typeof answer;
    return shape.split(' or ').includes(kind) ? undefined : `${at} is ${kind}, and has to be ${shape}`;
  }
  if (Array.isArray(shape)) {
    if (!Array.isArray(answer)) return `${at} is no list`;
    if ((shape.length === 0) !== (answer.length === 0)) return `${at} has ${answer.length} rows`;
    return answer.map((row, i) => differs(shape[0]!, row, `${at}[${i}]`)).find((each) => each !== undefined);
  }
  const names = Object.keys(answer as object)
    .sort()
    .join();
  if (names !== Object.keys(shape).sort().join()) return `${at} has ${names}`;
  return Object.entries(shape)
    .map(([name, each]) => differs(each, (answer as Record<string, unknown>)[name], `${at}.${name}`))
    .find((each) => each !== undefined);
}

/** Fills what stands in braces with what was kept. */
const filled = <T>(given: T, kept: Readonly<Record<string, string>>): T =>
  JSON.parse(
    JSON.stringify(given ?? null).replace(/\{(\w+)\}/g, (all, name: string) => kept[name] ?? all),
  ) as T;

const partOf = (answer: unknown, path: string): string =>
  String(path.split('.').reduce((part, name) => (part as Record<string, unknown>)[name], answer));

/** The row of the table that answers an exchange. */
function rowOf({ method, path }: Pick<Exchange, 'method' | 'path'>): string | undefined {
  const plain = path.split('?')[0]!.replace('{network}', 'fd00::/64');
  const row = [SIGN_IN, ...COMPAT_ROUTES].find(
    (route) =>
      route.method === method &&
      patternsOf(route.path).some((url) => new RegExp(`^${url.replace(/:\w+/g, '[^/]+')}$`).test(plain)),
  );
  return row && `${row.method} ${row.path}`;
}

describe('existing clients', () => {
  test('get what they expect, call by call', async () => {
    const client = await servedCompat(await fabricWithAnna());
    const kept: Record<string, string> = {};
    for (const exchange of exchanges) {
      const { call, method, path, body, open, status, answer, keep = {} } = exchange;
      const got = await client.send(method, filled(path, kept), {
        ...(body !== undefined && { body: filled(body, kept) }),
        token: open ? undefined : kept.token,
      });
      expect([call, got.status, got.status === status ? '' : got.body]).toEqual([call, status, '']);
      expect(differs(filled(answer, kept), got.body), call).toBeUndefined();
      expect(got.headers.get('content-type'), call).toMatch(/^application\/json/);
      expect(got.headers.get('cache-control'), call).toBe('no-store');
      for (const [name, where] of Object.entries(keep)) kept[name] = partOf(got.body, where);
    }
  });

  test('have a recorded request for each row of the table', () => {
    const all = [SIGN_IN, ...COMPAT_ROUTES].map(({ method, path }) => `${method} ${path}`);
    const recorded = new Set(exchanges.map(rowOf));
    expect(all.filter((row) => !recorded.has(row))).toEqual([]);
    expect([...recorded].filter((row) => row === undefined)).toEqual([]);
  });

  test('find in docs/compat.md what there is, and what is answered 501', () => {
    const page = readFileSync(new URL('../../../../docs/compat.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| `([A-Z, ]+) (\/\S+)` \| (.+) \|$/gm)].flatMap(
      ([, methods, path, text]) =>
        methods!
          .split(', ')
          .map((method) => ({ row: `${method} ${path}`, is501: text!.startsWith('**501**') })),
    );
    const all = [SIGN_IN, ...COMPAT_ROUTES].map(({ method, path }) => `${method} ${path}`);
    expect(rows.map(({ row }) => row).sort()).toEqual(all.sort());
    const done = new Set(exchanges.filter(({ status }) => status === 200).map(rowOf));
    expect(rows.filter(({ row, is501 }) => is501 === done.has(row))).toEqual([]);
  });

  test('find nothing where they were not let in', async () => {
    const client = await servedCompat(await fabricWithAnna(), {}, []);
    for (const { call, method, path, body } of exchanges) {
      const got = await client.send(method, path.replace(/[{}]/g, ''), { body });
      expect([got.status, (got.body as { code: string }).code], call).toEqual([404, 'request.not-found']);
    }
  });
});

test('a shape that differs is found', () => {
  expect(differs({ a: 'text' }, { a: 1 })).toBe('the answer.a is number, and has to be text');
  expect(differs({ a: 'text' }, { a: '', b: 1 })).toBe('the answer has a,b');
  expect(differs([{ a: '=x' }], [{ a: 'x' }, { a: 'y' }])).toBe('the answer[1].a is y');
  expect(differs([], [1])).toBe('the answer has 1 rows');
});
