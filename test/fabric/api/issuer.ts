import { createHash, createSign, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** A small OpenID issuer with keys of its own: who comes is signed in at once, as `claims` say. */
export interface Issuer {
  readonly url: string;
  /** Of the id tokens that it gives from now on; undefined leaves a claim out. */
  claims: Record<string, unknown>;
  /** What a wrong one does differently. */
  wrong: Wrong;
  /** Requests by path. */
  readonly asked: string[];
  close(): Promise<void>;
}

export interface Wrong {
  readonly key?: KeyObject;
  readonly algorithm?: string;
  /** The path that answers with this instead. */
  readonly answers?: Readonly<Record<string, { readonly status: number; readonly body?: string }>>;
  /** The path that never answers. */
  readonly silent?: string;
  readonly parameters?: Readonly<Record<string, string>>;
}

export const CLIENT = { id: 'enf console', secret: 'a secret & more' } as const;

const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

export async function issuer(now: () => number = Date.now): Promise<Issuer> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const codes = new Map<string, URLSearchParams>();
  let url = '';

  function idToken(request: URLSearchParams, own: Issuer): string {
    const seconds = Math.floor(now() / 1_000);
    const header = { alg: own.wrong.algorithm ?? 'RS256', kid: '1', typ: 'JWT' };
    const claims = {
      ...{ iss: url, sub: 'u-1', aud: CLIENT.id, iat: seconds, exp: seconds + 300 },
      nonce: request.get('nonce'),
      ...(request.has('max_age') && { auth_time: seconds }),
      ...own.claims,
    };
    const body = `${base64url(header)}.${base64url(claims)}`;
    if (header.alg === 'none') return `${body}.`;
    return `${body}.${createSign('SHA256')
      .update(body)
      .sign(own.wrong.key ?? privateKey, 'base64url')}`;
  }

  function token(form: URLSearchParams, own: Issuer): { status: number; body: object } {
    const code = form.get('code') ?? '';
    const request = codes.get(code);
    codes.delete(code);
    const verifier = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    const isRight =
      request?.get('code_challenge') === verifier &&
      request.get('redirect_uri') === form.get('redirect_uri') &&
      form.get('client_id') === CLIENT.id &&
      form.get('client_secret') === CLIENT.secret;
    if (!isRight) return { status: 400, body: { error: 'invalid_grant' } };
    const id_token = idToken(request, own);
    return { status: 200, body: { access_token: 'x', token_type: 'Bearer', expires_in: 60, id_token } };
  }

  function authorized(request: URL, own: Issuer): string {
    const code = randomBytes(9).toString('base64url');
    codes.set(code, request.searchParams);
    const back = new URL(request.searchParams.get('redirect_uri')!);
    const state = request.searchParams.get('state')!;
    for (const [name, value] of Object.entries({ code, state, iss: url, ...own.wrong.parameters }))
      back.searchParams.set(name, value);
    return back.href;
  }

  const description = () => ({
    issuer: url,
    authorization_endpoint: `${url}/authorize`,
    token_endpoint: `${url}/token`,
    jwks_uri: `${url}/keys`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    authorization_response_iss_parameter_supported: true,
  });

  async function answer(request: IncomingMessage, response: ServerResponse, own: Issuer): Promise<void> {
    const asked = new URL(request.url!, url);
    own.asked.push(asked.pathname);
    const { silent, answers = {} } = own.wrong;
    if (asked.pathname === silent) return;
    const json = (status: number, body: string): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    };
    const wrong = answers[asked.pathname];
    if (wrong !== undefined) return json(wrong.status, wrong.body ?? '{}');
    if (asked.pathname === '/.well-known/openid-configuration')
      return json(200, JSON.stringify(description()));
    if (asked.pathname === '/keys') {
      const key = { ...publicKey.export({ format: 'jwk' }), kid: '1', use: 'sig', alg: 'RS256' };
      return json(200, JSON.stringify({ keys: [key] }));
    }
    if (asked.pathname === '/authorize') {
      response.writeHead(302, { location: authorized(asked, own) }).end();
      return;
    }
    let text = '';
    for await (const chunk of request) text += chunk;
    const { status, body } = token(new URLSearchParams(text), own);
    json(status, JSON.stringify(body));
  }

  const server = createServer((request, response) => void answer(request, response, own));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const own: Issuer = {
    url,
    claims: {},
    wrong: {},
    asked: [],
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  onTestFinished(() => own.close());
  return own;
}
