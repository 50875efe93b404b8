/** What the EST server answers, before and after the fabric is asked. */
import { describe, expect, it } from 'vitest';
import { codeHash, issueCodes } from '../../../fabric/access/codes.ts';
import type { Asked, Authority } from '../../../fabric/est/messages.ts';
import { estHandler } from '../../../fabric/est/server.ts';
import type { SmallRequest } from '../../../os/net/https.ts';
import { Failure } from '../../../protocol/failure.ts';
import { decodeBase64 } from '../../../protocol/identity/base64.ts';

const [CODE, OTHER] = issueCodes(2) as [string, string];
const CERTIFICATE = Uint8Array.of(0x30, 1, 7);
const REQUEST = Uint8Array.of(0x30, 2, 1, 2);
const base = '/.well-known/est/';

const basic = (password: string): string => `Basic ${Buffer.from(`any:${password}`).toString('base64')}`;

/** A body that has come. */
const bodyOf = (text: string) => async () => Buffer.from(text);

/** A handler on a clock that stands still until it is moved, with what it has asked. */
function server(answer: Authority = async () => [CERTIFICATE]) {
  const asked: Asked[] = [];
  let clock = 0;
  const handle = estHandler(
    async (question) => {
      asked.push(question);
      return answer(question);
    },
    () => clock,
  );
  const send = (operation: string, more: Partial<SmallRequest> = {}) =>
    handle({
      ...{ method: operation.includes('enroll') ? 'POST' : 'GET', path: base + operation },
      ...{ authorization: undefined, contentType: 'application/pkcs10', certificate: undefined, chain: [] },
      ...{ body: bodyOf(Buffer.from(REQUEST).toString('base64')), source: '192.0.2.1', ...more },
    });
  return { send, asked, pass: (ms: number) => (clock += ms) };
}

const refusing = (code: string, remedy: 'retry' | 'operator' = 'operator'): Authority => {
  return async () => {
    // biome-ignore lint/suspicious/noExplicitAny: any code
    throw new (Failure as any)(code, remedy, 'it is so', { action: 'Do this.' });
  };
};

describe('paths and methods', () => {
  it('are those of RFC 7030, with a label or without', async () => {
    const { send, asked } = server();
    for (const path of ['', 'cacerts/', 'fullcmc', 'serverkeygen', 'plant/cacerts', '3/3/cacerts', 'CACERTS'])
      expect(await send(path), path).toMatchObject({
        ...{ status: 404, body: expect.stringMatching(/^pki\.no-operation: /) },
      });
    expect((await send('cacerts', { path: '/cacerts' })).status).toBe(404);
    expect(await send('cacerts', { method: 'POST' })).toMatchObject({
      ...{ status: 405, body: expect.stringMatching(/^pki\.no-operation: cacerts takes GET\n/) },
      headers: { allow: 'GET' },
    });
    expect(await send('simpleenroll', { method: 'GET' })).toMatchObject({
      status: 405,
      headers: { allow: 'POST' },
    });
    expect(await send('csrattrs')).toMatchObject({ status: 204, body: '' });
    expect(asked).toEqual([]);
    expect((await send('3/cacerts?x=1')).status).toBe(200);
    expect(asked).toEqual([{ kind: 'issuers', anchor: 3 }]);
  });
});

