import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { LookupFunction } from 'node:net';
import { Failure } from '../../protocol/failure.ts';
import { deserializeFailure } from '../../protocol/failure-message.ts';
import { clientOf, type RunOperation } from '../operations/client.ts';
import type { Problem } from './problem.ts';
import { API_PREFIX } from './routes.ts';

const TIMEOUT_MS = 60_000;
/** A page of a thousand devices has half a megabyte. */
const LARGEST_ANSWER = 8 * 1024 * 1024;

/** Where a fabric's API is, and with what one enters. */
export interface Remote {
  /** `https://HOST:PORT`, or `http://` on loopback. */
  readonly url: URL;
  readonly token: string;
  /** PEM: the root of the server's certificate, beside those of the system. */
  readonly ca?: string | undefined;
}

/** The header with the name of the owner for whom a request is. */
export const OWNER_HEADER = 'enf-owner';

/**
 * Runs operations through the API of a fabric elsewhere.
 * @throws Failure of the operation, `api.unreachable`, `api.bad-answer`
 */
export const remoteClient = (remote: Remote, owner?: string): RunOperation =>
  clientOf(async (method, path, body) => {
    const { status, text } = await exchange(remote, { method, path, body, owner });
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch (cause) {
      throw badAnswer(remote, `status ${status} and no JSON`, cause);
    }
    if (status === 200) return answer;
    const { code, remedy, title, detail } = answer as Partial<Problem>;
    if (typeof code !== 'string' || typeof title !== 'string') throw badAnswer(remote, `status ${status}`);
    const known = remedy === 'operator' || remedy === 'reprovision' ? remedy : 'retry';
    throw deserializeFailure({ code, remedy: known, message: title, action: detail });
  });

function exchange(
  remote: Remote,
  {
    method,
    path,
    body,
    owner,
  }: { method: string; path: string; body: object | undefined; owner: string | undefined },
): Promise<{ status: number; text: string }> {
  const { url, token, ca } = remote;
  const send = url.protocol === 'https:' ? requestHttps : requestHttp;
  const content = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = send(
      new URL(`${url.pathname.replace(/\/$/, '')}${API_PREFIX}${path}`, url),
      {
        method,
        timeout: TIMEOUT_MS,
        agent: false,
        headers: {
          authorization: `Bearer ${token}`,
          ...(owner === undefined ? {} : { [OWNER_HEADER]: owner }),
          ...(content === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(ca === undefined ? {} : { ca }),
        ...(url.hostname === 'localhost' && { lookup: bothOfLoopback, autoSelectFamily: true }),
      },
      (response) => {
        readBounded(response).then(
          (text) => resolve({ status: response.statusCode ?? 0, text }),
          (cause) => reject(badAnswer(remote, (cause as Error).message, cause)),
        );
      },
    );
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${TIMEOUT_MS / 1_000} s`)));
    sent.on('error', (cause) => reject(unreachable(remote, cause)));
    sent.end(content);
  });
}

/** A console listens on `[::1]`, and many a /etc/hosts has localhost as 127.0.0.1 alone. */
const bothOfLoopback: LookupFunction = (_, { all }, callback) => {
  if (!all) callback(null, '::1', 6);
  else
    callback(null, [
      { address: '::1', family: 6 },
      { address: '127.0.0.1', family: 4 },
    ]);
};

async function readBounded(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > LARGEST_ANSWER) throw new Error(`more than ${LARGEST_ANSWER} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function unreachable({ url }: Remote, cause: Error): Failure {
  const why = (cause as NodeJS.ErrnoException).code ?? cause.message;
  return new Failure('api.unreachable', 'retry', `the API at ${url.origin} does not answer: ${why}`, {
    action:
      'Check the address of --api (http://localhost:PORT is [::1] and 127.0.0.1), that the console runs, the network, and with https the root in --api-ca.',
    cause,
  });
}

function badAnswer({ url }: Remote, got: string, cause?: unknown): Failure {
  return new Failure(
    'api.bad-answer',
    'operator',
    `what answers at ${url.origin} is no API of a fabric: ${got}`,
    {
      action: 'Check the address of --api.',
      cause,
    },
  );
}
