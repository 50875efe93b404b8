import { once } from 'node:events';
import { type IncomingMessage, request as sendHttp } from 'node:http';
import { json, text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import type { ApiOptions } from '../../../fabric/api/options.ts';
import type { Problem } from '../../../fabric/api/problem.ts';
import { cellsOf, columnsOf, csvLine } from '../../../fabric/operations/contract/csv.ts';
import { listOf, orNull, shown, words } from '../../../fabric/operations/contract/output.ts';
import { createToken } from '../../../fabric/operations/people/tokens.ts';
import { Failure } from '../../../protocol/failure.ts';
import { formatIpv6, parsePrefix } from '../../../protocol/ipv6.ts';
import { anyGroup, NETWORK, opened, registryFile } from '../place.ts';
import { applicant } from '../registry/contract/place.ts';
import { served } from './console.ts';

/** A fabric of so many devices, and its API. */
async function fleet(count: number, options: Partial<ApiOptions> = {}) {
  const registry = opened(registryFile());
  await registry.addNetwork('anna', NETWORK, 'plant');
  const group = await registry.addGroup('anna', anyGroup());
  const addresses: string[] = [];
  for (let n = 0; n < count; n++) addresses.push(formatIpv6(await registry.admit(applicant(group))));
  const { port, close } = await served(registry, options);
  const running = { notify: async () => 'in force', presence: async () => undefined };
  const context = { registry, running, now: Date.now, actor: 'anna' };
  const tokenOf = async (role: 'auditor' | 'installer') =>
    createToken.run(context, { name: role, role, days: 1 });
  const { token, id } = await tokenOf('auditor');
  const get = (path: string, headers: Record<string, string> = {}, by = token): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}/api/v1${path}`, {
      headers: { authorization: `Bearer ${by}`, ...headers },
    });
  return { registry, addresses, get, tokenOf, id, port, token, close };
}

test('a list is a file for whoever accepts CSV or NDJSON, or says so in a link; else it is a page', async () => {
  const { get, addresses } = await fleet(3);
  const lines = async (response: Response): Promise<string[]> =>
    (await response.text()).trimEnd().split(/\r?\n/);
  for (const [path, accept, type, file] of [
    ['/devices', 'text/csv', 'text/csv; charset=utf-8; header=present', 'devices.csv'],
    ['/devices?format=csv', '*/*', 'text/csv; charset=utf-8; header=present', 'devices.csv'],
    ['/devices', 'application/x-ndjson', 'application/x-ndjson; charset=utf-8', 'devices.ndjson'],
    ['/devices?format=ndjson', 'text/csv', 'application/x-ndjson; charset=utf-8', 'devices.ndjson'],
  ] as const) {
    const response = await get(path, { accept });
    expect([path, accept, response.status, response.headers.get('content-type')]).toEqual([
      path,
      accept,
      200,
      type,
    ]);
    expect(response.headers.get('content-disposition')).toBe(`attachment; filename="${file}"`);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const rows = (await lines(response)).slice(file.endsWith('csv') ? 1 : 0);
    expect(rows).toHaveLength(3);
    for (const [i, row] of rows.entries()) expect(row).toContain(addresses[i]);
  }
  for (const [path, accept] of [
    ['/devices', '*/*'],
    ['/devices', 'application/json, text/csv'],
    ['/devices?format=json', 'text/csv'],
    ['/overview', 'text/csv'],
  ] as const) {
    const response = await get(path, { accept });
    expect([path, accept, response.headers.get('content-type')]).toEqual([
      path,
      accept,
      'application/json; charset=utf-8',
    ]);
    await response.json();
  }
});

test('it has the rows that the fields of the request ask for, all or as many as are wanted', async () => {
  const { get, addresses, registry } = await fleet(12);
  const devices = async (query: string): Promise<string[]> =>
    (await (await get(`/devices?format=ndjson${query}`)).text())
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { address: string }).address);
  expect(await devices('')).toEqual(addresses);
  expect(await devices('&limit=5')).toEqual(addresses.slice(0, 5));
  expect(await devices('&limit=5000')).toEqual(addresses);
  expect(await devices('&standing=banned')).toEqual([]);
  expect(await (await get('/devices?standing=banned&format=csv')).text()).toMatch(
    /^address,name,[^\n]*\r\n$/,
  );
  const { next } = (await (await get('/devices?limit=4')).json()) as { next: string };
  expect(await devices(`&after=${next}`)).toEqual(addresses.slice(4));
  await registry.addNetwork('anna', parsePrefix('fd00:9::/64'), '=1+1');
  expect(await (await get('/networks?format=csv')).text()).toContain(",'=1+1,");
  for (const query of [
    'limit=0',
    'limit=many',
    'limit=-1',
    'format=xml',
    'colour=red',
    'standing=lost',
    'after=nowhere',
  ]) {
    const response = await get(`/devices?${query.includes('format') ? '' : 'format=csv&'}${query}`);
    expect([query, response.status, response.headers.get('content-type')]).toEqual([
      query,
      400,
      'application/problem+json; charset=utf-8',
    ]);
  }
});

test('a link says for which owner it is, as the header does', async () => {
  const asked: unknown[] = [];
  const { get } = await fleet(0, {
    async call(name, { owner }, input) {
      if (name === 'network-list') asked.push([owner, input]);
      return { view: { rows: [] } };
    },
  });
  await (await get('/networks?format=csv&owner=acme')).text();
  await (await get('/networks?format=ndjson', { 'enf-owner': 'acme' })).text();
  expect(asked).toEqual([
    ['acme', { limit: 1_000 }],
    ['acme', { limit: 1_000 }],
  ]);
  // A page of JSON is asked for with headers.
  await (await get('/networks?owner=acme')).text();
  expect(asked[2]).toEqual([undefined, { owner: 'acme', limit: 50 }]);
});

test('it is for whoever may read the list', async () => {
  const { get, tokenOf, registry, id } = await fleet(1);
  const installer = await tokenOf('installer');
  const refused = await get('/handshakes?format=csv', {}, installer.token);
  expect([refused.status, ((await refused.json()) as Problem).code]).toEqual([403, 'access.forbidden']);
  expect((await get('/devices?format=csv', {}, installer.token)).status).toBe(200);
  await registry.revokeToken('anna', id);
  expect((await get('/devices?format=csv')).status).toBe(401);
});

/** A list without end, of rows of 40 kB, and the numbers of the pages that were asked for; `page` runs before each. */
async function endless(page: (number: number) => void = () => {}) {
  const asked: number[] = [];
  const { port, token, close } = await fleet(0, {
    async call(name, _caller, input) {
      if (name !== 'network-list') return { view: {} };
      const number = Number((input as { after?: string }).after ?? 0);
      page(number);
      asked.push(number);
      return { view: { rows: [{ prefix: 'x'.repeat(40_000) }], next: String(number + 1) } };
    },
  });
  /** A reader with a connection of its own, which has read nothing yet. */
  const reader = (): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}` };
      sendHttp({ port, path: '/api/v1/networks?format=ndjson', headers, agent: false }, resolve)
        .on('error', reject)
        .end();
    });
  return { asked, reader, close };
}

