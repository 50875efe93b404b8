import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { readFile } from 'node:fs/promises';
import { isIP, isIPv4, Socket } from 'node:net';
import { addon } from '../../native/index.ts';
import { concat, readU16, u16 } from '../../protocol/bytes.ts';
import {
  type DnsAnswer,
  encodeDnsQuery,
  isDnsName,
  parseDnsAnswer,
  type RecordType,
} from '../../protocol/dns.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import { type Lookup, systemLookup } from './lookup.ts';
import { formatService, isService } from './service.ts';

/*
 * Name resolution through marked sockets. In lockdown the packets of the host's resolver are dropped: its sockets have no mark,
 * and opening port 53 for all programs would let all of them out. So the agent itself queries the servers that the host is
 * configured with, through sockets with the tunnel's mark. No other program gains access by that, and /etc/resolv.conf is only
 * read.
 */

/** Files that list the servers: a local stub such as systemd-resolved's 127.0.0.53 forwards to others, which we have to query directly. */
const RESOLV_CONFS = [
  '/run/systemd/resolve/resolv.conf',
  '/run/NetworkManager/no-stub-resolv.conf',
  '/etc/resolv.conf',
];
const HOSTS = '/etc/hosts';
const ATTEMPT_MS = 1_500;
const ROUNDS = 2;
const PORT = 53;
/** Over TCP, with its two bytes of length. */
const LONGEST_MESSAGE = 2 + 65_535;

export interface ResolveOptions {
  /** SO_MARK of the sockets. */
  readonly mark: number;
  /** Other files and another port, for tests. */
  readonly confs?: readonly string[];
  readonly hosts?: string;
  readonly port?: number;
}

/**
 * The lookup for marked sockets: queries the DNS servers directly, then the system's resolver, as far as the lockdown lets it.
 */
export const markedLookup =
  (mark: number): Lookup =>
  async (host) => {
    const found = await resolveMarked(host, { mark });
    return found.length > 0 ? found : systemLookup(host);
  };

/**
 * The addresses of a name, IPv6 first, or the records of a service: from /etc/hosts, else from the host's DNS servers, each asked over UDP (over TCP if the answer does
 * not fit), twice, in turn. Empty if there is no such name, no server, or no server that answers.
 */
export async function resolveMarked(name: string, options: ResolveOptions): Promise<readonly string[]> {
  const known = addressesInHosts(await read(options.hosts ?? HOSTS), name);
  if (known.length > 0) return known;
  if (!isDnsName(name)) return [];
  const types = isService(name) ? (['SRV'] as const) : (['AAAA', 'A'] as const);
  const servers = await nameservers(options.confs ?? RESOLV_CONFS);
  for (let round = 0; round < ROUNDS; round++) {
    for (const server of servers) {
      const answers = await Promise.all(types.map((type) => ask(server, name, type, options)));
      const found = answers.map(textsOf).filter((texts) => texts !== undefined);
      if (found.length > 0) return found.flat();
    }
  }
  return [];
}

/** Undefined if the server has not said what there is. */
function textsOf(answer: DnsAnswer | undefined): readonly string[] | undefined {
  if (answer?.kind === 'addresses') return answer.addresses.map(textOf);
  if (answer?.kind !== 'services') return undefined;
  return answer.services.map(({ target, ...rest }) => formatService({ host: target, ...rest }));
}

/** The servers of the first file that lists any outside of this host; else those on this host. */
export async function nameservers(confs: readonly string[]): Promise<readonly string[]> {
  let local: readonly string[] = [];
  for (const path of confs) {
    const listed = [...(await read(path)).matchAll(/^nameserver[ \t]+(\S+)/gm)].map((match) => match[1]!);
    const servers = listed.filter((each) => isIP(each) !== 0).slice(0, 3);
    const remote = servers.filter((each) => !/^(127\.|::1$)/.test(each));
    if (remote.length > 0) return remote;
    if (local.length === 0) local = servers;
  }
  return local;
}

/** The addresses that a hosts file gives a name. */
export function addressesInHosts(hosts: string, name: string): readonly string[] {
  const wanted = name.toLowerCase();
  return hosts.split('\n').flatMap((line) => {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    return isIP(address ?? '') !== 0 && names.some((each) => each.toLowerCase() === wanted) ? [address!] : [];
  });
}

const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');

const textOf = (address: Uint8Array): string =>
  address.length === 4 ? address.join('.') : formatIpv6(address);

async function ask(
  server: string,
  name: string,
  type: RecordType,
  { mark, port = PORT }: ResolveOptions,
): Promise<DnsAnswer | undefined> {
  const query = encodeDnsQuery(randomInt(65_536), name, type);
  const patience = AbortSignal.timeout(ATTEMPT_MS);
  try {
    const answer = await askOverUdp(server, port, mark, query, patience);
    return answer?.kind === 'truncated' ? await askOverTcp(server, port, mark, query, patience) : answer;
  } catch {
    return undefined; // unreachable or refused: the next server
  }
}

/** Undefined at the deadline. The socket is connected, so that it receives answers from that server only. */
function askOverUdp(
  server: string,
  port: number,
  mark: number,
  query: Uint8Array,
  patience: AbortSignal,
): Promise<DnsAnswer | undefined> {
  const family = isIPv4(server) ? 4 : 6;
  const fd = addon().datagramOpen(family, mark);
  const socket = createSocket(`udp${family}`);
  return new Promise<DnsAnswer | undefined>((resolve, reject) => {
    patience.addEventListener('abort', () => resolve(undefined), { once: true });
    socket.on('error', reject);
    socket.on('message', (message) => {
      const answer = parseDnsAnswer(query, new Uint8Array(message));
      if (answer) resolve(answer);
    });
    socket.bind({ fd }, () => {
      socket.connect(port, server, (error?: Error) => (error ? reject(error) : socket.send(query)));
    });
  }).finally(() => socket.close());
}

/** Over TCP each message is preceded by its length in two bytes (RFC 1035 §4.2.2). */
function askOverTcp(
  server: string,
  port: number,
  mark: number,
  query: Uint8Array,
  patience: AbortSignal,
): Promise<DnsAnswer | undefined> {
  const native = addon();
  const handle = native.socketOpen(isIPv4(server) ? 4 : 6, mark, 0);
  return new Promise<DnsAnswer | undefined>((resolve, reject) => {
    patience.addEventListener('abort', () => resolve(undefined), { once: true });
    native.socketConnect(handle, server, port, (error) => {
      if (error) return reject(error);
      const socket = new Socket({ fd: native.socketTake(handle), readable: true, writable: true });
      const got = new Uint8Array(LONGEST_MESSAGE);
      let length = 0;
      patience.addEventListener('abort', () => socket.destroy(), { once: true });
      socket.on('error', reject);
      socket.on('close', () => resolve(undefined));
      socket.on('data', (chunk: Uint8Array) => {
        // More than was announced is not ours to keep.
        const part = chunk.subarray(0, got.length - length);
        got.set(part, length);
        length += part.length;
        if (length < 2 || length < 2 + readU16(got, 0)) return;
        resolve(parseDnsAnswer(query, got.slice(2, 2 + readU16(got, 0))));
        socket.destroy();
      });
      socket.write(concat(u16(query.length), query));
    });
  }).finally(() => native.socketClose(handle));
}
