import { isIP, isIPv4 } from 'node:net';
import { addon } from '../../native/index.ts';
import type { SocketHandle } from '../../native/net/net.ts';
import { Failure } from '../../protocol/failure.ts';
import { type Lookup, systemLookup } from './lookup.ts';
import type { Endpoint, Place } from './service.ts';

/**
 * The addresses of a name as they are tried: those of a group in parallel, and groups one after the other, each with an equal share of the time that is left for the
 * name.
 */
export type AddressOrder = (endpoint: Endpoint, found: readonly string[]) => readonly (readonly string[])[];

export interface ConnectOptions {
  /** Names or literal addresses, in the order of preference; those that have another port name it. */
  readonly hosts: readonly (string | Endpoint)[];
  readonly port: number;
  /** Called for each host that was tried: whether it was reached. */
  readonly onTried?: ((place: Place, reached: boolean) => void) | undefined;
  /** Absent: all addresses of a name in parallel, in the order of the resolver. */
  readonly addressOrder?: AddressOrder | undefined;
  /** SO_MARK for the routing rules; 0 or absent: none. */
  readonly mark?: number;
  /** The largest TCP segment that either end may send, in bytes; 0 or absent: what the interfaces allow. */
  readonly segment?: number;
  /** For everything together: names, all addresses of all hosts. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Instead of the system's resolver. */
  readonly lookup?: Lookup;
}

/** The next address of a host is tried in parallel when the one before has not answered for this long (RFC 8305 §5). */
const STAGGER_MS = 250;

/**
 * Connects over TCP to the first host that answers, as described for `dial`; the caller owns the socket.
 * @throws Failure `net.unreachable`, `net.timeout`, `net.no-such-host`, `net.aborted`, `os.not-permitted`
 */
export async function connectFirst(options: ConnectOptions): Promise<SocketHandle> {
  const misses: Miss[] = [];
  const found = await hostsInTurns(options, async (endpoint, turn, leftMs) => {
    const result = await reach(endpoint, options, turn, leftMs);
    if (!Array.isArray(result)) return result;
    misses.push(...result);
    return undefined;
  });
  if (found === undefined) throw dialFailure(options, misses);
  return found;
}

/** A socket, and where it leads to. */
export interface Reached {
  readonly socket: SocketHandle;
  readonly place: Place;
}

type Attempt<T, Found> = (item: T, turn: AbortSignal, leftMs: number) => Promise<Found | undefined>;

/**
 * Tries hosts one after the other, each with an equal share of the time that is left; its signal is aborted when that is over.
 * The first that is reached, or undefined. @throws Failure `net.aborted`, and of `attempt`
 */
export async function hostsInTurns(
  { hosts, port, timeoutMs, signal, onTried }: ConnectOptions,
  attempt: Attempt<Endpoint, Reached>,
): Promise<SocketHandle | undefined> {
  const endpoints = hosts.map((host) => (typeof host === 'string' ? { host, port } : host));
  const found = await inTurns(endpoints, timeoutMs, signal, async (endpoint, turn, leftMs) => {
    const result = await attempt(endpoint, turn, leftMs);
    if (result !== undefined || !signal?.aborted) onTried?.(result?.place ?? endpoint, result !== undefined);
    return result;
  });
  if (found === undefined && signal?.aborted) throw aborted(signal);
  return found?.socket;
}

/** The first result; undefined also if `signal` is aborted, with which each turn ends. */
async function inTurns<T, Found>(
  items: readonly T[],
  timeoutMs: number,
  signal: AbortSignal | undefined,
  attempt: Attempt<T, Found>,
): Promise<Found | undefined> {
  const deadline = performance.now() + timeoutMs;
  for (const [i, item] of items.entries()) {
    if (signal?.aborted) return undefined;
    const share = Math.max(0, deadline - performance.now()) / (items.length - i);
    const turn = new AbortController();
    const end = () => turn.abort();
    const timer = setTimeout(end, share);
    signal?.addEventListener('abort', end, { once: true });
    try {
      const result = await attempt(item, turn.signal, share);
      if (result !== undefined) return result;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
    }
  }
  return undefined;
}

interface SocketOptions {
  readonly mark: number;
  readonly segment: number;
}

/** Why one host or address was not reached: TIMEOUT, NO_ADDRESS, or an errno's name. */
interface Miss {
  readonly what: string;
  readonly why: string;
}

const TIMEOUT = 'no answer';
const NO_ADDRESS = 'no address';

async function reach(
  endpoint: Endpoint,
  { mark = 0, segment = 0, lookup = systemLookup, addressOrder }: ConnectOptions,
  turn: AbortSignal,
  leftMs: number,
): Promise<Reached | Miss[]> {
  const { host, port } = endpoint;
  const deadline = performance.now() + leftMs;
  const found = isIP(host) !== 0 ? [host] : await resolve(host, turn, lookup);
  if ('why' in found) return [found];
  const groups = addressOrder !== undefined && isIP(host) === 0 ? addressOrder(endpoint, found) : [found];
  const misses: Miss[] = [];
  const first = await inTurns(groups, deadline - performance.now(), turn, async (group, part) => {
    const result = await race(group, port, { mark, segment }, part);
    if (!Array.isArray(result)) return result;
    misses.push(...result);
    return undefined;
  });
  if (first === undefined) return misses;
  const { socket, address } = first;
  const tried = groups.flat();
  const peers = tried.slice(tried.indexOf(address) + 1).filter((each) => isIPv4(each) === isIPv4(address));
  return { socket, place: { ...endpoint, address, peers } };
}

