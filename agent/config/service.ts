import { type Refusal, refuse } from '../../cli/config/refusal.ts';

/** What may be begun with a machine: a range of ports, or pings. */
export type Service =
  | { readonly protocol: 'tcp' | 'udp'; readonly first: number; readonly last: number }
  | { readonly protocol: 'icmp' };

/** Parses `tcp/22`, `udp/5000-5010` or `icmp`. */
export function readService(value: string): Service | Refusal {
  if (value === 'icmp') return { protocol: 'icmp' };
  const [, protocol, from, to] = /^(tcp|udp)\/([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(value) ?? [];
  const [first, last] = [Number(from), Number(to ?? from)];
  return protocol !== undefined && first <= last && last <= 65_535
    ? { protocol: protocol as 'tcp' | 'udp', first, last }
    : refuse('a service such as "tcp/22", "udp/5000-5010" or "icmp"');
}

/** The same text. */
export function formatService(service: Service): string {
  if (service.protocol === 'icmp') return 'icmp';
  const { protocol, first, last } = service;
  return first === last ? `${protocol}/${first}` : `${protocol}/${first}-${last}`;
}
