import { clientOf } from '../../fabric/operations/client.ts';
import { send } from './http.ts';

export type { InputOf, Operations, ViewOf } from '../../fabric/operations/all.ts';

/** Runs an operation of the fabric. @throws Problem */
export const run = clientOf(send);
