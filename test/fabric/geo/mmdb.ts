/** Databases in MaxMind's format, small ones: networks of IPv4 with a record each. */

const METADATA = Uint8Array.from([0xab, 0xcd, 0xef, ...new TextEncoder().encode('MaxMind.com')]);

type Value = string | number | readonly Value[] | { readonly [name: string]: Value };

const control = (type: number, size: number): number[] => {
  if (size >= 285) throw new Error('too long for this writer');
  const [low, rest] = size < 29 ? [size, []] : [29, [size - 29]];
  return type < 8 ? [(type << 5) | low, ...rest] : [low, type - 7, ...rest];
};

function encode(value: Value): number[] {
  if (typeof value === 'string') {
    const text = new TextEncoder().encode(value);
    return [...control(2, text.length), ...text];
  }
  if (typeof value === 'number') {
    if (Number.isInteger(value) && value >= 0 && value < 2 ** 32)
      return [...control(6, 4), ...[24, 16, 8, 0].map((shift) => (value >>> shift) & 255)];
    const double = new DataView(new ArrayBuffer(8));
    double.setFloat64(0, value);
    return [...control(3, 8), ...new Uint8Array(double.buffer)];
  }
  if (Array.isArray(value)) return [...control(11, value.length), ...value.flatMap(encode)];
  const fields = Object.entries(value);
  return [
    ...control(7, fields.length),
    ...fields.flatMap(([name, each]) => [...encode(name), ...encode(each)]),
  ];
}

interface Node {
  children: [Node | number | undefined, Node | number | undefined];
}

/** A database of networks such as `130.59.0.0/16`; `recordSize` is 24, 28 or 32. */
export function mmdb(
  databaseType: string,
  networks: Readonly<Record<string, Value>>,
  recordSize = 24,
): Uint8Array {
  const root: Node = { children: [undefined, undefined] };
  const data: number[] = [];
  for (const [network, record] of Object.entries(networks)) {
    const [address, length] = network.split('/') as [string, string];
    const bits = address
      .split('.')
      .map((octet) => Number(octet).toString(2).padStart(8, '0'))
      .join('');
    let node = root;
    for (let depth = 0; depth < Number(length) - 1; depth++) {
      const bit = Number(bits[depth]);
      const child = node.children[bit] ?? { children: [undefined, undefined] };
      node.children[bit] = child;
      node = child as Node;
    }
    node.children[Number(bits[Number(length) - 1])] = data.length;
    data.push(...encode(record));
  }
  const nodes: Node[] = [];
  const collect = (node: Node): void => {
    nodes.push(node);
    for (const child of node.children) if (typeof child === 'object') collect(child);
  };
  collect(root);
  const numbers = new Map(nodes.map((node, i) => [node, i]));
  const record = (child: Node | number | undefined): number =>
    child === undefined
      ? nodes.length
      : typeof child === 'number'
        ? nodes.length + 16 + child
        : numbers.get(child)!;
  const tree = nodes.flatMap(({ children: [left, right] }) => pair(record(left), record(right), recordSize));
  const metadata = encode({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_767_225_600,
    database_type: databaseType,
    description: {},
    ip_version: 4,
    languages: [],
    node_count: nodes.length,
    record_size: recordSize,
  });
  return Uint8Array.from([...tree, ...new Array(16).fill(0), ...data, ...METADATA, ...metadata]);
}

function pair(left: number, right: number, size: number): number[] {
  const low = (value: number): number[] => [16, 8, 0].map((shift) => (value >>> shift) & 255);
  if (size === 24) return [...low(left), ...low(right)];
  if (size === 28) return [...low(left), ((left >>> 24) << 4) | (right >>> 24), ...low(right)];
  return [left >>> 24, ...low(left), right >>> 24, ...low(right)];
}
