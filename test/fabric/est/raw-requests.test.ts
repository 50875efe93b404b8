/** What the EST server answers on the wire: to what is no request, and to whoever has not sent its body yet. */
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issueCodes } from '../../../fabric/access/codes.ts';
import { estHandler, LARGEST_BODY, notUnderstood } from '../../../fabric/est/server.ts';
import { openIdentity } from '../../../factory/station/identity.ts';
import { type HttpsServer, serveHttps } from '../../../os/net/https.ts';
import { scratch } from '../../factory/folders.ts';
import { lastAnswer, type RawAnswer } from '../../raw-http.ts';

const path = scratch();
const [CODE] = issueCodes(1) as [string];
const REQUEST = Buffer.from([0x30, 2, 1, 2]).toString('base64');
const errors: unknown[] = [];
let server: HttpsServer;
/** A clock that goes on with each request, so that no rate is met. */
let clock = 0;

beforeAll(async () => {
  const { key, certificate } = await openIdentity(path('identity'));
  const handle = estHandler(
    async () => [Uint8Array.of(0x30, 1, 7)],
    () => (clock += 10_000),
  );
  server = await serveHttps({
    ...{ what: 'the EST server', key, certificate, address: { host: '127.0.0.1', port: 0 } },
    ...{ connections: 64, bodyBytes: LARGEST_BODY, broken: notUnderstood, requestMs: 60_000, handle },
    onError: (error) => errors.push(error),
  });
});
afterAll(() => server.close());

async function open(): Promise<{ readonly socket: TLSSocket; readonly answer: Promise<RawAnswer> }> {
  const socket = connect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  return { socket, answer: lastAnswer(socket) };
}

async function sent(bytes: string): Promise<RawAnswer> {
  const { socket, answer } = await open();
  socket.write(Buffer.from(bytes, 'latin1'));
  return answer;
}

const basic = `Authorization: Basic ${Buffer.from(`any:${CODE}`).toString('base64')}\r\n`;
const enroll = (length: number, more = ''): string =>
  `POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\nContent-Type: application/pkcs10\r\nContent-Length: ${length}\r\n${more}\r\n`;
const get = (more: string, line = 'GET /.well-known/est/cacerts HTTP/1.1'): string =>
  `${line}\r\nHost: x\r\n${more}\r\n`;

describe('before its body has come, a request is told', () => {
  it.each([
    ['that it needs a code', enroll(100), 401, 'pki.bad-code'],
    ['that its code is none', enroll(100, 'Authorization: Basic eDp5\r\n'), 401, 'pki.bad-code'],
    ['that the body will be too large', enroll(LARGEST_BODY + 1, basic), 413, 'pki.request-too-large'],
    [
      'that there is nothing',
      get('Content-Length: 9\r\n', 'POST /.well-known/est/fullcmc HTTP/1.1'),
      404,
      'pki.no-operation',
    ],
  ])('%s', async (_, bytes, status, code) => {
    const answer = await sent(bytes);
    expect(answer).toMatchObject({ status, body: expect.stringMatching(`^${code}: .+\n.+\n$`) });
    expect(answer.headers).toMatchObject({
      connection: 'close',
      'content-type': 'text/plain; charset=utf-8',
    });
  });

  it('and one with a code is waited for', async () => {
    const { socket, answer } = await open();
    socket.write(enroll(REQUEST.length, basic));
    socket.write(REQUEST.slice(0, 3));
    await new Promise((resolve) => setImmediate(resolve));
    socket.write(REQUEST.slice(3));
    expect(await answer).toMatchObject({ status: 200 });
  });

  it('and one that asks first sends its body only if that is wanted', async () => {
    const refused = await sent(enroll(REQUEST.length, 'Expect: 100-continue\r\n'));
    expect([refused.status, refused.whole]).toEqual([401, expect.not.stringContaining(' 100 ')]);
    const { socket, answer } = await open();
    socket.write(enroll(REQUEST.length, `${basic}Expect: 100-continue\r\n`));
    expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1\.1 100 /);
    socket.write(REQUEST);
    expect(await answer).toMatchObject({ status: 200 });
  });
});

it('the answer reaches whoever goes on sending', async () => {
  for (const more of ['', basic]) {
    const { socket, answer } = await open();
    socket.write(enroll(500_000, more));
    for (let i = 0; i < 50; i++) socket.write(Buffer.alloc(10_000, 'A'));
    expect(await answer).toMatchObject({ status: more === '' ? 401 : 413 });
  }
});

describe('what is no request is answered in words, with a code', () => {
  it.each([
    ['no HTTP at all', 'hello\r\n\r\n', 400],
    ['a method that HTTP does not have', get('', 'FETCH /.well-known/est/cacerts HTTP/1.1'), 400],
    ['no host', 'GET /.well-known/est/cacerts HTTP/1.1\r\n\r\n', 400],
    ['headers without end', get(`X: ${'y'.repeat(20_000)}\r\n`), 431],
    ['another expectation', get('Expect: a miracle\r\n'), 417],
    ['CONNECT', 'CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: x\r\n\r\n', 405],
    [
      'a chunk without a size',
      `${enroll(0, `${basic}Transfer-Encoding: chunked\r\n`).replace('Content-Length: 0\r\n', '')}x\r\n`,
      400,
    ],
  ])('%s', async (_, bytes, status) => {
    const answer = await sent(bytes);
    expect(answer).toMatchObject({ status, body: expect.stringMatching(/^pki\.not-http: .+\n.+\n$/) });
    expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
  });

  it('and nothing of it is a mistake in here', () => {
    expect(errors).toEqual([]);
  });
});
