import { concat, fromHex } from '../../protocol/bytes.ts';
import { parseIpv6 } from '../../protocol/ipv6.ts';
import { type DeviceSearch, type TextFilter, textKey } from '../registry/records.ts';

const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
const LAST_GROUP = /^:?([0-9a-f]{1,4})$/;
/** The first groups of an address, without those of the network alone: those would find all of its devices. */
const FIRST_GROUPS = /^(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{1,4}$|^(?:[0-9a-f]{1,4}:){5,7}$/;
const NETWORK_GROUPS = 4;

/**
 * What a text may mean in a search for devices: how a name begins, the last group of an address, more than its first four groups, or all of it.
 * Case does not count.
 */
export function searchFor(text: string): DeviceSearch {
  const given = textKey(text.trim());
  const last = LAST_GROUP.exec(given)?.[1];
  return {
    ...(NAME.test(given) && { name: given }),
    ...(last !== undefined && { end: fromHex(last.padStart(4, '0')) }),
    ...rangeOf(given),
  };
}

/** What a list of networks or groups is narrowed to. */
export const textFilter = (text: string | undefined): TextFilter =>
  text === undefined ? {} : { text: textKey(text.trim()) };

/** Fewer characters are in almost everything. */
const LEAST = 3;

/** A text of which devices are found that have it somewhere. */
export function partOf(text: string): Pick<DeviceSearch, 'text'> {
  const given = textKey(text.trim());
  // Of an address whose fifth group is not written to its end only that is looked for: the network is that of all its devices.
  const part = isBegun(given) ? given.split(':').at(-1)! : given;
  return [...part].length < LEAST ? {} : { text: part };
}

/** The groups of a network, and a part of the group behind them. */
const isBegun = (given: string): boolean => {
  const groups = given.split(':');
  return FIRST_GROUPS.test(given) && groups.length === NETWORK_GROUPS + 1 && groups.at(-1)!.length < 4;
};

function rangeOf(given: string): Pick<DeviceSearch, 'from' | 'to'> {
  if (isBegun(given)) return {};
  if (FIRST_GROUPS.test(given)) {
    const groups = given.split(':').filter((group) => group !== '');
    const [known, open] = given.endsWith(':') ? [groups, ''] : [groups.slice(0, -1), groups.at(-1)!];
    const head = known.map((group) => group.padStart(4, '0')).join('');
    // The last group may not be written to its end, or lack zeros in front of it: it is looked for as it stands.
    const digits = head + (open.length === 4 ? open : '');
    return { from: fromHex(digits.padEnd(32, '0')), to: fromHex(digits.padEnd(32, 'f')) };
  }
  try {
    const address = concat(parseIpv6(given));
    return { from: address, to: address };
  } catch {
    return {};
  }
}
