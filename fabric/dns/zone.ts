import { fromHex, toHex } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { hostAddress } from '../registry/address.ts';

/** The names of one network: forward `<label>.<suffix>`, reverse below `ip6.arpa` (RFC 1035, RFC 3596 §2.5). */
export interface Zone {
  /** Lower case, without the dot at its end, at most `MOST_SUFFIX` characters. */
  readonly suffix: string;
  /** The first 8 bytes of the network's addresses. */
  readonly prefix: Uint8Array;
}

/** With a longer one an answer might be longer than 512 bytes, and need TCP. */
const MOST_SUFFIX = 100;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** Of the reverse name of a /64 and of an address. */
const PREFIX_NIBBLES = 16;
const ADDRESS_NIBBLES = 32;
const REVERSE = '.ip6.arpa';

/** The server's own name in its zone; no device is found by it. */
export const SERVER_LABEL = 'ns';

/** Parses the domain below which the devices of a network have their names. @throws Failure `dns.bad-zone` */
export function parseSuffix(text: string): string {
  const suffix = text.toLowerCase().replace(/\.$/, '');
  const labels = suffix.split('.');
  if (
    suffix.length > MOST_SUFFIX ||
    !labels.every((label) => LABEL.test(label)) ||
    suffix.endsWith('.arpa')
  ) {
    throw new Failure(
      'dns.bad-zone',
      'operator',
      `${JSON.stringify(text.slice(0, 120))} is no domain for names`,
      {
        action: `Give a domain of at most ${MOST_SUFFIX} letters, digits, hyphens and dots, such as plant.internal.`,
      },
    );
  }
  return suffix;
}

/** The label under which a device of this name is found; undefined if that is the server's own. */
export const labelOf = (name: string): string | undefined => (name === SERVER_LABEL ? undefined : name);

/** `4.3.2.1….ip6.arpa` of an address or of the beginning of one. */
export const reverseName = (bytes: Uint8Array): string =>
  `${[...toHex(bytes)].reverse().join('.')}${REVERSE}`;

/** Where a name is, seen from a zone. */
export type Place =
  /** The zone's own name, forward or reverse. */
  | { readonly kind: 'apex'; readonly zone: string }
  | { readonly kind: 'server'; readonly zone: string }
  | { readonly kind: 'label'; readonly zone: string; readonly label: string }
  /** The reverse name of an address, 16 bytes. */
  | { readonly kind: 'address'; readonly zone: string; readonly address: Uint8Array }
  /** There may be names below it (RFC 8020): it exists, and has no records. */
  | { readonly kind: 'between'; readonly zone: string }
  /** In the zone, but no name that anything has. */
  | { readonly kind: 'nothing'; readonly zone: string }
  | { readonly kind: 'elsewhere' };

/** Where `name` is: without the dot at its end, in any case. */
export function placeOf({ suffix, prefix }: Zone, name: string): Place {
  const lower = name.toLowerCase();
  const labels = labelsBelow(lower, suffix);
  if (labels !== undefined) return forward(labels, suffix);
  const zone = reverseName(prefix);
  const nibbles = labelsBelow(lower, zone);
  return nibbles === undefined ? { kind: 'elsewhere' } : reverse(nibbles, zone, prefix);
}

function forward(labels: readonly string[], zone: string): Place {
  const [label] = labels;
  if (label === undefined) return { kind: 'apex', zone };
  if (labels.length === 1 && label === SERVER_LABEL) return { kind: 'server', zone };
  return labels.length === 1 && LABEL.test(label)
    ? { kind: 'label', zone, label }
    : { kind: 'nothing', zone };
}

function reverse(nibbles: readonly string[], zone: string, prefix: Uint8Array): Place {
  if (nibbles.length === 0) return { kind: 'apex', zone };
  if (nibbles.length > PREFIX_NIBBLES || !nibbles.every((nibble) => /^[0-9a-f]$/.test(nibble)))
    return { kind: 'nothing', zone };
  if (nibbles.length < ADDRESS_NIBBLES - PREFIX_NIBBLES) return { kind: 'between', zone };
  const end = fromHex([...nibbles].reverse().join(''));
  const address = new Uint8Array(16);
  address.set(prefix);
  address.set(end, 8);
  return { kind: 'address', zone, address };
}

/** What is before `zone` in `name`; undefined if that is not in it. */
function labelsBelow(name: string, zone: string): readonly string[] | undefined {
  if (name === zone) return [];
  return name.endsWith(`.${zone}`) ? name.slice(0, -zone.length - 1).split('.') : undefined;
}

/** The address at which the zone's server answers: the fabric's host in the network. */
export const serverAddress = ({ prefix }: Pick<Zone, 'prefix'>): Uint8Array => hostAddress(prefix);