/** Waits until a number stays as it is. */
async function settled(number: () => number): Promise<number> {
  let before = -1;
  const isSame = (): boolean => {
    const same = number() === before;
    before = number();
    return same;
  };
  await expect.poll(isSame, { interval: 200, timeout: 20_000 }).toBe(true);
  return before;
}

test('whoever does not read is not read for, and whoever goes ends it', async () => {
  const { asked, reader } = await endless();
  const response = await reader();
  // What the buffers of two sockets hold, of an endless list.
  const filled = await settled(() => asked.length);
  expect(filled).toBeGreaterThan(1);
  expect(filled * 40_000).toBeLessThan(32 * 1024 * 1024);
  response.resume();
  await expect.poll(() => asked.length).toBeGreaterThan(filled);
  response.on('error', () => {}).destroy();
  // A page costs nothing here: without an end there would be more of them at once.
  await settled(() => asked.length);
});

test('two go on for each token; a third is refused until one has ended', async () => {
  const { reader } = await endless();
  const first = await reader();
  await reader();
  const third = await reader();
  expect([third.statusCode, third.headers['retry-after']]).toEqual([503, '5']);
  expect(await json(third)).toMatchObject({ code: 'request.too-many-exports', remedy: 'retry' });
  first.on('error', () => {}).destroy();
  await expect.poll(async () => (await reader()).resume().statusCode).toBe(200);
});

test('the end of the console waits for none', async () => {
  const { asked, reader, close } = await endless();
  const response = await reader();
  const ended = once(response, 'error');
  response.resume();
  await expect.poll(() => asked.length).toBeGreaterThan(10);
  await close();
  expect(await ended).toMatchObject([{ code: 'ECONNRESET' }]);
});

test('what ends before its end is not taken for whole', async () => {
  const { reader } = await endless((number) => {
    if (number === 3) throw new Failure('access.bad-token', 'operator', 'the token was revoked');
  });
  const response = await reader();
  expect(response.statusCode).toBe(200);
  await expect(text(response)).rejects.toMatchObject({ code: 'ECONNRESET' });
});

test('a row becomes cells: objects are columns, null is empty, lists are JSON, formulas are text', () => {
  const schema = shown({
    name: words('A name.'),
    last: orNull(shown({ at: words('When.'), why: orNull(shown({ code: words('A code.') })) })),
    names: listOf(words('A name.')),
  });
  const columns = columnsOf(schema);
  expect(columns.map((column) => column.join('.'))).toEqual(['name', 'last.at', 'last.why.code', 'names']);
  const line = (row: object): string => csvLine(cellsOf(row, columns));
  expect(line({ name: 'a, "b"', last: { at: 'now', why: null }, names: ['x', 'y'] })).toBe(
    '"a, ""b""",now,,"[""x"",""y""]"\r\n',
  );
  expect(line({ name: '=HYPERLINK("x")', last: null, names: [] })).toBe(`"'=HYPERLINK(""x"")",,,[]\r\n`);
  for (const begin of ['=', '+', '-', '@', '\t', '\r'])
    expect(line({ name: `${begin}1`, last: null })).toMatch(/^"?'/);
});
