import { ACCOUNT_ROUTES, type AccountRoute } from './account-table.ts';
import { FAILED_RESPONSES, headersOf, REQUEST_HEADERS, responsesOf } from './responses.ts';
import { ROUTES, type Route } from './routes.ts';

/** The API as an OpenAPI 3.1 document. */
export function openApiDocument(version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  const named: Record<string, unknown> = {};
  for (const route of [...ROUTES, ...ACCOUNT_ROUTES]) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationObject(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Edge Network Fabric',
      version,
      description:
        'What an owner can do with a fabric. Failures are problems (RFC 9457) with a stable `code`, see docs/errors.md.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/api/v1' }],
    security: [{ token: [] }, { session: [] }],
    paths: byName(paths, named),
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'A token of "enf-fabric token create".' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: '__Host-enf',
          description:
            'Of a browser that has signed in; what changes something also needs the header `x-enf-request: 1`.',
        },
      },
      parameters: REQUEST_HEADERS,
      responses: byName(FAILED_RESPONSES, named),
      schemas: named,
    },
  };
}

const FRESH = 'A session needs a sign-in of the last minutes for it, or `confirm` (`access.fresh-sign-in`).';

/** Who may send a request of signing in and of what a person does for itself. */
const CALLERS: Readonly<
  Record<AccountRoute['who'], { readonly words: string; readonly security?: object[] }>
> = {
  anyone: { words: "For anyone, from the console's own pages.", security: [] },
  person: { words: 'For a person who has signed in.', security: [{ session: [] }] },
  fresh: { words: `For a person who has signed in. ${FRESH}`, security: [{ session: [] }] },
  caller: { words: 'For whoever has signed in or has a token.' },
};

function operationObject(route: Route | AccountRoute): object {
  const { name, method, summary, fields, required, inPath } = route;
  const { words, security } = 'who' in route ? CALLERS[route.who] : { words: neededFor(route) };
  const own = Object.keys(fields).filter((field) => !inPath.includes(field));
  const inQuery = method === 'GET' ? own : [];
  const inBody = method === 'GET' ? [] : own;
  return {
    operationId: name,
    summary,
    description: words,
    ...(security === undefined ? {} : { security }),
    parameters: [
      ...inPath.map((field) => ({ name: field, in: 'path', required: true, schema: fields[field] })),
      ...inQuery.map((field) => ({
        name: field,
        in: 'query',
        required: required.includes(field) && field !== 'limit',
        schema: fields[field],
      })),
      ...headersOf(route),
    ],
    ...(inBody.length === 0
      ? {}
      : {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: objectSchema(fields, inBody, required) } },
          },
        }),
    responses: responsesOf(route),
  };
}

const neededFor = ({ permission, fresh, whole }: Route): string =>
  [
    `Needs the permission \`${permission}\`.`,
    ...(whole ? ['It concerns all owners of the fabric: of one among several nobody may.'] : []),
    ...(fresh ? [FRESH] : []),
  ].join(' ');

const objectSchema = (
  fields: Route['fields'],
  names: readonly string[],
  required: readonly string[],
): object => ({
  type: 'object',
  additionalProperties: false,
  required: names.filter((name) => required.includes(name)),
  properties: Object.fromEntries(names.map((name) => [name, fields[name]])),
});

/** The same document, in which each schema that has a title stands in `named`, once, and is referred to. */
function byName(value: unknown, named: Record<string, unknown>): unknown {
  if (Array.isArray(value)) return value.map((each) => byName(each, named));
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).map(([name, each]) => [name, byName(each, named)]);
  const { title, ...schema } = Object.fromEntries(fields);
  if (typeof title !== 'string') return Object.fromEntries(fields);
  named[title] = schema;
  return { $ref: `#/components/schemas/${title}` };
}
