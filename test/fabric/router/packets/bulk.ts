import { createHash, randomBytes } from 'node:crypto';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Router } from '../../../../fabric/router/router.ts';
import { concat, fromHex, readU16, u16 } from '../../../../protocol/bytes.ts';
import { ALPN_CONTROL, ALPN_SUPER } from '../../../../protocol/tunnel/wire.ts';
import type { Device } from '../fixture.ts';

/** The wire formats of a peer: no ALPN, as enftun, or one of ours. */
export type Wire = 'plain' | 'enf/1' | 'enf/2';
export const WIRES: readonly Wire[] = ['plain', ALPN_CONTROL, ALPN_SUPER];

/** UDP payload of each packet of a burst. */
const SEGMENT = 1_200;
const HEADERS = 48;
const GSO_UDP = 5;
/** If nothing arrives for so long, something was lost. */
const STUCK_MS = 30_000;

/** One end of a stream of UDP datagrams, of one flow, through the router. */
export interface Bulk {
  /** Payload bytes received so far, and their SHA-256 at the end. */
  readonly received: () => number;
  /** Datagrams received whose checksum was wrong, and super-frames. */
  readonly wrong: () => number;
  readonly bursts: () => number;
  digest(): string;
  /**
   * Sends `total` random bytes to the other end, as bursts if the wire has them, waiting so that at most `window` bytes are
   * under way; returns their SHA-256. The sockets hold as much by default: what waits in a queue for long may be dropped.
   */
  send(to: Bulk & { readonly device: Device }, total: number, window?: number): Promise<string>;
  readonly device: Device;
  close(): void;
}

/** Connects a device on the given wire. */
export async function bulk(router: Router, device: Device, wire: Wire): Promise<Bulk> {
  const tls = connectTls({
    socket: connectTcp({ host: '127.0.0.1', port: router.port }),
    cert: device.certificate,
    key: device.key,
    rejectUnauthorized: false,
    ...(wire === 'plain' ? {} : { ALPNProtocols: [wire] }),
  });
  tls.on('error', () => {});
  await new Promise<void>((resolve, reject) => {
    tls.once('secureConnect', () => resolve());
    tls.once('close', () => reject(new Error(`${device.name} was not let in`)));
  });
  const hash = createHash('sha256');
  let received = 0;
  let wrong = 0;
  let bursts = 0;
  let rest: Uint8Array = new Uint8Array(0);

  const take = (body: Uint8Array): void => {
    if (body[0]! >> 4 === 0xf) return; // a control message
    const super_ = body[0]! >> 4 === 0xe;
    const packet = super_ ? body.subarray(4) : body;
    if (super_) bursts += 1;
    if (packet.length > 1_496 && !super_) wrong += 1;
    // Summing in JavaScript is slow: every so many.
    if (!super_ && received % 64 === 0 && checksum(packet) !== 0) wrong += 1;
    hash.update(packet.subarray(HEADERS));
    received += packet.length - HEADERS;
  };

  tls.on('data', (chunk: Uint8Array) => {
    const bytes = rest.length === 0 ? chunk : concat(rest, chunk);
    let at = 0;
    while (bytes.length - at >= 2 && bytes.length - at - 2 >= readU16(bytes, at)) {
      const length = readU16(bytes, at);
      if (length > 0) take(bytes.subarray(at + 2, at + 2 + length));
      at += 2 + length;
    }
    rest = bytes.slice(at);
  });

  return {
    device,
    received: () => received,
    wrong: () => wrong,
    bursts: () => bursts,
    digest: () => hash.digest('hex'),
    async send(to, total, window = 150_000) {
      const sent = createHash('sha256');
      const base = to.received();
      const arrived = async (bytes: number): Promise<void> => {
        let [last, since] = [to.received(), performance.now()];
        while (to.received() - base < bytes) {
          await new Promise((resolve) => setImmediate(resolve));
          if (to.received() !== last) [last, since] = [to.received(), performance.now()];
          if (performance.now() - since > STUCK_MS)
            throw new Error(
              `${last - base} of ${bytes} bytes arrived; dropped: ${JSON.stringify(router.counters().drops)}`,
            );
        }
      };
      for (let done = 0; done < total; ) {
        const most =
          wire === 'enf/2' ? 1 + Math.floor(Math.random() * 50_000) : 1 + Math.floor(Math.random() * 1_448);
        const payload = randomBytes(Math.min(most, total - done));
        sent.update(payload);
        tls.write(datagram(device.address, to.device.address, payload, wire === 'enf/2'));
        done += payload.length;
        await arrived(done - window);
      }
      await arrived(total);
      return sent.digest('hex');
    },
    close: () => tls.destroy(),
  };
}

/** A frame; as a burst, to be segmented for peers without super-frames, with the pseudo-header's sum in its checksum. */
function datagram(
  source: Uint8Array,
  destination: Uint8Array,
  payload: Uint8Array,
  burst: boolean,
): Uint8Array {
  const length = payload.length + 8;
  const udp = concat(fromHex('00070007'), u16(length), u16(0), payload);
  const packet = concat(fromHex('60000000'), u16(length), Uint8Array.of(17, 64), source, destination, udp);
  if (!burst) {
    packet.set(u16(checksum(packet) || 0xffff), 46);
    return concat(u16(packet.length), packet);
  }
  const pseudo = sum(concat(source, destination, u16(0), u16(length), Uint8Array.of(0, 0, 0, 17)));
  packet.set(u16(pseudo), 46);
  return concat(u16(packet.length + 4), Uint8Array.of(0xe1, GSO_UDP), u16(SEGMENT), packet);
}

/** Of a whole UDP packet: 0 if the checksum in it is right. */
function checksum(packet: Uint8Array): number {
  const udp = packet.subarray(40);
  const pseudo = concat(packet.subarray(8, 40), u16(0), u16(udp.length), Uint8Array.of(0, 0, 0, 17));
  return ~sum(concat(pseudo, udp)) & 0xffff;
}

function sum(bytes: Uint8Array): number {
  let total = 0;
  for (let at = 0; at < bytes.length; at += 2) total += (bytes[at]! << 8) | (bytes[at + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000);
  return total;
}