describe('who asks', () => {
  it('shows a code as the password of HTTP Basic, with any name', async () => {
    const { send, asked } = server();
    const answer = await send('simpleenroll', { authorization: basic(CODE.toUpperCase()) });
    expect(answer).toMatchObject({
      status: 200,
      headers: {
        'content-type': 'application/pkcs7-mime; smime-type=certs-only',
        'content-transfer-encoding': 'base64',
      },
    });
    expect(answer.body).toMatch(/^(?:[\w+/=]{1,64}\n)+$/);
    const der = decodeBase64(answer.body.replaceAll('\n', ''))!;
    expect(Buffer.from(der).includes(Buffer.from(CERTIFICATE))).toBe(true);
    const source = '192.0.2.1';
    expect(asked).toEqual([
      { kind: 'certificate', proof: { code: codeHash(CODE) }, request: REQUEST, source },
    ]);
  });

  it('shows a certificate to renew it, which a code is not for', async () => {
    const { send, asked } = server();
    expect((await send('simplereenroll', { authorization: basic(CODE) })).status).toBe(403);
    expect(asked).toEqual([]);
    expect((await send('simplereenroll', { certificate: CERTIFICATE })).status).toBe(200);
    expect(asked[0]).toMatchObject({ proof: { certificate: CERTIFICATE } });
  });

  it('shows a certificate of its maker with those above it in place of a code, which counts more', async () => {
    const { send, asked } = server();
    const chain = [Uint8Array.of(0x30, 1, 8)];
    expect((await send('7/simpleenroll', { certificate: CERTIFICATE, chain })).status).toBe(200);
    await send('simpleenroll', { certificate: CERTIFICATE, chain, authorization: basic(CODE) });
    expect(asked).toMatchObject([
      { proof: { maker: CERTIFICATE, chain }, anchor: 7 },
      { proof: { code: codeHash(CODE) } },
    ]);
  });

  it('may show either for the CA', async () => {
    const { send, asked } = server();
    await send('cacerts');
    await send('cacerts', { certificate: CERTIFICATE });
    expect(await send('cacerts', { certificate: CERTIFICATE, authorization: basic(CODE) })).toMatchObject({
      headers: { 'content-type': 'application/pkcs7-mime' },
    });
    expect(asked).toEqual([
      { kind: 'issuers' },
      { kind: 'issuers', proof: { certificate: CERTIFICATE } },
      { kind: 'issuers', proof: { code: codeHash(CODE) } },
    ]);
  });

  it('is told that it needs a code, whatever else it sends', async () => {
    const { send, asked } = server();
    for (const authorization of [undefined, 'Bearer x', 'Basic', 'Basic !', `Basic ${'A'.repeat(600)}`]) {
      // Which is not waited for.
      const body = () => new Promise<never>(() => {});
      const answer = await send('simpleenroll', { authorization, body, source: `192.0.2.${asked.length}` });
      expect(answer).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Basic realm="enf"' } });
      expect(answer.body).toMatch(/^pki\.bad-code: .+\n.+\n$/);
    }
    expect(asked).toEqual([]);
  });
});

describe('the body', () => {
  it('is base64 of PKCS#10, also in lines or as PEM', async () => {
    const { send, asked } = server();
    const authorization = basic(CODE);
    for (const body of [
      'MAIB\r\nAg==\n',
      '-----BEGIN CERTIFICATE REQUEST-----\nMAIBAg==\n-----END CERTIFICATE REQUEST-----\n',
    ])
      expect((await send('simpleenroll', { authorization, body: bodyOf(body) })).status).toBe(200);
    expect(asked).toMatchObject([{ request: REQUEST }, { request: REQUEST }]);
    for (const body of ['MAIBAg', 'M*IBAg==', '{}'])
      expect((await send('simpleenroll', { authorization, body: bodyOf(body) })).status).toBe(400);
    for (const contentType of [undefined, 'application/json', 'application/x-www-form-urlencoded'])
      expect((await send('simpleenroll', { authorization, contentType })).status).toBe(415);
    const larger = await send('simpleenroll', { authorization, body: async () => undefined });
    expect([larger.status, larger.body]).toEqual([413, expect.stringMatching(/^pki\.request-too-large: /)]);
    expect(asked).toHaveLength(2);
  });
});

