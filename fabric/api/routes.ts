import type { TSchema } from 'typebox';
import { OPERATIONS, type OperationName } from '../operations/all.ts';
import { ANSWERS } from '../operations/answers.ts';
import { CATALOGUE, type Entry } from '../operations/contract/catalogue.ts';
import { fieldsInPath } from '../operations/contract/request.ts';

export const API_PREFIX = '/api/v1';

/** An operation as a route. */
export interface Route extends Entry {
  /** Of the operation. */
  readonly name: string;
  /** JSON schemas of the fields of the input, by name; `required` of those that must be there. */
  readonly fields: Readonly<Record<string, TSchema>>;
  readonly required: readonly string[];
  /** The fields that are in the path. */
  readonly inPath: readonly string[];
  /** The JSON schema of the answer. */
  readonly answer: TSchema;
}

/** Every operation that the API offers. */
export const ROUTES: readonly Route[] = Object.entries(CATALOGUE).map(([name, entry]) => {
  const { properties = {}, required = [] } = OPERATIONS.get(name)!.input as {
    properties?: Record<string, TSchema>;
    required?: readonly string[];
  };
  const answer = ANSWERS[name as OperationName];
  return { ...entry, name, fields: properties, required, inPath: fieldsInPath(entry.path), answer };
});

/** Is it a list, of which there are pages? */
export const isList = ({ method, fields }: Pick<Route, 'method' | 'fields'>): boolean =>
  method === 'GET' && Object.hasOwn(fields, 'limit') && Object.hasOwn(fields, 'after');

/** The path as fastify has it. */
export const patternOf = (path: string): string => path.replace(/\{(\w+)\}/g, ':$1');

/** A field of a query or path, which are text, as its schema has it; text that is no number stays text, and is refused by the schema. */
export function fromText(schema: TSchema | undefined, text: string): string | number {
  const isNumber = (schema as { type?: string } | undefined)?.type === 'integer' && /^-?\d{1,16}$/.test(text);
  return isNumber ? Number(text) : text;
}
