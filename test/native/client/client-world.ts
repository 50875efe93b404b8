import { closeSync, readSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { beforeAll, expect, onTestFinished, vi } from 'vitest';
import type { DataplaneCounters, Offload } from '../../../native/client/client.ts';
import { addon } from '../../../native/index.ts';
import { dialDescriptor } from '../../../os/net/dial.ts';
import { concat, readU16, u16, u32 } from '../../../protocol/bytes.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';
import { makeCertificates } from '../../agent/router.ts';
import { packetPair } from '../packetpair.ts';

/** The data plane between a pair of sockets that stands for a TUN, and a TLS server of Node's: every byte on both sides is the test's. */

export const OWN = parseIpv6('fd00::1');
export const PEER = parseIpv6('fd00::2');
export const TCP = 6;
export const UDP = 17;
export const [ACK, PSH, FIN, CWR] = [0x10, 0x08, 0x01, 0x80];

let certificates: ReturnType<typeof makeCertificates>;
let der: Uint8Array;
beforeAll(async () => {
  certificates = makeCertificates();
  const { X509Certificate } = await import('node:crypto');
  der = new Uint8Array(new X509Certificate(certificates.certificate).raw);
});

interface Written {
  readonly flags: number;
  readonly gso: number;
  readonly headers: number;
  readonly segment: number;
  readonly start: number;
  readonly offset: number;
  readonly packet: Uint8Array;
}

export const FAST = { timeout: 10_000, interval: 1 };
export const nothing = { flags: 0, gso: 0, segment: 0, start: 0, offset: 0 };

function startServer(alpn: readonly string[], maxVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3') {
  const sockets: TLSSocket[] = [];
  const chunks: Uint8Array[] = [];
  const server = createServer({
    cert: certificates.certificate,
    key: certificates.key,
    requestCert: true,
    rejectUnauthorized: false,
    maxVersion,
    ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
  });
  server.on('secureConnection', (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => chunks.push(Uint8Array.from(chunk)));
  });
  server.on('tlsClientError', () => {});
  const raw: Socket[] = [];
  server.on('connection', (socket: Socket) => raw.push(socket));
  onTestFinished(() => {
    for (const socket of raw) socket.destroy();
    server.close();
  });
  return new Promise<{ port: number; sockets: TLSSocket[]; stream: () => Uint8Array; forget: () => void }>(
    (resolve) =>
      server.listen(0, '127.0.0.1', () =>
        resolve({
          port: (server.address() as { port: number }).port,
          sockets,
          stream: () => concat(...chunks),
          forget: () => void chunks.splice(0),
        }),
      ),
  );
}

export async function world(
  options: { alpn?: readonly string[]; offload?: Offload; version?: 'TLSv1.2' | 'TLSv1.3' } = {},
) {
  const { alpn = ['enf/2'], offload = 2 } = options;
  const server = await startServer(alpn, options.version);
  const [device, host] = packetPair();
  const events: Parameters<Parameters<ReturnType<typeof addon>['dataplaneStart']>[6]>[] = [];
  const native = addon();
  const dataplane = native.dataplaneStart(device, offload, OWN, true, 60_000, 30_000, (...event) =>
    events.push(event),
  );
  onTestFinished(() => {
    native.dataplaneClose(dataplane);
    closeSync(host);
  });
  let id = 0;
  const connect = async (): Promise<void> => {
    const fd = await dialDescriptor({ hosts: ['127.0.0.1'], port: server.port, timeoutMs: 10_000 });
    native.dataplaneConnect(dataplane, ++id, fd, 10_000, certificates.root, der, certificates.key, true);
    await vi.waitFor(() => expect(server.sockets).toHaveLength(id), FAST);
    server.sockets.at(-1)!.setNoDelay(true);
    // The heartbeat of the beginning.
    await vi.waitFor(() => expect(server.stream().length).toBeGreaterThanOrEqual(50), FAST);
    server.forget();
  };
  /** The same beside the connection that there is, at any port. */
  const beside = async (
    port: number,
    { roots = certificates.root, names = '', timeoutMs = 10_000 } = {},
  ): Promise<void> => {
    const fd = await dialDescriptor({ hosts: ['127.0.0.1'], port, timeoutMs: 10_000 });
    const { key } = certificates;
    native.dataplaneConnect(dataplane, ++id, fd, timeoutMs, roots, der, key, true, names, true);
  };
  const counters = (): DataplaneCounters => native.dataplaneCounters(dataplane);
  const written: Written[] = [];
  /** What the data plane has written to the TUN so far. */
  const look = (): Written[] => {
    const bytes = new Uint8Array(80_000);
    for (;;) {
      try {
        const length = readSync(host, bytes);
        written.push(offload === 0 ? plain(bytes.slice(0, length)) : virtio(bytes.slice(0, length)));
      } catch {
        return written;
      }
    }
  };
  const arrives = (count: number): Promise<Written[]> =>
    vi.waitFor(() => {
      expect(look().length).toBeGreaterThanOrEqual(count);
      return look();
    }, 10_000);
  /** The host sends a packet, with the virtio header that its kernel would give it. */
  const host_ = (packet: Uint8Array, header: Partial<typeof nothing> = {}): void => {
    const { flags, gso, segment, start, offset } = { ...nothing, ...header };
    const head = new Uint8Array(10);
    const view = new DataView(head.buffer);
    head.set([flags, gso]);
    for (const [i, value] of [0, segment, start, offset].entries()) view.setUint16(2 + 2 * i, value, true);
    writeSync(host, offload === 0 ? packet : concat(head, packet));
  };
  const frames = async (count: number): Promise<Uint8Array[]> =>
    vi.waitFor(() => {
      const found = framesOf(server.stream());
      expect(found.length).toBeGreaterThanOrEqual(count);
      return found;
    }, 10_000);
  const send = (...bytes: readonly Uint8Array[]): void => void server.sockets.at(-1)!.write(concat(...bytes));
  return {
    server,
    dataplane,
    events,
    connect,
    beside,
    counters,
    look,
    arrives,
    send,
    frames,
    host: host_,
    native,
  };
}