/** The addresses of a name. A resolver that hangs is ignored once the turn ends. */
function resolve(host: string, turn: AbortSignal, lookup: Lookup): Promise<readonly string[] | Miss> {
  return new Promise((settle) => {
    turn.addEventListener('abort', () => settle({ what: host, why: TIMEOUT }), { once: true });
    lookup(host).then(settle, () => settle({ what: host, why: NO_ADDRESS }));
  });
}

/** The first of the addresses to connect, or why each of them did not. @throws Failure `os.not-permitted` */
function race(
  addresses: readonly string[],
  port: number,
  { mark, segment }: SocketOptions,
  turn: AbortSignal,
): Promise<{ readonly socket: SocketHandle; readonly address: string } | Miss[]> {
  const native = addon();
  return new Promise((resolve, reject) => {
    const misses: Miss[] = [];
    const running = new Map<SocketHandle, string>();
    let started = 0;
    let stagger: NodeJS.Timeout | undefined;

    const stop = () => {
      clearTimeout(stagger);
      turn.removeEventListener('abort', onTurnEnd);
      for (const socket of running.keys()) native.socketClose(socket);
    };
    const onTurnEnd = () => {
      stop();
      for (const what of [...running.values(), ...addresses.slice(started)])
        misses.push({ what, why: TIMEOUT });
      resolve(misses);
    };
    const onDone = (socket: SocketHandle, address: string, error: NodeJS.ErrnoException | undefined) => {
      running.delete(socket);
      if (error === undefined) {
        stop();
        resolve({ socket, address });
        return;
      }
      native.socketClose(socket);
      misses.push({ what: address, why: error.code ?? error.message });
      startNext();
    };
    const startNext = () => {
      clearTimeout(stagger);
      const address = addresses[started++];
      if (address !== undefined) start(address);
      else if (running.size === 0) {
        stop();
        resolve(misses);
      }
    };
    const start = (address: string) => {
      stagger = setTimeout(startNext, STAGGER_MS);
      let socket: SocketHandle;
      try {
        socket = native.socketOpen(isIPv4(address) ? 4 : 6, mark, segment);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'EPERM') {
          misses.push({ what: address, why: code ?? String(error) });
          return startNext();
        }
        stop();
        return reject(markFailure(mark, error));
      }
      running.set(socket, address);
      try {
        native.socketConnect(socket, address, port, (error) => onDone(socket, address, error));
      } catch (error) {
        onDone(socket, address, error as NodeJS.ErrnoException);
      }
    };

    if (turn.aborted) return onTurnEnd();
    turn.addEventListener('abort', onTurnEnd, { once: true });
    startNext();
  });
}

function markFailure(mark: number, cause: unknown): Failure {
  return new Failure('os.not-permitted', 'operator', `cannot set the mark ${mark} on a socket (SO_MARK)`, {
    action: 'Run as root or grant CAP_NET_ADMIN, or set the mark to 0.',
    cause,
  });
}

export function aborted(signal: AbortSignal): Failure {
  return new Failure('net.aborted', 'retry', 'the connection attempt was cancelled', {
    cause: signal.reason,
  });
}

/** The hosts as a message names them. */
export const describeHosts = (hosts: ConnectOptions['hosts']): string =>
  hosts.map((each) => (typeof each === 'string' ? each : each.host)).join(', ');

/** The same with their ports. */
export function describeTargets({ hosts, port }: Pick<ConnectOptions, 'hosts' | 'port'>): string {
  const other = hosts.some((each) => typeof each !== 'string' && each.port !== port);
  if (!other) return `${describeHosts(hosts)} port ${port}`;
  return hosts
    .map((each) => (typeof each === 'string' ? { host: each, port } : each))
    .map((each) => `${each.host} port ${each.port}`)
    .join(', ');
}

function dialFailure(options: ConnectOptions, misses: readonly Miss[]): Failure {
  const { hosts, timeoutMs } = options;
  const reasons = misses.map(({ what, why }) => `${what}: ${why}`).join(', ');
  const target = describeTargets(options);
  if (misses.every(({ why }) => why === NO_ADDRESS)) {
    return new Failure('net.no-such-host', 'retry', `no address found for ${describeHosts(hosts)}`, {
      action: 'Check the host names and the resolver, or configure literal addresses.',
    });
  }
  if (misses.every(({ why }) => why === TIMEOUT || why === 'ETIMEDOUT' || why === NO_ADDRESS)) {
    return new Failure('net.timeout', 'retry', `no answer from ${target} in ${timeoutMs} ms (${reasons})`, {
      action: 'Check that the host is up and that no firewall drops the packets on the way.',
    });
  }
  return new Failure('net.unreachable', 'retry', `cannot reach ${target} (${reasons})`, {
    action: 'Check the network connection, the address and the port.',
  });
}
