import { readConfigFile } from '../../../cli/config/file.ts';
import type { Key } from '../../../cli/config/key-types.ts';
import { isRefusal } from '../../../cli/config/refusal.ts';
import type { Invocation, Option } from '../../../cli/program.ts';
import { absolutePath, readIfThere } from '../../../os/files/read.ts';
import { Failure } from '../../../protocol/failure.ts';
import { type Config, DEFAULT_PATH, MANUAL, parseConfig, SCHEMA } from '../../config/config.ts';

/** The options of `serve` and `console serve`: a configuration file, and for single keys another value. */

export const CONFIG: Option = {
  name: 'config',
  value: 'FILE',
  help: `the configuration (${DEFAULT_PATH}, if it is there)`,
};

/** An option that takes the place of one key of the configuration. */
export interface Override {
  readonly option: Option;
  readonly section: keyof typeof SCHEMA;
  readonly key: string;
}

/** The option `name` for the key `section.key`; `value` is its placeholder, none for a flag. */
export function override(
  name: string,
  value: string | undefined,
  section: keyof typeof SCHEMA,
  key: string,
): Override {
  const { doc, toml, default: standard } = keyOf(section, key);
  const usual = plain(standard ?? '');
  const help = `${inSentence(plain(doc).replace(/\.$/, ''))} (${section}.${key}${usual === '' ? '' : `, default ${usual}`})`;
  const many = toml === 'list';
  return {
    option: { name, help, ...(value !== undefined && { value }), ...(many && { many }) },
    section,
    key,
  };
}

/**
 * The configuration of `--config`, or of the usual file if there is one, with what the options say instead.
 * @throws Failure `config.…`, `os.not-readable`, `cli.bad-option`
 */
export async function readConfig(
  invocation: Invocation,
  overrides: readonly Override[] = [],
): Promise<Config> {
  const config: Record<string, Record<string, unknown>> = {};
  for (const [section, values] of Object.entries(await readFile(invocation))) config[section] = { ...values };
  for (const { option, section, key } of overrides) {
    const given = givenFor(option, invocation);
    if (given === undefined) continue;
    config[section]![camel(key)] = readOption(option, keyOf(section, key), given);
  }
  return config as unknown as Config;
}

async function readFile(invocation: Invocation): Promise<Config> {
  const given = invocation.option('config');
  if (given !== undefined) return parseConfig(await readConfigFile(given, MANUAL), given);
  const usual = await readIfThere(DEFAULT_PATH, 'configuration');
  return parseConfig(new TextDecoder().decode(usual ?? new Uint8Array()), DEFAULT_PATH);
}

function givenFor(option: Option, invocation: Invocation): string | true | readonly string[] | undefined {
  if (option.value === undefined) return invocation.flag(option.name) || undefined;
  const text = invocation.option(option.name);
  if (option.value === 'FILE' && text !== undefined && text !== 'none') return absolutePath(text);
  if (!option.many) return text;
  const list = invocation.options(option.name);
  return list.length === 0 ? undefined : list.flatMap((each) => each.split(',')).map((each) => each.trim());
}

function readOption(option: Option, key: Key<unknown>, given: string | true | readonly string[]): unknown {
  const isNumber = key.toml === 'number' && typeof given === 'string' && /^\d{1,9}$/.test(given);
  const read = key.read(isNumber ? Number(given) : given);
  if (!isRefusal(read)) return read;
  throw new Failure(
    'cli.bad-option',
    'operator',
    `--${option.name}: expected ${read.expected}, got ${JSON.stringify(given).slice(0, 80)}`,
    { action: `Correct --${option.name}, or leave it out.` },
  );
}

/** Without the marks of TOML and Markdown. */
const plain = (text: string): string =>
  text
    .replaceAll('`', '')
    .replaceAll('"', '')
    .replace(/^\[\]$/, '');

/** As the helps of other options begin: small, but for an abbreviation. */
const inSentence = (text: string): string =>
  /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;

const keyOf = (section: keyof typeof SCHEMA, key: string): Key<unknown> =>
  (SCHEMA[section] as Readonly<Record<string, Key<unknown>>>)[key]!;

const camel = (name: string): string => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
