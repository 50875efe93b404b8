import Type from 'typebox';
import { STREAM_EVENTS } from './account-answers.ts';
import type { AccountRoute } from './account-table.ts';
import { shownBy } from './etags.ts';
import { PROBLEM_TYPE, Problem } from './problem.ts';
import type { Route } from './routes.ts';

/*
 * What comes back, as an OpenAPI document says it.
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

/** The answers to a request, by status. */
export function responsesOf(route: Route | AccountRoute): object {
  const { name, answer, method } = route;
  const isOperation = !('who' in route);
  const isTagged = isOperation && method === 'GET';
  return {
    200: {
      description: 'Done.',
      ...(isTagged && { headers: { ETag: ETAG } }),
      content:
        name === 'events'
          ? { 'text/event-stream': { schema: answer, 'x-events': STREAM_EVENTS } }
          : { 'application/json': { schema: answer } },
    },
    ...(isTagged && { 304: { description: 'The answer has the tag that `If-None-Match` names.' } }),
    ...(isOperation && method !== 'GET' && shownBy(route.path) !== undefined && { 412: refer('Changed') }),
    429: refer('TooMany'),
    503: refer('Later'),
    default: refer('Failure'),
  };
}
