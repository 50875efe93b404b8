import { formatIpv6 } from '../../protocol/ipv6.ts';

/** What of a database's metadata says how its search tree lies at the beginning of the file (MaxMind DB format 2.0). */
export interface TreeShape {
  readonly nodeCount: number;
  /** Bits of each of a node's two records: 24, 28 or 32. */
  readonly recordSize: number;
  readonly ipVersion: number;
}

/** Nodes that are visited at most. */
const MOST_NODES = 50_000;

/** Addresses that the tree has records for, the lowest of each network, in order; at most so many, from a bounded part of the tree. */
export function addressesIn(tree: Uint8Array, shape: TreeShape, most: number): string[] {
  const { nodeCount, ipVersion } = shape;
  const length = ipVersion === 4 ? 32 : 128;
  const found: string[] = [];
  const waiting: { readonly node: number; readonly bits: string }[] = [{ node: 0, bits: '' }];
  for (let visited = 0; visited < MOST_NODES && found.length < most; visited++) {
    const next = waiting.pop();
    if (next === undefined) break;
    const { node, bits } = next;
    if (node > nodeCount) found.push(addressOf(bits.padEnd(length, '0')));
    if (node >= nodeCount || bits.length >= length) continue;
    const [left, right] = recordsOf(tree, node, shape.recordSize);
    waiting.push({ node: right, bits: `${bits}1` }, { node: left, bits: `${bits}0` });
  }
  return found;
}

function recordsOf(tree: Uint8Array, node: number, recordSize: number): [left: number, right: number] {
  const bytes = tree.subarray((node * recordSize) / 4, ((node + 1) * recordSize) / 4);
  const three = (at: number): number => (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
  if (recordSize === 24) return [three(0), three(3)];
  if (recordSize === 28)
    return [((bytes[3]! & 0xf0) << 20) | three(0), ((bytes[3]! & 0x0f) << 24) | three(4)];
  return [bytes[0]! * 2 ** 24 + three(1), bytes[4]! * 2 ** 24 + three(5)];
}

function addressOf(bits: string): string {
  const bytes = Uint8Array.from(bits.match(/.{8}/g)!, (octet) => Number.parseInt(octet, 2));
  return bytes.length === 4 ? bytes.join('.') : formatIpv6(bytes);
}
