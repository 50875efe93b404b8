import { isDnsName } from '../../protocol/dns.ts';

/*
 * Services that DNS has by name (RFC 2782): which hosts serve it, on which port, who is asked first, and who how often. A record is kept as zone files have
 * it: "priority weight port target".
 */

/** What a name begins with whose records say where the fabric's tunnel routers are. */
export const SERVICE_LABELS = '_enf._tcp.';

/** True for the name of a service, which has records and no addresses. */
export const isService = (name: string): boolean => name.toLowerCase().startsWith(SERVICE_LABELS);

/** The domain whose service it is; any other name is its own. */
export const domainOf = (name: string): string =>
  isService(name) ? name.slice(SERVICE_LABELS.length) : name;

/** A host and a TCP port. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Where a connection leads to, or was to lead to. */
export interface Place extends Endpoint {
  /** That was reached, where this program looks up the name itself. */
  readonly address?: string;
  /** What the attempt had left to try of the name's addresses, of the same family: one of the other family may be the same machine's. */
  readonly peers?: readonly string[];
}

export interface ServiceRecord extends Endpoint {
  /** Those with the least are tried first. */
  readonly priority: number;
  /** How often it is the first of its priority, in relation to the others. */
  readonly weight: number;
}

/** Of a service's records, that are read. */
const MOST_RECORDS = 16;

/** The record as text. */
export const formatService = ({ priority, weight, port, host }: ServiceRecord): string =>
  `${priority} ${weight} ${port} ${host}`;

/** Reads the text of a record; undefined if it is none, or if it says (by the target ".") that the service is not there. */
export function parseService(text: string): ServiceRecord | undefined {
  const [, priority, weight, port, target] = /^(\d{1,5}) (\d{1,5}) (\d{1,5}) (\S{1,254})$/.exec(text) ?? [];
  if (target === undefined) return undefined;
  const host = target.replace(/\.$/, '');
  const record = { priority: Number(priority), weight: Number(weight), port: Number(port), host };
  const fits = [record.priority, record.weight, record.port].every((number) => number <= 65_535);
  return fits && record.port > 0 && isDnsName(host) ? record : undefined;
}

/**
 * The records in the order in which they are tried: by priority, and those of one priority drawn one after the other by their weights, those without weight
 * last for the most part (RFC 2782). At most 16. `chance` is uniform in [0, 1).
 */
export function orderServices(
  records: readonly ServiceRecord[],
  chance: () => number,
): readonly ServiceRecord[] {
  // Records without weight first, so that they are drawn only if the number is 0.
  const left = records.slice(0, MOST_RECORDS).sort((a, b) => a.priority - b.priority || a.weight - b.weight);
  const ordered: ServiceRecord[] = [];
  while (left.length > 0) {
    const peers = left.filter(({ priority }) => priority === left[0]!.priority);
    const drawn = Math.floor(chance() * (peers.reduce((sum, { weight }) => sum + weight, 0) + 1));
    let sum = 0;
    const next = peers.findIndex(({ weight }) => {
      sum += weight;
      return sum >= drawn;
    });
    ordered.push(...left.splice(next, 1));
  }
  return ordered;
}
