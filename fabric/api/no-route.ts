import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Broken, brokenRequests, type WholeAnswer } from '../../os/net/broken-request.ts';
import { Failure } from '../../protocol/failure.ts';
import { PROBLEM_TYPE, problemOf } from './problem.ts';
import { badRequest } from './request-input.ts';

/*
 * What clients send that no route gets: node and fastify would answer it in their own words. Here it is a problem, like any other refusal.
 */

export function withoutRoute() {
  const broken = brokenRequests((what) => wholeAnswer(BROKEN[what]()));
  return {
    /** Of fastify. */
    options: {
      clientErrorHandler: broken.clientError,
      frameworkErrors: refuse,
      return503OnClosing: false,
    },
    /** Of the server below it, which would refuse such a request itself. */
    serverOptions: { requireHostHeader: false },
    watch(app: FastifyInstance): void {
      broken.watch(app.server);
      let isClosing = false;
      app.addHook('preClose', async () => {
        isClosing = true;
      });
      app.addHook('onRequest', async ({ raw }) => {
        if (isClosing) throw stopping();
        if (raw.httpVersion === '1.1' && raw.headers.host === undefined) throw badRequest('it names no host');
      });
    },
  };
}

/** A path that fastify looks for no route for. */
function refuse({ code }: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  const why =
    code === 'FST_ERR_BAD_URL' ? 'its path is no UTF-8, percent-encoded' : 'a part of its path is too long';
  const { status, headers, body } = wholeAnswer(badRequest(why));
  void reply.code(status).headers(headers).send(body);
}

function wholeAnswer(failure: Failure): WholeAnswer {
  const problem = problemOf(failure);
  const headers = { 'content-type': PROBLEM_TYPE, 'x-content-type-options': 'nosniff' };
  return { status: problem.status, headers, body: JSON.stringify(problem) };
}

const BROKEN: Readonly<Record<Broken, () => Failure>> = {
  malformed: () => badRequest('it is no HTTP/1.1'),
  connect: () => badRequest('this is no proxy'),
  'headers-too-large': () =>
    new Failure('request.headers-too-large', 'operator', 'the headers of the request are too large', {
      action: 'Send fewer or smaller headers; a browser may have to remove its cookies of this host.',
    }),
  'too-slow': () =>
    new Failure('request.too-slow', 'retry', 'the request did not come in time', {
      action: 'Try again.',
    }),
  expectation: () =>
    new Failure('request.bad-expectation', 'operator', 'nothing but "Expect: 100-continue" is done', {
      action: 'Leave the header out.',
    }),
};

const stopping = (): Failure =>
  new Failure('request.stopping', 'retry', 'the console is being stopped', {
    action: 'Try again when it has started.',
  });