describe('what the fabric refuses', () => {
  it.each([
    ['pki.bad-request', 400],
    ['pki.bad-code', 401],
    ['pki.not-vouched', 403],
    ['pki.address-not-free', 409],
    ['pki.revoked', 403],
    ['fabric.device-banned', 403],
    ['pki.which-ca', 404],
    ['fabric.group-full', 409],
    ['os.no-file', 500],
  ])('with %s is answered with %i', async (code, status) => {
    const { send } = server(refusing(code));
    const answer = await send('simpleenroll', { authorization: basic(CODE) });
    expect(answer.status).toBe(status);
    // Of the fabric itself nothing is told.
    expect(answer.body).toBe(
      status === 500
        ? 'internal: the fabric cannot issue certificates at the moment\n'
        : `${code}: it is so\nDo this.\n`,
    );
  });

  it('for the moment is to be asked again, and an error of a program is none of the client', async () => {
    const busy = await server(refusing('pki.busy', 'retry')).send('cacerts');
    expect(busy).toMatchObject({ status: 503, headers: { 'retry-after': '5' } });
    const failed = await server(async () => {
      throw new Error('secret');
    }).send('cacerts');
    expect(failed).toMatchObject({ status: 500 });
    expect(failed.body).not.toContain('secret');
  });
});

describe('limits', () => {
  it('slow down whoever guesses, and nobody else', async () => {
    const { send, pass } = server(async (asked) => {
      if (
        'proof' in asked &&
        asked.proof &&
        'code' in asked.proof &&
        asked.proof.code[0] === codeHash(CODE)![0]
      )
        return [CERTIFICATE];
      return refusing('pki.bad-code')(asked);
    });
    const guess = (source: string, password = OTHER) =>
      send('simpleenroll', { authorization: basic(password), source });
    for (let i = 0; i < 5; i++) expect((await guess('2001:db8::1')).status).toBe(401);
    const slowed = await guess('2001:db8::2', CODE);
    expect(slowed).toMatchObject({ status: 429, headers: { 'retry-after': '1' } });
    expect((await guess('2001:db8:0:1::1', CODE)).status).toBe(200);
    pass(1_000);
    expect((await guess('2001:db8::3')).status).toBe(401);
    pass(1_000);
    expect((await guess('2001:db8::3', CODE)).status).toBe(429);
    pass(1_000);
    expect((await guess('2001:db8::3', CODE)).status).toBe(200);
    // What has not the form of a code is a guess, too.
    for (let i = 0; i < 5; i++) await guess('2001:db8::3', 'x');
    expect((await guess('2001:db8::3')).status).toBe(429);
  });

  it('hold for a source, and for the wider networks that it may have', async () => {
    const { send, pass } = server();
    const ask = async (source: string): Promise<number> => (await send('csrattrs', { source })).status;
    for (let i = 0; i < 20; i++) expect(await ask('2001:db8::1')).toBe(204);
    expect(await send('csrattrs', { source: '2001:db8::2' })).toMatchObject({
      status: 429,
      headers: { 'retry-after': '1' },
    });
    // The other /64 of a /56, of which three have as much as that one.
    let answered = 0;
    for (let i = 1; i < 9; i++)
      for (let n = 0; n < 20; n++) if ((await ask(`2001:db8:0:${i}::1`)) === 204) answered++;
    expect(answered).toBe(60);
    expect(await ask('2001:db9::1')).toBe(204);
    expect(await ask('192.0.2.1')).toBe(204);
    pass(500);
    expect(await ask('2001:db8::1')).toBe(204);
  });

  it('let only so many wait for the fabric', async () => {
    let free = (): void => {};
    const { send } = server(() => new Promise((resolve) => (free = () => resolve([CERTIFICATE]))));
    const waiting = Array.from({ length: 32 }, (_, i) => send('cacerts', { source: `192.0.${i}.1` }));
    expect(await send('cacerts', { source: '198.51.100.1' })).toMatchObject({ status: 503 });
    free();
    expect((await Promise.race(waiting)).status).toBe(200);
    const next = send('cacerts', { source: '198.51.100.1' });
    free();
    expect((await next).status).toBe(200);
  });
});
