import type { FastifyRequest } from 'fastify';
import { Failure } from '../../protocol/failure.ts';
import { fromText, isList, type Route } from './routes.ts';

/** Rows of a page unless the caller says how many. */
const PAGE_ROWS = 50;

/** The input of an operation: the fields of path, query and body. @throws Failure `request.malformed` */
export function inputOf(
  route: Pick<Route, 'method' | 'fields'>,
  request: FastifyRequest,
): Record<string, unknown> {
  const texts = { ...(request.query as object), ...(request.params as object) } as Record<string, unknown>;
  const { body } = request;
  if (body !== undefined && body !== null && (typeof body !== 'object' || Array.isArray(body))) {
    throw badRequest('the body is no JSON object');
  }
  if (route.method !== 'GET' && Object.keys(request.query as object).length > 0) {
    throw badRequest('this request takes its fields in the body, not in the query');
  }
  // How a list is answered, and for whom a link is, is no field of the operation (exports.ts, callers.ts).
  if (isList(route) && texts.format !== undefined) {
    delete texts.format;
    delete texts.owner;
  }
  const paged =
    Object.hasOwn(route.fields, 'limit') && !Object.hasOwn(texts, 'limit') ? { limit: PAGE_ROWS } : {};
  const given = Object.entries(texts).map(([name, text]) => [
    name,
    typeof text === 'string' ? fromText(route.fields[name], text) : text,
  ]);
  return { ...paged, ...(body as object | null), ...Object.fromEntries(given) };
}

/** No input has so many levels, and what goes through one level by level would use up the stack with thousands. */
const MOST_LEVELS = 16;

/** @throws Failure `request.malformed` */
export function requireShallow(body: unknown): void {
  let level = [body];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MOST_LEVELS) throw badRequest(`the body has more than ${MOST_LEVELS} levels`);
    level = level.flatMap((each) => (typeof each === 'object' && each !== null ? Object.values(each) : []));
  }
}

export const badRequest = (why: string): Failure =>
  new Failure('request.malformed', 'operator', `the request cannot be understood: ${why}`, {
    action: 'See /api/v1/openapi.json.',
  });
