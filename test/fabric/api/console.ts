import { request as sendHttp } from 'node:http';
import { expect, onTestFinished } from 'vitest';
import { account } from '../../../fabric/account/account.ts';
import type { ApiOptions, Caller } from '../../../fabric/api/options.ts';
import { type Api, startApi } from '../../../fabric/api/server.ts';
import { openJobs } from '../../../fabric/jobs/jobs.ts';
import { actorOf } from '../../../fabric/operations/actors.ts';
import type { Context } from '../../../fabric/operations/contract/operation.ts';
import { waitForNews } from '../../../fabric/operations/news.ts';
import { perform } from '../../../fabric/operations/perform.ts';
import type { WholeRegistry as Registry } from '../place.ts';
import '../checked.ts';

/** A fabric that serves, without sockets. */
export function fabricOf(
  registry: Registry,
  now: () => number = Date.now,
  keys?: Context['keys'],
  running: Partial<Context['running']> = {},
): Pick<ApiOptions, 'call' | 'news'> {
  const signing = account(registry, now);
  const context = {
    registry,
    running: { notify: async () => 'in force', presence: async () => undefined, ...running },
    now,
    ...(keys !== undefined && { keys }),
    jobs: openJobs(now),
  };
  return {
    news: (since) => waitForNews(registry, since),
    async call(name: string, caller: Caller, input: unknown) {
      const actor = await actorOf(registry, { actor: 'console', ...caller, input });
      return (await signing.perform(name, actor, input)) ?? (await perform(name, actor, context, input));
    },
  };
}

/** Serves the API of a registry, until the test has finished. */
export async function served(registry: Registry, options: Partial<ApiOptions> = {}): Promise<Api> {
  const api = await startApi({
    listen: { host: '127.0.0.1', port: 0 },
    ...fabricOf(registry, options.now),
    version: '1.2.3',
    log: () => {},
    ...options,
  });
  onTestFinished(() => api.close());
  return api;
}

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

/** A browser that shows a page of the console: it keeps the cookie, and sends what browsers send. */
export interface Browser {
  readonly origin: string;
  readonly cookie: () => string;
  send(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string | undefined>,
  ): Promise<Answer>;
}

export function browser({ port }: Pick<Api, 'port'>, from?: string): Browser {
  const origin = `http://localhost:${port}`;
  let cookie = '';
  return {
    origin,
    cookie: () => cookie,
    async send(method, path, body, headers = {}) {
      const all = {
        origin,
        'sec-fetch-site': 'same-origin',
        'x-enf-request': '1',
        ...(from === undefined ? {} : { 'x-forwarded-for': from }),
        ...(cookie === '' ? {} : { cookie }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        host: `localhost:${port}`,
        ...headers,
      };
      const response = await request(port, method, `/api/v1${path}`, all, body);
      const set = response.headers.getSetCookie()[0];
      if (set !== undefined) cookie = set.split(';')[0]!.endsWith('=') ? '' : set.split(';')[0]!;
      return response;
    },
  };
}

/** A browser that keeps several cookies, and can go to an issuer and come back; `origin` is that of the console's configuration. */
export function traveller(api: Pick<Api, 'port'>, origin = 'http://localhost:8480') {
  const cookies = new Map<string, string>();
  const inner = browser(api);
  const send: Browser['send'] = async (method, path, body, headers = {}) => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const own = { origin, ...(cookie === '' ? {} : { cookie }) };
    const answer = await inner.send(method, path, body, { ...own, ...headers });
    for (const set of answer.headers.getSetCookie()) {
      const [name = '', value = ''] = set.split(';')[0]!.split('=', 2);
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    return answer;
  };
  /** Comes from another site: the session's cookie, SameSite=Strict, stays at home. */
  const comeBack = async (address: string): Promise<string> => {
    const { pathname, search } = new URL(address);
    const kept = cookies.get('enf-account');
    const cookie = kept === undefined ? '' : `enf-account=${kept}`;
    const from = { 'sec-fetch-site': 'cross-site', origin: undefined, 'x-enf-request': undefined, cookie };
    const answer = await send('GET', pathname.replace('/api/v1', '') + search, undefined, from);
    expect(answer.status).toBe(303);
    return answer.headers.get('location')!;
  };
  /** Where the issuer sends the browser back to. */
  const travel = async (path = '/session/account', body: object = {}): Promise<string> => {
    const { body: begun, status } = await send('POST', path, body);
    expect(status, JSON.stringify(begun)).toBe(200);
    const sent = await fetch(String(begun.address), { redirect: 'manual' });
    return sent.headers.get('location')!;
  };
  return { cookies, send, comeBack, travel, signIn: async () => comeBack(await travel()) };
}

/** As `fetch`, which sets some of the headers itself. */
function request(
  port: number,
  method: string,
  path: string,
  headers: Record<string, string | undefined>,
  body: unknown,
): Promise<Answer> {
  const given = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
  return new Promise((resolve, reject) => {
    const sent = sendHttp({ host: '127.0.0.1', port, method, path, headers: given as never }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => {
        const all = new Headers();
        for (const [name, values] of Object.entries(response.headersDistinct))
          for (const value of values ?? []) all.append(name, value);
        resolve({ status: response.statusCode!, body: parsed(text), headers: all });
      });
    });
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
  });
}

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return { text };
  }
}
