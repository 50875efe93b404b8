import type { AddressInfo } from 'node:net';
import type { Server } from 'node:tls';
import cookie from '@fastify/cookie';
import rateLimit from '@fastify/rate-limit';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { listenFailure } from '../../os/net/listen.ts';
import { Failure } from '../../protocol/failure.ts';
import type { Seen } from '../account/own.ts';
import { addAccountRoutes } from './account-routes.ts';
import { answerProblems, LARGEST_BODY, LARGEST_PART } from './answers.ts';
import { type Callers, callers } from './callers.ts';
import { entityTag, names, noPrecondition, preconditionFailed, shownBy } from './etags.ts';
import { exportsOf } from './exports.ts';
import { startFeed } from './feed.ts';
import { addFiles } from './files.ts';
import { addSecurityHeaders } from './headers.ts';
import { idempotency } from './idempotency.ts';
import { withoutRoute } from './no-route.ts';
import { openApiDocument } from './openapi.ts';
import { type ApiOptions, ask, askAll, type Caller } from './options.ts';
import { inputOf, requireShallow } from './request-input.ts';
import { API_PREFIX, patternOf, ROUTES, type Route } from './routes.ts';
import { streams } from './streams.ts';

/** Requests of one token, of one session, or of one source without either, within a second and as a burst. */
const RATE = { max: 600, windowMs: 30_000 } as const;
const REQUEST_TIMEOUT_MS = 30_000;

export interface Api {
  readonly port: number;
  /** Another certificate for the connections that begin from now on, where it serves TLS. @throws Error of OpenSSL: then the former one stays */
  replaceTls(tls: NonNullable<ApiOptions['tls']>): void;
  close(): Promise<void>;
}

/** Adds requests that are not the API's own to it. */
export type Extension = (app: FastifyInstance, options: ApiOptions, callers: Callers) => Promise<void>;

/**
 * Serves the API of a fabric and the pages of its console: each operation at its route, for whoever has a token or has signed in, and may. It
 * keeps sessions and nothing else: what may be done, and is, the fabric decides.
 * @throws Failure `net.…` where it cannot listen
 */
export async function startApi(given: ApiOptions, ...extensions: readonly Extension[]): Promise<Api> {
  const { listen, tls, log } = given;
  const unrouted = withoutRoute();
  const app = fastify({
    ...unrouted.options,
    bodyLimit: LARGEST_BODY,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: REQUEST_TIMEOUT_MS,
    // A proxy on this machine says for whom it asks.
    trustProxy: 'loopback',
    routerOptions: { ignoreTrailingSlash: false, maxParamLength: 200 },
    ...(tls === undefined
      ? { http: unrouted.serverOptions }
      : { https: { ...secureContext(tls), ...unrouted.serverOptions } }),
  }) as FastifyInstance;
  app.removeContentTypeParser('text/plain');
  const known = callers(given);
  const options = { ...given, call: known.watched(given.call) };
  await addSecurityHeaders(app, tls !== undefined);
  await app.register(cookie);
  await app.register(rateLimit, {
    max: RATE.max,
    timeWindow: RATE.windowMs,
    cache: 10_000,
    keyGenerator: known.keyOf,
    errorResponseBuilder: tooManyRequests,
  });
  answerProblems(app, log);
  unrouted.watch(app);
  app.addHook('preValidation', async ({ body }) => {
    // Parts of files are bytes.
    if (!(body instanceof Uint8Array)) requireShallow(body);
  });
  addOperationRoutes(app, options, known);
  const feed = startFeed(options, log, options.now ?? Date.now);
  app.addHook('onClose', async () => feed.close());
  addAccountRoutes(app, options, known, streams(app, options, known, feed));
  for (const extend of extensions) await extend(app, options, known);
  await addFiles(app, options.files);
  try {
    await app.listen({ host: listen.host, port: listen.port, backlog: 511 });
  } catch (error) {
    await app.close();
    throw listenFailure(listen, "the fabric's API", error);
  }
  return {
    port: (app.server.address() as AddressInfo).port,
    replaceTls: (next) => (app.server as unknown as Server).setSecureContext(secureContext(next)),
    close: () => app.close(),
  };
}

const secureContext = ({ certificate: cert, key }: NonNullable<ApiOptions['tls']>) =>
  ({ cert, key, minVersion: 'TLSv1.2' }) as const;

function addOperationRoutes(app: FastifyInstance, options: ApiOptions, known: Callers): void {
  const document = openApiDocument(options.version);
  const keys = idempotency(options.now ?? Date.now);
  const exports = exportsOf(app, options, known);
  app.get(`${API_PREFIX}/openapi.json`, async () => document);
  for (const route of ROUTES) {
    app.route({
      method: route.method,
      url: `${API_PREFIX}${patternOf(route.path)}`,
      ...(route.method === 'GET' ? { onSend: tagged } : {}),
      ...(route.large ? { bodyLimit: LARGEST_PART } : {}),
      async handler(request, reply) {
        reply.header('cache-control', 'no-store');
        const whole = exports.answer(route, request, reply);
        if (whole !== undefined) return whole;
        const caller = known.of(request);
        const input = inputOf(route, request);
        if (route.method === 'GET') {
          const { view, asOf } = await askAll(options, route.name, caller, input);
          if (asOf !== undefined) reply.header('as-of', asOf);
          return view;
        }
        const work = async (): Promise<unknown> => {
          await requireMatch(options, route, caller, input, request.headers['if-match']);
          return ask(options, route.name, caller, input);
        };
        const key = request.headers['idempotency-key'];
        if (key === undefined) return work();
        // Only who still holds gets an answer again, and only that of the owner for whom it acts now.
        const { owner } = await ask<Seen>(options, 'seen', caller, {});
        const who = String(caller.token ?? caller.person?.id);
        return keys.once({ caller: who, owner, key: String(key), operation: route.name, input }, work);
      },
    });
  }
}

/** The answer of a GET with its tag; nothing but the tag if the caller has it already. */
async function tagged(request: FastifyRequest, reply: FastifyReply, answer: unknown): Promise<unknown> {
  if (reply.statusCode !== 200 || typeof answer !== 'string') return answer;
  const tag = entityTag(answer);
  reply.header('etag', tag);
  const known = request.headers['if-none-match'];
  if (known === undefined || !names(known, tag)) return answer;
  reply.code(304);
  return null;
}

/** @throws Failure `request.precondition-failed`, `request.no-precondition` */
async function requireMatch(
  options: ApiOptions,
  route: Route,
  caller: Caller,
  input: Record<string, unknown>,
  expected: string | undefined,
): Promise<void> {
  if (expected === undefined) return;
  const shown = shownBy(route.path);
  if (shown === undefined) throw noPrecondition();
  const view = await ask(options, shown.operation, caller, { [shown.field]: input[shown.field] });
  if (!names(expected, entityTag(JSON.stringify(view)))) throw preconditionFailed();
}

const tooManyRequests = (): Failure =>
  new Failure(
    'request.too-many',
    'retry',
    `more than ${RATE.max} requests within ${RATE.windowMs / 1_000} s`,
    {
      action: 'Ask less often, and for larger pages.',
    },
  );
