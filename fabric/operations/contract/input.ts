import Type, { type Static, type TSchema } from 'typebox';
import Compile from 'typebox/compile';
import { Failure } from '../../../protocol/failure.ts';
import { hasUnprintable } from '../../../protocol/text.ts';

/** The fields of an input, each with its JSON schema. */
export type Fields = Readonly<Record<string, TSchema>>;

/** The JSON schema of an object that has these fields and no others. */
export function objectOf<Shape extends Fields>(shape: Shape) {
  return Type.Object(shape, { additionalProperties: false });
}

/**
 * Checks inputs against a schema, which is compiled once. All texts in an input must be printable.
 * @returns a function that gives the input back, or throws Failure `fabric.bad-input` with the name of the field
 */
export function checker<Schema extends TSchema>(schema: Schema): (input: unknown) => Static<Schema> {
  const compiled = Compile(schema);
  return (input) => {
    if (!compiled.Check(input)) throw badField(compiled.Errors(input)[0]);
    const unprintable = unprintableField(input, '');
    if (unprintable !== undefined) throw badInput(unprintable, 'has characters that cannot be seen');
    return input as Static<Schema>;
  };
}

/** Text of up to `most` characters. */
export const text = (most: number) => Type.String({ maxLength: most });

/** A whole number within bounds. */
export const whole = (least: number, most: number) => Type.Integer({ minimum: least, maximum: most });

/** One of a few words. */
export const oneOf = <const Words extends readonly string[]>(...words: Words) => Type.Enum([...words]);

/** Yes or no. */
export const flag = Type.Boolean();

/** A list of at most so many values. */
export const list = <Schema extends TSchema>(each: Schema, most: number) =>
  Type.Array(each, { maxItems: most });

/** A field that may be absent. */
export const optional = <Schema extends TSchema>(schema: Schema) => Type.Optional(schema);

/** Any JSON value, checked elsewhere. */
export const anything = Type.Unknown();

/** A field that is not what the operation needs. */
export const badInput = (name: string, what: string, action = 'Correct it, and try again.'): Failure =>
  new Failure('fabric.bad-input', 'operator', `${name} ${what}`, { action });

/** A DNS label (RFC 1123), in lower case. */
const DEVICE_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** @throws Failure `fabric.bad-input` if no device can be called so */
export function checkDeviceName(name: string): void {
  if (DEVICE_NAME.test(name)) return;
  throw badInput(
    'name',
    'has to have 1 to 63 lower-case letters, digits and hyphens, none of them a hyphen at an end',
  );
}

/** What nobody has typed. */
const OTHER_SHAPE =
  'Correct the input; a command line and a fabric of different versions may not understand each other.';

/** As TypeBox tells it (JSON Schema's keywords). */
interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: object;
  readonly message: string;
}

function badField(error: SchemaError | undefined): Failure {
  const { keyword, instancePath, params, message } = error ?? NO_DETAIL;
  const name = instancePath === '' ? 'the input' : instancePath.slice(1, 41);
  const { requiredProperties, additionalProperties } = params as Record<string, string[] | undefined>;
  if (keyword === 'required') return badInput(requiredProperties?.[0] ?? name, 'is missing', OTHER_SHAPE);
  if (keyword === 'additionalProperties')
    return badInput(additionalProperties?.[0]?.slice(0, 40) ?? name, 'is not known', OTHER_SHAPE);
  return keyword === 'boolean'
    ? badInput(name, 'is not known', OTHER_SHAPE)
    : badInput(name, message, instancePath === '' ? OTHER_SHAPE : undefined);
}

const NO_DETAIL: SchemaError = { keyword: '', instancePath: '', params: {}, message: 'is of another shape' };

/** Deeper than any input is. */
const DEEPEST = 16;

/** The first text in the value that has unprintable characters, as a path; undefined if none has. */
function unprintableField(value: unknown, path: string, depth = 0): string | undefined {
  if (typeof value === 'string') return hasUnprintable(value) ? path || 'the input' : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth > DEEPEST) throw badInput(path.slice(0, 40), 'is nested too deeply');
  for (const [name, each] of Object.entries(value)) {
    const found = unprintableField(each, path === '' ? name : `${path}.${name}`, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}
