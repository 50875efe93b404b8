import { networkInterfaces } from 'node:os';
import { type Prefix, parsePrefix, prefixOf } from '../../protocol/ipv6.ts';

/** The IPv6 prefixes of this machine's links that are up, but for link-local ones and those of the interface `except`. */
export function linkPrefixes(except: string): readonly Prefix[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    name === except
      ? []
      : addresses.flatMap(({ family, internal, scopeid, cidr }) =>
          family === 'IPv6' && !internal && scopeid === 0 && cidr !== null ? [prefixFrom(cidr)] : [],
        ),
  );
}

function prefixFrom(cidr: string): Prefix {
  const [address, length] = cidr.split('/');
  return prefixOf(parsePrefix(address!).address, Number(length));
}
