import { type Refusal, refuse } from '../../cli/config/refusal.ts';

/** A key in a PKCS#11 token, as a URI names it (RFC 7512). */
export interface Pkcs11Uri {
  /** Of the private key, for a provider: without its query. */
  readonly key: string;
  /** Of its token alone. */
  readonly token: string;
  /** Which token, and which of its objects, to be shown. */
  readonly shown: string;
  /** File with the PIN; empty: the token asks for none. */
  readonly pinFile: string;
  /** The PKCS#11 module; empty: the choice of the provider. */
  readonly modulePath: string;
}

const PREFIX = 'pkcs11:';
const MOST = 1_024;

/** Of the path, RFC 7512 §2.3. What it does not know is refused: it says which key, and may not be passed over. */
const PATH = new Set([
  'token',
  'manufacturer',
  'serial',
  'model',
  'library-manufacturer',
  'library-version',
  'library-description',
  'object',
  'type',
  'id',
  'slot-manufacturer',
  'slot-description',
  'slot-id',
]);
const QUERY = new Set(['pin-source', 'pin-value', 'module-name', 'module-path']);
/** `pk11-pchar` and `pk11-qchar`, RFC 7512 §2.3. */
const PATH_VALUE = /^(?:[\w.~:[\]@!$'()*+,=&-]|%[0-9A-Fa-f]{2})*$/;
const QUERY_VALUE = /^(?:[\w.~:[\]@!$'()*+,=/?|-]|%[0-9A-Fa-f]{2})*$/;
/** What can stand in OpenSSL's file of settings, and cannot be taken for anything else there. */
const MODULE = /^\/[\w./+-]{1,200}$/;

export const isPkcs11 = (key: string): boolean => key.startsWith(PREFIX);

/** Reads such a URI. Refusals have no part of it: there may be a PIN in it. */
export function readPkcs11(uri: string): Pkcs11Uri | Refusal {
  if (uri.length > MOST) return refuse(`a URI of at most ${MOST} characters`);
  const [path, query, ...more] = split(uri.slice(PREFIX.length), '?', 2);
  const named = attributes(path!, ';', PATH, PATH_VALUE);
  const asked = attributes(query ?? '', '&', QUERY, QUERY_VALUE);
  if (named === undefined || asked === undefined || more.length > 0)
    return refuse('a URI of RFC 7512 such as "pkcs11:token=plant;object=pump", each attribute once');
  if (asked.has('pin-value'))
    return refuse(
      'a URI without pin-value: others read the configuration, so the PIN has to be in a file, as "pin-source=file:/etc/enf/pin"',
    );
  return place(named, asked);
}

function place(named: ReadonlyMap<string, string>, asked: ReadonlyMap<string, string>): Pkcs11Uri | Refusal {
  // Without either the PIN would be tried on every token that there is.
  if (!named.get('token') && !named.get('serial'))
    return refuse('a URI that names the token, by token or serial');
  if (!named.get('object') && !named.get('id')) return refuse('a URI that names the key, by object or id');
  if ((named.get('type') ?? 'private') !== 'private')
    return refuse('a URI of a private key: type=private, or none');
  if (asked.has('module-name'))
    return refuse('module-path with the path of the PKCS#11 module, not module-name');
  const modulePath = decode(asked.get('module-path') ?? '');
  if (modulePath !== '' && (modulePath === undefined || !MODULE.test(modulePath)))
    return refuse('an absolute path in module-path, of letters, digits and "_", ".", "/", "+", "-"');
  const pinFile = decode(asked.get('pin-source') ?? '')?.replace(/^file:(?:\/\/(?=\/))?/, '');
  if (pinFile === undefined || (asked.has('pin-source') && !/^\/[^\0]+$/.test(pinFile)))
    return refuse('an absolute path in pin-source, such as "pin-source=file:/etc/enf/pin"');
  const without = (...left: readonly string[]): string =>
    [...named].flatMap(([name, value]) => (left.includes(name) ? [] : [`${name}=${value}`])).join(';');
  const shown = without('type');
  const token = `${PREFIX}${without('type', 'object', 'id')}`;
  return { key: `${PREFIX}${shown};type=private`, token, shown, pinFile, modulePath };
}

/** At the first `most - 1` places where `by` stands. */
function split(text: string, by: string, most: number): string[] {
  const at = text.indexOf(by);
  return most < 2 || at < 0 ? [text] : [text.slice(0, at), ...split(text.slice(at + 1), by, most - 1)];
}

/** Undefined if one is not known, comes twice, or is not encoded as it should be. */
function attributes(
  text: string,
  separator: string,
  known: ReadonlySet<string>,
  form: RegExp,
): ReadonlyMap<string, string> | undefined {
  const found = new Map<string, string>();
  for (const each of text === '' ? [] : text.split(separator)) {
    const [name, value] = split(each, '=', 2);
    if (value === undefined || !known.has(name!) || found.has(name!) || !form.test(value)) return undefined;
    found.set(name!, value);
  }
  return found;
}

/** Undefined if it is no text in UTF-8. */
function decode(value: string): string | undefined {
  try {
    return decodeURIComponent(value);
  } catch {
    return undefined;
  }
}
