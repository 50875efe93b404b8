import { clientOf } from '../../fabric/operations/client.ts';
import { CATALOGUE } from '../../fabric/operations/contract/catalogue.ts';
import { requestFor } from '../../fabric/operations/contract/request.ts';
import { actingFor, PREFIX, send } from './http.ts';

export type { InputOf, Operations, ViewOf } from '../../fabric/operations/all.ts';

/** Runs an operation of the fabric. @throws Problem */
export const run = clientOf(send);

/** Lists that can be saved as a file. */
export type ListName =
  | 'alarm-list'
  | 'audit-list'
  | 'device-list'
  | 'group-list'
  | 'handshake-list'
  | 'network-list'
  | 'person-list'
  | 'roster-list'
  | 'token-list';

/** Where a list is as a whole, narrowed by `filter`. */
export const hrefOfExport = (name: ListName, format: 'csv' | 'ndjson', filter: object): string =>
  `${PREFIX}${requestFor(CATALOGUE[name]!, { ...filter, format, owner: actingFor() }).path}`;
