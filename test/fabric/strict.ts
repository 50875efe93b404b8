import type { TSchema } from 'typebox';
import Compile from 'typebox/compile';

/*
 * Answers compared with the schemas that describe them: in tests, objects are closed.
 */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export interface Schema {
  readonly title?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly type?: string;
}

const checks = new WeakMap<TSchema, (answer: Json) => string | undefined>();

/** How an answer, as it is sent, differs from its schema; undefined: it does not. */
export function differs(schema: TSchema | undefined, answer: unknown): string | undefined {
  if (schema === undefined)
    return 'no schema describes it: see fabric/operations/answers.ts and fabric/api/account-answers.ts';
  let check = checks.get(schema);
  if (check === undefined) {
    const compiled = Compile(closed(JSON.parse(JSON.stringify(schema)) as Schema) as TSchema);
    check = (sent) => {
      if (compiled.Check(sent)) return undefined;
      const { instancePath, message, params } = compiled.Errors(sent)[0]!;
      return `${instancePath || 'the answer'} ${message} ${JSON.stringify(params)}`;
    };
    checks.set(schema, check);
  }
  return check(sentAs(answer));
}

/** The answer as JSON carries it. */
export const sentAs = (answer: unknown): Json => JSON.parse(JSON.stringify(answer)) as Json;

/** The same schema, in which no object has other fields than those that are named. */
function closed(schema: Schema): Schema {
  const { properties, items, anyOf } = schema;
  return {
    ...schema,
    ...(items !== undefined && { items: closed(items) }),
    ...(anyOf !== undefined && { anyOf: anyOf.map(closed) }),
    ...(properties !== undefined && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, closed(each)])),
      additionalProperties: false,
    }),
  };
}

/** Where a schema is told of: by its title wherever it is, else by its place. */
const nameOf = ({ title }: Schema, place: string): string => title ?? place;

/** The places of all fields of a schema; what has a title is a place of its own. */
export function pathsOf(schema: Schema, place: string): string[] {
  const here = nameOf(schema, place);
  const { properties = {}, items, anyOf = [] } = schema;
  return [
    here,
    ...Object.entries(properties).flatMap(([name, each]) => pathsOf(each, `${here}.${name}`)),
    ...(items === undefined ? [] : pathsOf(items, `${here}[]`)),
    ...anyOf.filter(({ type }) => type !== 'null').flatMap((each) => pathsOf(each, here)),
  ];
}

/** Those of them where the answer, which is as the schema says, has a value that is not null. */
export function pathsIn(schema: Schema, answer: Json, place: string): string[] {
  if (answer === null) return [];
  const here = nameOf(schema, place);
  const { properties = {}, items, anyOf = [] } = schema;
  const fields = answer as Readonly<Record<string, Json>>;
  return [
    here,
    ...Object.entries(properties).flatMap(([name, each]) =>
      fields[name] === undefined ? [] : pathsIn(each, fields[name], `${here}.${name}`),
    ),
    ...(items === undefined ? [] : (answer as Json[]).flatMap((each) => pathsIn(items, each, `${here}[]`))),
    ...anyOf.filter(({ type }) => type !== 'null').flatMap((each) => pathsIn(each, answer, here)),
  ];
}
