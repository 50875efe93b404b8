import type { InputOf, OperationName, ViewOf } from './all.ts';
import { CATALOGUE } from './contract/catalogue.ts';
import { requestFor } from './contract/request.ts';

/** Sends a request of the API; `path` is below `/api/v1`. Returns the answer, which is JSON. */
export type Send = (method: string, path: string, body: object | undefined) => Promise<unknown>;

/** Runs an operation through the API: by its name, with its input, for its view. @throws whatever `send` does */
export type RunOperation = <Name extends OperationName>(
  name: Name,
  input: InputOf<Name>,
) => Promise<ViewOf<Name>>;

/** A client of the API, for browsers and command lines: it knows the operations, and leaves to `send` how a request travels. */
export function clientOf(send: Send): RunOperation {
  return (name, input) => {
    const entry = CATALOGUE[name]!;
    const { path, body } = requestFor(entry, input);
    return send(entry.method, path, body) as never;
  };
}
