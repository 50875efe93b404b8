import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Log } from '../../os/service/log.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { PROBLEM_TYPE, problemOf } from './problem.ts';
import { badRequest } from './request-input.ts';
import { API_PREFIX } from './routes.ts';

export const LARGEST_BODY = 65_536;
/** Of a request with a part of a file. */
export const LARGEST_PART = 1_048_576;

/** Answers every error as a problem; what is no Failure goes to the log. */
export function answerProblems(app: FastifyInstance, log: Log): void {
  app.setErrorHandler((error: FastifyError | Failure, request, reply) => {
    const problem = problemOf(knownFailure(error, request, log) ?? error);
    retryHeaders(reply, problem.status);
    return reply.code(problem.status).type(PROBLEM_TYPE).send(problem);
  });
  app.setNotFoundHandler((request, reply) => {
    if (isForPerson(request)) return reply.code(404).type('text/plain; charset=utf-8').send(NO_PAGE);
    throw new Failure('request.not-found', 'operator', 'there is nothing at this path for this method', {
      action: 'See /api/v1/openapi.json for what there is.',
    });
  });
}

/** What was refused; undefined for any other error, which goes to the log. */
export function knownFailure(
  error: FastifyError | Failure,
  { method, routeOptions }: FastifyRequest,
  log: Log,
): Failure | undefined {
  const failure = isFailure(error) ? error : failureOf(error, routeOptions.bodyLimit);
  if (failure === undefined) log('error', `${method} ${routeOptions.url ?? '?'}: ${error.stack}`);
  return failure;
}

/** Says what to send, or when to ask again. */
export function retryHeaders(reply: FastifyReply, status: number): void {
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  if (status === 429 || status === 503) reply.header('retry-after', '5');
}

const NO_PAGE =
  'There is no page here. The API of the fabric is at /api/v1, the console at / if it is installed.\n';

/** Does a browser ask for a page? */
const isForPerson = ({ url, headers }: FastifyRequest): boolean =>
  !url.startsWith(API_PREFIX) && (headers.accept ?? '').includes('text/html');

/** What fastify refuses by itself, by its codes. */
function failureOf({ code, statusCode, message }: FastifyError, largest: number): Failure | undefined {
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new Failure('request.too-large', 'operator', `a body has at most ${largest} bytes`, {
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
