import { randomInt } from 'node:crypto';
import { Failure, isFailure } from '../../../protocol/failure.ts';
import { formatPrefix, matches, type Prefix, parsePrefix } from '../../../protocol/ipv6.ts';
import type { NetworkView } from '../../operations/views/groups.ts';
import { allOf, type Call } from './call.ts';
import { domainsOf } from './domains.ts';
import { enveloped, namedInPath } from './quirks.ts';

const networkView = ({ name, prefix, note }: NetworkView) => ({
  name,
  network: prefix,
  description: note ?? '',
  status: 'ACTIVE',
});

export async function listNetworks(call: Call) {
  const spaces = (await domainsOf(call)).domains.map(({ prefix }) => parsePrefix(prefix));
  const rows = await allOf((page) => call.run('network-list', page));
  const inDomain = rows.filter(({ prefix }) =>
    spaces.some((space) => matches(space, parsePrefix(prefix).address)),
  );
  return enveloped(...inDomain.map(networkView));
}

/** The network of the path. @throws Failure `fabric.unknown-network`, `ipv6.bad-prefix` */
export async function networkOf(call: Call): Promise<NetworkView> {
  const prefix = formatPrefix(parsePrefix(namedInPath(call.params, 'network')));
  const rows = await allOf((page) => call.run('network-list', { ...page, q: prefix }));
  const found = rows.find((row) => row.prefix === prefix);
  if (found !== undefined) return found;
  throw new Failure('fabric.unknown-network', 'operator', `there is no network ${prefix}`, {
    action: 'Add it to its domain, or see "enf-fabric network list".',
  });
}

export const getNetwork = async (call: Call) => enveloped(networkView(await networkOf(call)));

/** How often another /64 is tried. */
const ATTEMPTS = 16;

/** The client does not say which /64: any of the domain that nobody has. @throws Failure `fabric.network-exists` if that is hard to find */
export async function createNetwork(call: Call) {
  const { domains } = await domainsOf(call);
  const { name, description } = call.body as { name: string; description?: string };
  const own = call.as(domains[0]!.owner);
  const note = description === undefined ? {} : { note: description };
  for (let attempt = 1; ; attempt++) {
    const prefix = formatPrefix(anySubnet(parsePrefix(domains[(attempt - 1) % domains.length]!.prefix)));
    try {
      const { view } = await own.run('network-add', { prefix, name, ...note });
      return enveloped(networkView(view));
    } catch (error) {
      if (!isFailure(error, 'fabric.network-exists') || attempt === ATTEMPTS) throw error;
    }
  }
}

/** A /64 within a prefix, but for its first one if there are others. */
function anySubnet({ address, length }: Prefix): Prefix {
  const subnet = new Uint8Array(address);
  // Of the subnets of a prefix shorter than /32 the first 2^32 are enough.
  const bits = Math.min(32, 64 - length);
  let number = bits <= 0 ? 0 : randomInt(1, 2 ** bits);
  for (let at = 7; at >= 4; at--, number = Math.floor(number / 256)) subnet[at]! |= number % 256;
  return { address: subnet, length: 64 };
}

export async function updateNetwork(call: Call) {
  const network = await networkOf(call);
  const { name = network.name, description: note } = call.body as { name?: string; description?: string };
  await call.run('network-rename', { prefix: network.prefix, name, ...(note !== undefined && { note }) });
  return getNetwork(call);
}
