import Type, { type Static, type TSchema } from 'typebox';
import type { Page } from '../../registry/pages.ts';
import type { Fields } from './input.ts';
import type { Changed } from './operation.ts';

/*
 * What answers are made of. Their schemas describe: nothing is checked or left out when an answer is sent. Objects are open, since fields may be
 * added to them; tests take them for closed.
 */

/** Without fields that can be set. */
type Deep<T> = T extends object ? { readonly [K in keyof T]: Deep<T[K]> } : T;

/** The TypeScript type of what a schema describes. */
export type Shown<Schema extends TSchema> = Deep<Static<Schema>>;

/** An object that has a name in the API's document. */
export const named = <Shape extends Fields>(title: string, description: string, shape: Shape) =>
  Type.Object(shape, { title, description });

/** An object. */
export const shown = <Shape extends Fields>(shape: Shape, description?: string) =>
  Type.Object(shape, description === undefined ? {} : { description });

/** Text. */
export const words = (description: string, ...examples: string[]) =>
  Type.String({ description, ...(examples.length > 0 && { examples }) });

/** A time in UTC, to a millisecond. */
export const time = (description: string) =>
  Type.String({ format: 'date-time', description, examples: ['2026-01-02T03:04:05.678Z'] });

/** So many bytes as lower-case hex digits. */
export const hexOf = (bytes: number, description: string) =>
  Type.String({ pattern: `^[0-9a-f]{${2 * bytes}}$`, description });

/** Bytes of any number as lower-case hex digits. */
export const hex = (description: string) => Type.String({ pattern: '^(?:[0-9a-f]{2})*$', description });

/** An address of a device or of the fabric's host. */
export const ipv6 = (description: string) =>
  Type.String({ format: 'ipv6', description, examples: ['fd00:8f80:8000:1::17'] });

/** A network. */
export const prefix = (description = 'The prefix of the network.') =>
  Type.String({ description, examples: ['fd00:8f80:8000:1::/64'] });

/** How many. */
export const count = (description: string) => Type.Integer({ minimum: 0, description });

/** The number by which something is known. */
export const number = (description: string) => Type.Integer({ minimum: 1, description });

/** An angle, at most so far from zero. */
export const degrees = (description: string, most: number) =>
  Type.Number({ minimum: -most, maximum: most, description });

/** How busy a host is. */
export const load = (description: string) => Type.Number({ minimum: 0, description });

/** A distance. */
export const kilometres = (description: string) => Type.Number({ minimum: 0, description });

/** Yes or no. */
export const whether = (description: string) => Type.Boolean({ description });

/** One of a few words; there may be more of them some day. */
export const wordOf = <const Words extends readonly string[]>(list: Words, description: string) =>
  Type.Unsafe<Words[number]>(Type.Enum([...list], { description }));

/** What a kind or an action is about: any fields. */
export const details = (description: string) => Type.Record(Type.String(), Type.Unknown(), { description });

/** A value, or null for the reason that its description gives. */
export const orNull = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);

/** A list. */
export const listOf = <Schema extends TSchema>(each: Schema, description?: string) =>
  Type.Array(each, description === undefined ? {} : { description });

/** All rows of a short list. */
export const rowsOf = <Row extends TSchema>(row: Row) => shown({ rows: listOf(row) });

/** A page of a list. */
export const pageOf = <Row extends TSchema>(row: Row) =>
  Type.Unsafe<Page<Shown<Row>>>(
    shown({
      rows: listOf(row),
      next: Type.Optional(
        words('The cursor of the following page, for `after`; absent: it was the last one.'),
      ),
    }),
  );

/** The outcome of a change. */
export const changedTo = <View extends TSchema>(view: View) =>
  Type.Unsafe<Changed<Shown<View>>>(
    shown({
      view,
      effect: words('Whether the running fabric has acted on it, as a phrase.', 'in force'),
    }),
  );

/** Whether a change has changed something. */
export const CHANGED = whether('False if there was nothing to do.');
