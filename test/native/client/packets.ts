import { concat, readU16, u16 } from '../../../protocol/bytes.ts';

/** The packets of a batch of whole frames, copied. */
export function packetsOf(frames: Uint8Array): Uint8Array[] {
  const packets: Uint8Array[] = [];
  for (let offset = 0; offset < frames.length; ) {
    const length = readU16(frames, offset);
    packets.push(frames.slice(offset + 2, offset + 2 + length));
    offset += 2 + length;
  }
  return packets;
}

export function frame(packet: Uint8Array): Uint8Array {
  return concat(u16(packet.length), packet);
}

export function isEcho(packet: Uint8Array, type: 'request' | 'reply'): boolean {
  return packet[0]! >> 4 === 6 && packet[6] === 58 && packet[40] === (type === 'request' ? 128 : 129);
}

export function isUdp(packet: Uint8Array): boolean {
  return packet[0]! >> 4 === 6 && packet[6] === 17;
}

/** An ICMPv6 echo request of 8 payload bytes. */
export function echoRequest(source: string, destination: string, sequence: number): Uint8Array {
  const packet = concat(
    Uint8Array.of(0x60, 0, 0, 0, 0, 16, 58, 64),
    address(source),
    address(destination),
    Uint8Array.of(128, 0, 0, 0, 0x12, 0x34),
    u16(sequence),
    new Uint8Array(8).fill(0x5a),
  );
  return checksummed(packet);
}

/** The reply to an echo request: addresses swapped, type 129. */
export function echoReply(request: Uint8Array): Uint8Array {
  const reply = request.slice();
  reply.set(request.subarray(8, 24), 24);
  reply.set(request.subarray(24, 40), 8);
  reply[40] = 129;
  return checksummed(reply);
}

function checksummed(packet: Uint8Array): Uint8Array {
  packet.set([0, 0], 42);
  const payload = packet.subarray(40);
  const summed = concat(
    packet.subarray(8, 40),
    u16(0),
    u16(payload.length),
    Uint8Array.of(0, 0, 0, 58),
    payload,
  );
  let sum = 0;
  for (let i = 0; i < summed.length; i += 2) sum += ((summed[i]! << 8) | (summed[i + 1] ?? 0)) >>> 0;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  packet.set(u16(~sum & 0xffff), 42);
  return packet;
}

/** Only for addresses of the form a:b:c:d::e, which is what the tests make. */
function address(text: string): Uint8Array {
  const [left, right] = text.split('::') as [string, string];
  const head = left.split(':').map((group) => u16(Number.parseInt(group, 16)));
  const tail = u16(Number.parseInt(right, 16));
  return concat(...head, new Uint8Array(16 - 2 * head.length - 2), tail);
}
