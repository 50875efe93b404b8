import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, startApi } from '../../../fabric/api/server.ts';
import { lastAnswer, type RawAnswer } from '../../raw-http.ts';

/*
 * Requests as bytes, such as no client of HTTP would send: whatever comes, the answer is a problem with a code.
 */

let api: Api;
/** Holds what the fabric is asked until it is let go. */
let answered: Promise<void> = Promise.resolve();
const start = (): Promise<Api> =>
  startApi({
    listen: { host: '127.0.0.1', port: 0 },
    news: async () => undefined,
    call: async () => {
      await answered;
      return undefined;
    },
    version: '1.2.3',
    log: (level, line) => void (level === 'error' && log.push(line)),
  });
const log: string[] = [];
beforeAll(async () => {
  api = await start();
});
afterAll(() => api.close());

async function open(port = api.port): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  return socket;
}

/** Sends bytes and reads until the server closes. */
async function sent(bytes: string): Promise<RawAnswer> {
  const socket = await open();
  const answer = lastAnswer(socket);
  socket.write(Buffer.from(bytes, 'latin1'));
  return answer;
}

function expectProblem({ status, headers, body }: RawAnswer, code?: string): void {
  expect(headers['content-type'], body).toMatch(/^application\/problem\+json/);
  const problem = JSON.parse(body);
  expect(problem).toMatchObject({ status, title: expect.any(String), remedy: expect.any(String) });
  expect(problem.type).toBe(`urn:enf:failure:${problem.code}`);
  expect(problem.detail.length).toBeGreaterThan(0);
  if (code !== undefined) expect([status, problem.code]).toEqual([status, code]);
}

const rest = 'Host: localhost\r\nConnection: close\r\n\r\n';
const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\n${more}${rest}`;
const post = (type: string, body: string): string =>
  `POST /api/v1/session HTTP/1.1\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n${rest}${body}`;

describe('a request as bytes is answered with a problem', () => {
  test.each([
    ['a path that is no UTF-8', get('/api/v1/networks/%ff'), 400, 'request.malformed'],
    ['a path with half an escape', get('/api/v1/networks/%f'), 400, 'request.malformed'],
    ['a page that is no UTF-8', get('/%c0%ae%c0%ae/'), 400, 'request.malformed'],
    ['a part of a path that is too long', get(`/api/v1/groups/${'f'.repeat(900)}`), 400, 'request.malformed'],
    ['a path that is not there', get('/api/v1/../etc/passwd'), 404, 'request.not-found'],
    ['a whole address', get('http://elsewhere.example/api/v1/me'), 401, 'access.not-signed-in'],
    ['a method that HTTP does not have', `FETCH /api/v1/me HTTP/1.1\r\n${rest}`, 400, 'request.malformed'],
    ['a method in lower case', `get /api/v1/me HTTP/1.1\r\n${rest}`, 400, 'request.malformed'],
    ['a method for others', `PROPFIND /api/v1/me HTTP/1.1\r\n${rest}`, 404, 'request.not-found'],
    ['TRACE', `TRACE /api/v1/me HTTP/1.1\r\n${rest}`, 404, 'request.not-found'],
    ['CONNECT', `CONNECT elsewhere.example:443 HTTP/1.1\r\n${rest}`, 400, 'request.malformed'],
    ['no host', 'GET /api/v1/me HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'request.malformed'],
    ['another version', `GET /api/v1/me HTTP/4.2\r\n${rest}`, 400, 'request.malformed'],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 'request.malformed'],
    ['a space in a header', get('/api/v1/me', 'X y: z\r\n'), 400, 'request.malformed'],
    [
      'headers without end',
      get('/api/v1/me', `X: ${'y'.repeat(100_000)}\r\n`),
      431,
      'request.headers-too-large',
    ],
    [
      'two lengths',
      get('/api/v1/me', 'Content-Length: 1\r\nContent-Length: 2\r\n'),
      400,
      'request.malformed',
    ],
    [
      'a length and chunks',
      get('/api/v1/me', 'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'),
      400,
      'request.malformed',
    ],
    [
      'a chunk without a size',
      `POST /api/v1/session HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n${rest}x\r\n`,
      400,
      'request.malformed',
    ],
    ['another expectation', get('/api/v1/me', 'Expect: a miracle\r\n'), 417, 'request.bad-expectation'],
    ['a type that is unknown', post('application/xml', '<x/>'), 415, 'request.bad-type'],
    ['a type that is none', post(';;;', '{}'), 415, 'request.bad-type'],
    ['a form', post('application/x-www-form-urlencoded', 'a=b'), 415, 'request.bad-type'],
    ['JSON that is none', post('application/json', '{'), 400, 'request.malformed'],
    ['JSON that is nothing', post('application/json', ''), 400, 'request.malformed'],
    [
      'a body that is too large',
      post('application/json', `"${'x'.repeat(70_000)}"`),
      413,
      'request.too-large',
    ],
    ['an upgrade', get('/api/v1/nothing', 'Upgrade: websocket\r\n'), 404, 'request.not-found'],
  ])('%s', async (_, bytes, status, code) => {
    const answer = await sent(bytes);
    expectProblem(answer, code);
    expect(answer.status).toBe(status);
  });

  test('also where bytes of a good one are others', async () => {
    const good = post('application/json', '{"name":"x","password":"y"}').replace(
      'Connection: close\r\n',
      'Connection: close\r\nAccept: application/json\r\n',
    );
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return Math.floor((seed / 2 ** 31) * below);
    };
    const lineEnd = good.indexOf('\r\n');
    const statuses = new Set<number>();
    for (let i = 0; i < 120; i++) {
      const at = random(i % 2 === 0 ? lineEnd : good.length);
      const bytes = `${good.slice(0, at)}${String.fromCharCode(random(256))}${good.slice(at + 1)}`;
      const socket = await open();
      const answer = lastAnswer(socket);
      // What waits for more is told that there is no more.
      socket.end(Buffer.from(bytes, 'latin1'));
      const found = await answer.catch(() => undefined);
      if (found === undefined) continue;
      statuses.add(found.status);
      expectProblem(found);
    }
    expect([...statuses].sort()).toEqual(expect.arrayContaining([400, 404]));
  });

  test('and none of that is an error of the program', () => {
    expect(log).toEqual([]);
  });
});

test('a request on a connection that is open while the console stops is told to come again', async () => {
  const own = await start();
  let go = (): void => {};
  answered = new Promise((resolve) => {
    go = resolve;
  });
  const socket = await open(own.port);
  const answer = lastAnswer(socket);
  const token = `Authorization: Bearer enft_${'a'.repeat(43)}\r\n`;
  socket.write(`GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\n${token}\r\n`);
  await new Promise((resolve) => setImmediate(resolve));
  const closed = own.close();
  socket.write(get('/api/v1/openapi.json'));
  go();
  const { whole } = await answer;
  await closed;
  expect(whole).toContain('request.stopping');
});
