import type { TSchema } from 'typebox';
import type { Role } from '../access/roles.ts';
import type { Page } from '../registry/pages.ts';
import type { Registry } from '../registry/registry.ts';
import { checker, objectOf, optional, text, whole } from './input.ts';

/** What an operation works on, and who asked for it. */
export interface Context {
  readonly registry: Registry;
  readonly running: Running;
  /** Recorded in the audit trail: the user at the command line, or whoever a session or token stands for. */
  readonly actor: string;
  /** Of whoever asks from outside; undefined: the operator of the host. */
  readonly role?: Role;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** The fabric that serves the registry: this process, another, or none. */
export interface Running {
  /** Makes a change known to it. Returns the effect as a phrase for a person, e.g. `in force`. */
  notify(): Promise<string>;
  /** Tells connected devices from others; undefined: no fabric is serving, so nobody knows. */
  presence(): Promise<Presence | undefined>;
  /** When a device with a tunnel was last heard, in milliseconds since 1970, if it does not answer any more. */
  silentSince?(address: Uint8Array): number | undefined;
}

/** True if the device with this address (16 bytes) has a tunnel. */
export type Presence = (address: Uint8Array) => boolean;

/** The outcome of a change: what is so now, and whether the running fabric has acted on it. */
export interface Changed<View> {
  readonly view: View;
  readonly effect: string;
}

/**
 * Something that an owner can do, without terminal and HTTP: input and view are plain JSON, so that a command line, a
 * control socket and an API run the same function and show the same view.
 */
export interface Operation<Input, View> {
  /** The last part of its path on the control socket. */
  readonly name: string;
  /** The JSON schema of the input. */
  readonly input: TSchema;
  /** @throws Failure `fabric.bad-input` for an input of another shape, and those of the operation */
  run(context: Context, input: Input): Promise<View>;
}

/** An operation whose input is checked against its schema before it runs, whoever calls it. */
export function operation<Input extends object, View>(
  name: string,
  shape: { readonly [K in keyof Input]-?: TSchema },
  run: (context: Context, input: Input) => Promise<View>,
): Operation<Input, View> {
  const schema = objectOf(shape);
  const check = checker(schema);
  return { name, input: schema, run: async (context, input) => run(context, check(input) as Input) };
}

/** Rows that one call returns at most: an answer stays far below the largest one of the control socket. */
const MOST_ROWS = 1_000;
const LONGEST_CURSOR = 200;

/** A page of a list as input. */
export interface PageInput {
  readonly limit: number;
  readonly after?: string | undefined;
}

export const PAGE_FIELDS = { limit: whole(1, MOST_ROWS), after: optional(text(LONGEST_CURSOR)) };

/** The page with a view of each row. */
export function viewPage<Row, View>({ rows, next }: Page<Row>, view: (row: Row) => View): Page<View> {
  return { rows: rows.map(view), next };
}

/** A time as views show it. */
export const isoTime = (at: number): string => new Date(at).toISOString();
