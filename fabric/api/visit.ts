import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from './options.ts';

/** One request of an account route, whose input was checked. */
export interface Visit {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly caller: Caller;
  readonly input: Record<string, unknown>;
}

export type Handler = (visit: Visit) => Promise<unknown>;