export const plain = (packet: Uint8Array): Written => ({ ...nothing, headers: 0, packet });

function virtio(bytes: Uint8Array): Written {
  const view = new DataView(bytes.buffer);
  const [headers, segment, start, offset] = [2, 4, 6, 8].map((at) => view.getUint16(at, true)) as [
    number,
    number,
    number,
    number,
  ];
  return { flags: bytes[0]!, gso: bytes[1]!, headers, segment, start, offset, packet: bytes.slice(10) };
}

function framesOf(stream: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = 0; at + 2 <= stream.length; ) {
    const end = at + 2 + readU16(stream, at);
    if (end > stream.length) break;
    found.push(stream.slice(at + 2, end));
    at = end;
  }
  return found;
}

export const frame = (packet: Uint8Array): Uint8Array => concat(u16(packet.length), packet);
export const superFrame = (packet: Uint8Array, gso: number, segment: number, first = 0xe1): Uint8Array =>
  frame(concat(Uint8Array.of(first, gso), u16(segment), packet));

export function sum(...parts: readonly Uint8Array[]): number {
  const bytes = concat(...parts);
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) total += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

interface Shape {
  readonly version?: 4 | 6;
  readonly from?: Uint8Array;
  readonly to?: Uint8Array;
  readonly partial?: boolean;
  readonly trafficClass?: number;
}

/** An IP packet around a TCP or UDP message, with a right checksum or only the pseudo-header's sum. */
export function ip(protocol: number, message: Uint8Array, shape: Shape = {}): Uint8Array {
  const { version = 6, partial = false, trafficClass = 0 } = shape;
  const from = shape.from ?? (version === 6 ? PEER : Uint8Array.of(10, 0, 0, 2));
  const to = shape.to ?? (version === 6 ? OWN : Uint8Array.of(10, 0, 0, 1));
  const pseudo = concat(from, to, u32(message.length), u32(protocol));
  const body = message.slice();
  const at = protocol === TCP ? 16 : 6;
  body.set([0, 0], at);
  const checksum = partial ? sum(pseudo) : ~sum(pseudo, body) & 0xffff;
  body.set(u16(checksum === 0 && protocol === UDP ? 0xffff : checksum), at);
  if (version === 6) {
    const first = 0x60000000 | (trafficClass << 20);
    return concat(u32(first >>> 0), u16(body.length), Uint8Array.of(protocol, 64), from, to, body);
  }
  const header = concat(
    Uint8Array.of(0x45, trafficClass),
    u16(20 + body.length),
    u16(700),
    Uint8Array.of(0x40, 0, 64, protocol, 0, 0),
    from,
    to,
  );
  header.set(u16(~sum(header) & 0xffff), 10);
  return concat(header, body);
}

export const pattern = (length: number, from = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (from + i) * 7);
export const tcp = (sequence: number, payload: Uint8Array, flags = ACK, port = 7): Uint8Array =>
  concat(
    u16(port),
    u16(9),
    u32(sequence),
    u32(5),
    Uint8Array.of(0x50, flags),
    u16(500),
    u16(0),
    u16(0),
    payload,
  );
export const udp = (payload: Uint8Array, port = 7): Uint8Array =>
  concat(u16(port), u16(9), u16(8 + payload.length), u16(0), payload);
/** A packet as the own host sends it. */
export const out = (protocol: number, message: Uint8Array, shape: Shape = {}): Uint8Array =>
  ip(protocol, message, shape.version === 4 ? shape : { from: OWN, to: PEER, ...shape });
