import { endianness } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { addon } from '../../native/index.ts';
import { Failure } from '../../protocol/failure.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';

/** A route to a prefix of 1 to 128 bits. The metric is part of it: one to the same prefix with another metric is another route. */
export interface MetricRoute {
  /** 16 bytes. */
  readonly address: Uint8Array;
  readonly length: number;
  /** Not 0. */
  readonly metric: number;
}

export interface RouteChange extends MetricRoute {
  /** True: it is removed; one that is not there is gone already. */
  readonly remove: boolean;
}

/** What a reconciliation has done. */
export interface Reconciled {
  readonly added: number;
  readonly removed: number;
  /** Why the first of those that failed did. */
  readonly failure?: Failure;
}

/** Writes the routes of one table and protocol number through one device, a piece of work after the other; the event loop waits for none. */
export interface RouteWriter {
  /** The port in the kernel's notifications of changes that come from here (`KernelChange`). */
  readonly port: number;
  /** Adds, replaces and removes up to `MOST_CHANGES` routes in their order; for each undefined, or why it failed. @throws Failure `os.routes-failed`, `os.not-permitted` */
  change(changes: readonly RouteChange[]): Promise<readonly (Failure | undefined)[]>;
  /** Makes these all routes that the table has of the protocol number. @throws Failure `os.routes-failed`, `os.not-permitted` */
  reconcile(routes: Iterable<MetricRoute>): Promise<Reconciled>;
  /** For good, once what is under way is done. */
  close(): void;
}

/** Changes that are handed to the kernel's table at once. */
export const MOST_CHANGES = 4_096;
/** Bytes of a route (native/net/routes.ts). */
const ENTRY = 24;
const LITTLE = endianness() === 'LE';

/** @throws Failure `os.routes-failed` */
export function openRouteWriter(device: string, table: number, protocol: number): RouteWriter {
  const native = addon();
  const handle = attempt(() => native.routesOpen(device, table, protocol));
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work);
    last = mine.catch(() => {});
    return mine;
  };
  return {
    port: native.routesPort(handle),
    change: (changes) =>
      inTurn(
        () =>
          new Promise((resolve, reject) => {
            native.routesChange(handle, packed(changes), (error, outcomes) => {
              if (outcomes === undefined) reject(writeFailure(error!));
              else resolve(changes.map((change, i) => refused(change, outcomes[i]!)));
            });
          }),
      ),
    reconcile: (routes) =>
      inTurn(
        () =>
          new Promise((resolve, reject) => {
            native.routesReconcile(handle, packed([...routes]), (error, done) => {
              if (done === undefined) reject(writeFailure(error!));
              else {
                const { added, removed, error: first } = done;
                resolve({ added, removed, ...(first !== undefined && { failure: writeFailure(first) }) });
              }
            });
          }),
      ),
    close: () => void inTurn(async () => native.routesClose(handle)),
  };
}

function packed(routes: readonly (MetricRoute & { readonly remove?: boolean })[]): Uint8Array {
  const bytes = new Uint8Array(ENTRY * routes.length);
  const view = new DataView(bytes.buffer);
  for (const [i, { address, length, metric, remove = false }] of routes.entries()) {
    bytes.set(address, ENTRY * i);
    bytes[ENTRY * i + 16] = length;
    bytes[ENTRY * i + 17] = remove ? 1 : 0;
    view.setUint32(ENTRY * i + 20, metric, LITTLE);
  }
  return bytes;
}

function refused({ address, length, remove }: RouteChange, errno: number): Failure | undefined {
  if (errno === 0) return undefined;
  const code = getSystemErrorName(-errno);
  const what = `the route to ${formatIpv6(address)}/${length} cannot be ${remove ? 'removed' : 'added'}`;
  return writeFailure(Object.assign(new Error(`${what}: ${code}`), { code }));
}

function attempt<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof TypeError ? error : writeFailure(error as Error);
  }
}

function writeFailure(error: NodeJS.ErrnoException): Failure {
  if (error.code === 'EPERM')
    return new Failure(
      'os.not-permitted',
      'operator',
      `the kernel's routes cannot be changed: ${error.message}`,
      {
        action: 'Run as root or grant CAP_NET_ADMIN.',
        cause: error,
      },
    );
  return new Failure('os.routes-failed', 'retry', `the kernel's routes cannot be changed: ${error.message}`, {
    action: 'See whether the TUN device is there and up, and IPv6 is on; it is tried again.',
    cause: error,
  });
}
