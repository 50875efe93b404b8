import type { AddressInfo } from 'node:net';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import fastify, { type FastifyError, type FastifyInstance, type FastifyRequest } from 'fastify';
import { type ListenAddress, listenFailure } from '../../os/net/listen.ts';
import { sourceOf } from '../../os/net/peer.ts';
import type { Log } from '../../os/service/log.ts';
import { toHex } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { backoff } from '../access/backoff.ts';
import { secretHash } from '../access/secrets.ts';
import { openApiDocument } from './openapi.ts';
import { PROBLEM_TYPE, problemOf } from './problem.ts';
import { API_PREFIX, fromText, ROUTES, type Route } from './routes.ts';

const LARGEST_BODY = 65_536;
/** Rows of a page unless the caller says how many. */
const PAGE_ROWS = 50;
/** Requests of one token, or of one source without a token, within a second and as a burst. */
const RATE = { max: 600, windowMs: 30_000 } as const;
const REQUEST_TIMEOUT_MS = 30_000;

export interface ApiOptions {
  readonly listen: ListenAddress;
  /** PEM; without it the API is served without TLS, which is for loopback only. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /**
   * Runs an operation on behalf of the bearer of a token (64 hex digits of its hash), who may or may not; undefined: no fabric is serving.
   * @throws Failure of the operation
   */
  call(name: string, token: string, input: unknown): Promise<{ readonly view: unknown } | undefined>;
  readonly version: string;
  readonly log: Log;
  readonly now?: () => number;
}

export interface Api {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves the API of a fabric: each operation at its route, for whoever has a token that may. It keeps nothing: what may be done, and is,
 * the fabric decides.
 * @throws Failure `net.…` where it cannot listen
 */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { listen, tls, log } = options;
  const app = fastify({
    bodyLimit: LARGEST_BODY,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { ignoreTrailingSlash: false, maxParamLength: 200 },
    ...(tls === undefined ? {} : { https: { cert: tls.certificate, key: tls.key, minVersion: 'TLSv1.2' } }),
  }) as FastifyInstance;
  app.removeContentTypeParser('text/plain');
  await app.register(helmet, {
    contentSecurityPolicy: { directives: { defaultSrc: ["'none'"] } },
    hsts: tls !== undefined,
  });
  await app.register(rateLimit, {
    max: RATE.max,
    timeWindow: RATE.windowMs,
    cache: 10_000,
    keyGenerator: (request) => request.headers.authorization ?? sourceOf(request.ip),
    errorResponseBuilder: tooManyRequests,
  });
  answerProblems(app, log);
  addRoutes(app, options);
  try {
    await app.listen({ host: listen.host, port: listen.port, backlog: 511 });
  } catch (error) {
    throw listenFailure(listen, "the fabric's API", error);
  }
  return { port: (app.server.address() as AddressInfo).port, close: () => app.close() };
}

function addRoutes(app: FastifyInstance, { call, version, now = Date.now }: ApiOptions): void {
  const guesses = backoff(now);
  const document = openApiDocument(version);
  app.get(`${API_PREFIX}/openapi.json`, async () => document);
  for (const route of ROUTES) {
    const url = `${API_PREFIX}${route.path.replace(/\{(\w+)\}/g, ':$1')}`;
    app.route({
      method: route.method,
      url,
      handler: async (request, reply) => {
        const done = await call(route.name, bearer(request, guesses), inputOf(route, request));
        if (done === undefined) throw notServing();
        reply.header('cache-control', 'no-store');
        return done.view;
      },
    });
  }
}

/** The hash of the token that a request carries. @throws Failure `access.bad-token`, `access.too-many-attempts` */
function bearer(request: FastifyRequest, guesses: ReturnType<typeof backoff>): string {
  const source = sourceOf(request.ip);
  if (guesses.waitMs(source) > 0) throw tooManyAttempts();
  const [scheme, text = ''] = (request.headers.authorization ?? '').split(' ', 2);
  const hash = scheme?.toLowerCase() === 'bearer' ? secretHash('token', text) : undefined;
  if (hash !== undefined) return toHex(hash);
  guesses.failed(source);
  throw new Failure(
    'access.bad-token',
    'operator',
    'the request carries no token, or one that was mistyped',
    {
      action: 'Send "Authorization: Bearer TOKEN" with a token of "enf-fabric token create".',
    },
  );
}

/** The input of an operation: the fields of path, query and body. */
function inputOf(route: Route, request: FastifyRequest): Record<string, unknown> {
  const texts = { ...(request.query as object), ...(request.params as object) } as Record<string, unknown>;
  const { body } = request;
  if (body !== undefined && body !== null && (typeof body !== 'object' || Array.isArray(body))) {
    throw badRequest('the body is no JSON object');
  }
  if (route.method !== 'GET' && Object.keys(request.query as object).length > 0) {
    throw badRequest('this request takes its fields in the body, not in the query');
  }
  const paged =
    Object.hasOwn(route.fields, 'limit') && !Object.hasOwn(texts, 'limit') ? { limit: PAGE_ROWS } : {};
  const given = Object.entries(texts).map(([name, text]) => [
    name,
    typeof text === 'string' ? fromText(route.fields[name], text) : text,
  ]);
  return { ...paged, ...(body as object | null), ...Object.fromEntries(given) };
}

function answerProblems(app: FastifyInstance, log: Log): void {
  app.setErrorHandler((error: FastifyError | Failure, request, reply) => {
    const failure = isFailure(error) ? error : failureOf(error);
    if (failure === undefined)
      log('error', `${request.method} ${request.routeOptions.url ?? '?'}: ${error.stack}`);
    const problem = problemOf(failure ?? error);
    if (problem.status === 401) reply.header('www-authenticate', 'Bearer');
    if (problem.status === 429 || problem.status === 503) reply.header('retry-after', '5');
    return reply.code(problem.status).type(PROBLEM_TYPE).send(problem);
  });
  app.setNotFoundHandler(() => {
    throw new Failure('request.not-found', 'operator', 'there is nothing at this path for this method', {
      action: 'See /api/v1/openapi.json for what there is.',
    });
  });
}

/** What fastify refuses by itself, by its codes. */
function failureOf({ code, statusCode, message }: FastifyError): Failure | undefined {
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new Failure('request.too-large', 'operator', `a body has at most ${LARGEST_BODY} bytes`, {
      action: 'Send less at a time.',
    });
  }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new Failure('request.bad-type', 'operator', 'the body is not application/json', {
      action: 'Send "Content-Type: application/json".',
    });
  }
  return statusCode !== undefined && statusCode >= 400 && statusCode < 500 ? badRequest(message) : undefined;
}

const badRequest = (why: string): Failure =>
  new Failure('request.malformed', 'operator', `the request cannot be understood: ${why}`, {
    action: 'See /api/v1/openapi.json.',
  });

function notServing(): Failure {
  return new Failure('fabric.not-serving', 'retry', 'no fabric is serving', {
    action: 'Start it ("enf-fabric serve"), or wait until it has started.',
  });
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

const tooManyAttempts = (): Failure =>
  new Failure('access.too-many-attempts', 'retry', 'too many wrong tokens have come from this address', {
    action: 'Wait some minutes, and check the token.',
  });
