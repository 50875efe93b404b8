import type { Entry } from './catalogue.ts';

/** An operation's request, without the method. */
export interface OperationRequest {
  /** Below `/api/v1`, with the query of a GET. */
  readonly path: string;
  readonly body: object | undefined;
}

/** The path with its query, and the body, that hold the fields of the input. */
export function requestFor(
  { method, path }: Pick<Entry, 'method' | 'path'>,
  input: object,
): OperationRequest {
  const inPath = fieldsInPath(path);
  const fields = Object.entries(input).filter(([, value]) => value !== undefined);
  const filled = path.replace(/\{(\w+)\}/g, (_, field: string) =>
    encodeURIComponent(String((input as Record<string, unknown>)[field])),
  );
  const others = fields.filter(([name]) => !inPath.includes(name));
  if (method !== 'GET')
    return { path: filled, body: others.length === 0 ? undefined : Object.fromEntries(others) };
  const query = new URLSearchParams(others.map(([name, value]): [string, string] => [name, String(value)]));
  return { path: query.size === 0 ? filled : `${filled}?${query}`, body: undefined };
}

/** The names in braces of a path. */
export function fieldsInPath(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!);
}
