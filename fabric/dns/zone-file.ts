import { labelOf, SERVER_LABEL } from './zone.ts';

/** The beginning of a zone file (RFC 1035 §5) for the records of `zoneRecord`; `host` is the address of the fabric's host in the network. */
export const zoneFileHead = (zone: string, host: string): string =>
  `$ORIGIN ${zone}.\n$TTL 60\n@ IN SOA ${SERVER_LABEL} hostmaster 1 3600 600 86400 60\n@ IN NS ${SERVER_LABEL}\n${SERVER_LABEL} IN AAAA ${host}\n`;

/** The record of a device; undefined if its name is the server's own. */
export function zoneRecord({
  name,
  address,
}: {
  readonly name: string;
  readonly address: string;
}): string | undefined {
  const label = labelOf(name);
  return label && `${label} IN AAAA ${address}\n`;
}
