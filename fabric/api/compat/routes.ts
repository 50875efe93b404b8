import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Failure } from '../../../protocol/failure.ts';
import type { OperationName } from '../../operations/all.ts';
import { checker } from '../../operations/contract/input.ts';
import { knownFailure, retryHeaders } from '../answers.ts';
import { addressOf, type Callers } from '../callers.ts';
import { type ApiOptions, ask, type Caller } from '../options.ts';
import { problemOf } from '../problem.ts';
import { type Call, seenBy } from './call.ts';
import { errorBody, patternsOf, type Service, withoutNulls } from './quirks.ts';
import { compatCallers } from './sign-in.ts';
import { COMPAT_ROUTES, type CompatRoute, SIGN_IN } from './table.ts';

/**
 * Answers the calls of enftun-keygen and of go-enf, which Terraform's provider uses, beside the API: by the same operations, for the same people and
 * tokens, within the same limits. docs/compat.md says what each becomes.
 */
export async function addCompat(app: FastifyInstance, options: ApiOptions, callers: Callers): Promise<void> {
  const known = compatCallers(callers, options.now ?? Date.now);
  await app.register(async (scope) => {
    scope.setErrorHandler((error: FastifyError | Failure, request, reply) =>
      refuse(error, request, reply, options),
    );
    const signIn: CompatRoute = {
      ...SIGN_IN,
      open: true,
      answer: (call) => known.signIn(call, (caller) => callFor(options, caller, call)),
    };
    for (const route of [signIn, ...COMPAT_ROUTES]) addRoute(scope, route, options, known);
  });
}

function addRoute(
  scope: FastifyInstance,
  { method, path, open, body: schema, answer }: CompatRoute,
  options: ApiOptions,
  known: ReturnType<typeof compatCallers>,
): void {
  const check = schema === undefined ? undefined : checker(schema);
  for (const url of patternsOf(path)) {
    scope.route({
      method,
      url,
      async handler(request, reply) {
        reply.header('cache-control', 'no-store');
        const caller: Caller = open ? {} : known.of(request);
        const params = request.params as Record<string, string>;
        const body = check?.(withoutNulls(request.body));
        const call = callFor(options, caller, { ...asked(body), params, source: addressOf(request) });
        // Whoever is nobody learns nothing, not even what is not here.
        if (!open) await seenBy(call);
        return answer(call);
      },
    });
  }
}

type Asked = Pick<Call, 'params' | 'body' | 'bare' | 'source'>;

const asked = (sent: unknown): Pick<Asked, 'body' | 'bare'> =>
  typeof sent === 'object' && sent !== null
    ? { body: sent as Record<string, unknown>, bare: undefined }
    : { body: {}, bare: sent };

function callFor(options: ApiOptions, caller: Caller, { params, body, bare, source }: Asked): Call {
  return {
    ...{ caller, params, body, bare, source },
    run: (name: OperationName, input: object) => ask(options, name, caller, input) as never,
    account: (name, input) => ask(options, name, caller, input),
    as: (owner) => callFor(options, { ...caller, owner }, { params, body, bare, source }),
  };
}

const SERVICE = /^\/api\/(xcr|xiam|xfw|xdns)\//;

function refuse(
  error: FastifyError | Failure,
  request: FastifyRequest,
  reply: FastifyReply,
  { log }: Pick<ApiOptions, 'log'>,
): FastifyReply {
  const problem = problemOf(knownFailure(error, request, log) ?? error);
  const service = (SERVICE.exec(request.url)?.[1] ?? 'xcr') as Service;
  retryHeaders(reply, problem.status);
  return reply.code(problem.status).send(errorBody(service, problem));
}
