import Type, { type TSchema } from 'typebox';
import { STREAM_EVENTS } from './account-answers.ts';
import type { AccountRoute } from './account-table.ts';
import { shownBy } from './etags.ts';
import { EXPORT_FORMATS, EXPORT_TYPES } from './exports.ts';
import { PROBLEM_TYPE, Problem } from './problem.ts';
import { isList, type Route } from './routes.ts';

/*
 * What goes along with a request, and what comes back, as an OpenAPI document says it.
 */

const content = { [PROBLEM_TYPE]: { schema: Problem } };
const headers = {
  'Retry-After': { description: 'Seconds to wait before the next attempt.', schema: Type.Integer() },
};

/** What is answered instead of a result, by name. */
export const FAILED_RESPONSES = {
  Failure: { description: 'A failure.', content },
  Changed: { description: 'It is not any more as `If-Match` says.', content },
  TooMany: { description: 'Too many requests.', headers, content },
  Later: { description: 'A retry may help.', headers, content },
};

const refer = (name: keyof typeof FAILED_RESPONSES) => ({ $ref: `#/components/responses/${name}` });

const ETAG = {
  description: 'The tag of this answer, for `If-None-Match` and `If-Match`.',
  schema: Type.String(),
};

const AS_OF = {
  description: 'A replica has answered, which has everything that was committed by then.',
  schema: Type.String({ format: 'date-time' }),
};

const inHeader = (name: string, description: string, schema: TSchema = Type.String()) => ({
  name,
  in: 'header',
  required: false,
  description,
  schema,
});

/** What changes how a request is done or answered, by name. */
export const REQUEST_HEADERS = {
  IfNoneMatch: inHeader('If-None-Match', 'The `ETag` of an answer that is known: nothing is sent again.'),
  IfMatch: inHeader(
    'If-Match',
    'The `ETag` that `GET` has given: the change is made only if it still is so.',
  ),
  IdempotencyKey: inHeader(
    'Idempotency-Key',
    'Sent again with a request that is repeated: it is done once.',
    Type.String({ pattern: '^[\\x21-\\x7e]{1,64}$', examples: ['2b1c5b0e-7a52-4d8e-9d53-6f1f5a3c9a10'] }),
  ),
  Owner: inHeader(
    'Enf-Owner',
    'The name of the owner for whom the request is, where whoever asks may act for several.',
    Type.String({ pattern: '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$', examples: ['acme'] }),
  ),
  Format: {
    name: 'format',
    in: 'query',
    required: false,
    description:
      'A whole list as a stream, `limit` rows of it if that is given (any number); without it the type that `Accept` names first.',
    schema: Type.Enum(['json', ...EXPORT_FORMATS]),
  },
  LastEventId: inHeader('Last-Event-ID', 'The `id` of the last event that has come: what follows is sent.'),
};

/** Those that a request takes. */
export function headersOf(route: Route | AccountRoute): object[] {
  const refer = (name: keyof typeof REQUEST_HEADERS) => ({ $ref: `#/components/parameters/${name}` });
  if ('who' in route)
    return route.who === 'anyone'
      ? []
      : [refer('Owner'), ...(route.name === 'events' ? [refer('LastEventId')] : [])];
  if (route.method === 'GET')
    return [refer('Owner'), ...(isList(route) ? [refer('Format')] : []), refer('IfNoneMatch')];
  return [
    refer('Owner'),
    refer('IdempotencyKey'),
    ...(shownBy(route.path) === undefined ? [] : [refer('IfMatch')]),
  ];
}

const WHOLE_LIST = {
  [EXPORT_TYPES.csv]: {
    schema: Type.String({
      description:
        'All rows (RFC 4180), with a line of names; a field of an object is a column, such as `lastHandshake.at`.',
    }),
  },
  [EXPORT_TYPES.ndjson]: { schema: Type.String({ description: 'All rows, each as JSON in a line.' }) },
};

/** The answers to a request, by status. */
export function responsesOf(route: Route | AccountRoute): object {
  const { name, answer, method } = route;
  const isOperation = !('who' in route);
  const isTagged = isOperation && method === 'GET';
  return {
    200: {
      description: 'Done.',
      ...(isTagged && { headers: { ETag: ETAG, ...(route.replica && { 'As-Of': AS_OF }) } }),
      content:
        name === 'events'
          ? { 'text/event-stream': { schema: answer, 'x-events': STREAM_EVENTS } }
          : { 'application/json': { schema: answer }, ...(isOperation && isList(route) && WHOLE_LIST) },
    },
    ...(isTagged && { 304: { description: 'The answer has the tag that `If-None-Match` names.' } }),
    ...(isOperation && method !== 'GET' && shownBy(route.path) !== undefined && { 412: refer('Changed') }),
    429: refer('TooMany'),
    503: refer('Later'),
    default: refer('Failure'),
  };
}
