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

export const badRequest = (why: string): Failure =>
  new Failure('request.malformed', 'operator', `the request cannot be understood: ${why}`, {
    action: 'See /api/v1/openapi.json.',
  });
