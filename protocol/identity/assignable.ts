import { Failure } from '../failure.ts';
import { formatIpv6, formatPrefix, matches, type Prefix, UNICAST } from '../ipv6.ts';

/**
 * Checks an identity that a fabric has assigned (16 bytes) before it is kept and routed. `links` are the prefixes of the machine's
 * own links: an identity inside one would take traffic of that network into the tunnel, or its own out of it.
 * @throws Failure `agent.unusable-identity`
 */
export function checkAssigned(identity: Uint8Array, links: readonly Prefix[]): void {
  const link = links.find((each) => matches(each, identity));
  const unicast = UNICAST.some((each) => matches(each, identity));
  if (unicast && link === undefined) return;
  const why = unicast
    ? `it lies inside ${formatPrefix(link!)}, a network that this machine is connected to`
    : 'it is neither a global unicast (2000::/3) nor a unique local (fc00::/7) address';
  throw new Failure(
    'agent.unusable-identity',
    'retry',
    `the fabric assigned ${formatIpv6(identity)}, which cannot be an identity: ${why}`,
    {
      action:
        'Nothing of it is kept, and the device tries again later. Ask the owner of the fabric which prefix its networks have.',
    },
  );
}
