import { isRefusal, type Refusal, refuse } from '../../cli/config/refusal.ts';
import { domainOf } from '../../os/net/service.ts';
import { isDnsName } from '../../protocol/dns.ts';
import { parseIpv6 } from '../../protocol/ipv6.ts';

const IPV4 = /^(?:(?:0|[1-9]\d{0,2})(?:\.|$)){4}$/;

/**
 * A host name or a literal address. What ends with a number is an address: resolvers read "010.009.001.002" in octal, or not at all, and
 * each program in its own way.
 */
export function readHost(value: string): string | Refusal {
  if (value.includes(':') || value.includes('[')) return isIpv6(value) ? value : withPort(value);
  const numeric = /^\d+$/.test(value.slice(value.lastIndexOf('.') + 1));
  if (numeric) {
    const right =
      IPV4.test(value) && !value.endsWith('.') && value.split('.').every((part) => Number(part) <= 255);
    return right
      ? value
      : refuse('an IPv4 address of four numbers up to 255 without leading zeros, such as "10.9.1.2"');
  }
  return isDnsName(value) ? value : refuse('a host name or a literal address such as "203.0.113.7"');
}

/** The same, or the name of a service (os/net/service.ts). Nothing else that begins with an underscore is a host. */
export function readRemote(value: string): string | Refusal {
  if (!value.startsWith('_')) return readHost(value);
  const domain = domainOf(value);
  const named = domain !== value && !domain.startsWith('_') && !isRefusal(readHost(domain));
  return named && isDnsName(value) && !/^[\d.]+$|:/.test(domain)
    ? value
    : refuse('a name such as "_enf._tcp.example.org" for the SRV records of the fabric');
}

const withPort = (value: string): Refusal =>
  refuse(
    /\]?:\d{1,5}$/.test(value)
      ? 'a host without a port: ports are remote.tunnel-port and remote.identity-port, and an IPv6 address stands without brackets'
      : 'a host name or a literal address such as "203.0.113.7" or "2001:db8::7"',
  );

function isIpv6(value: string): boolean {
  try {
    return parseIpv6(value).length === 16;
  } catch {
    return false;
  }
}
