import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** ARCHITECTURE.md's table "Who may import whom" as data. `node` and `npm` say which outside modules a folder may name. */
export interface Layer {
  /** The top-level folders that it may import, beside itself. */
  readonly folders: readonly string[];
  readonly node: boolean;
  readonly npm: readonly string[] | 'any';
}

export const LAYERS: Readonly<Record<string, Layer>> = {
  protocol: { folders: [], node: false, npm: ['@noble/'] },
  native: { folders: [], node: true, npm: [] },
  tpm: { folders: ['protocol', 'native'], node: false, npm: [] },
  crypto: { folders: ['protocol', 'native'], node: true, npm: ['@peculiar/asn1-'] },
  tunnel: { folders: ['protocol', 'native'], node: true, npm: [] },
  os: { folders: ['protocol', 'native'], node: true, npm: [] },
  cli: { folders: ['protocol', 'os'], node: true, npm: ['smol-toml'] },
  agent: { folders: ['protocol', 'tpm', 'os', 'crypto', 'tunnel', 'cli'], node: false, npm: [] },
  factory: { folders: ['protocol', 'tpm', 'os', 'crypto', 'cli'], node: false, npm: ['qrcode'] },
  fabric: { folders: ['protocol', 'os', 'crypto', 'tunnel', 'cli'], node: true, npm: 'any' },
  // Of the fabric it has types, and what is on both sides of the API; test/console/bundle.test.ts looks.
  console: {
    folders: ['protocol', 'fabric'],
    node: false,
    npm: ['@noble/', '@preact/signals', 'preact', 'zxing-wasm', 'world-map'],
  },
  packaging: { folders: ['protocol', 'os', 'cli', 'agent', 'fabric'], node: true, npm: [] },
  swtpm: { folders: ['protocol', 'os', 'tpm'], node: true, npm: [] },
};

/**
 * Who imports whom inside a folder whose order is not obvious: each room with the rooms it needs. A new arrow is a decision:
 * it is written here, and `circles` must stay empty.
 */
export const ROOMS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  agent: {
    config: [],
    lifecycle: [],
    network: ['config'],
    state: ['config', 'lifecycle'],
    identity: ['config', 'lifecycle', 'state'],
    tunnel: ['config', 'identity', 'network'],
    status: ['config', 'identity', 'lifecycle', 'tunnel'],
    service: ['config', 'identity', 'lifecycle', 'network', 'state', 'status', 'tunnel'],
    doctor: ['config', 'identity', 'network', 'state', 'status'],
    'doctor/checks': ['config', 'doctor', 'lifecycle', 'network'],
    enftun: ['config', 'identity', 'state'],
    commands: [
      'config',
      'doctor',
      'doctor/checks',
      'enftun',
      'identity',
      'network',
      'service',
      'state',
      'status',
    ],
  },
  fabric: {
    access: [],
    alarms: ['access', 'backup', 'registry'],
    bgp: [],
    account: ['access', 'operations', 'operations/contract', 'registry'],
    config: ['access', 'host', 'registry'],
    crl: ['access', 'registry'],
    dns: ['access', 'registry'],
    est: ['access', 'pki', 'registry'],
    geo: [],
    jobs: ['access'],
    labels: [],
    pki: [],
    registry: ['access'],
    'registry/sqlite': ['access', 'registry', 'registry/sql', 'registry/sql/base', 'registry/sql/trail'],
    'registry/postgres': [
      'access',
      'registry',
      'registry/postgres/schema',
      'registry/sql',
      'registry/sql/base',
      'registry/sql/counts',
      'registry/sql/trail',
      'registry/sqlite',
    ],
    'registry/postgres/schema': [],
    'registry/sql': [
      'access',
      'registry',
      'registry/sql/alarms',
      'registry/sql/base',
      'registry/sql/counts',
      'registry/sql/inventory',
      'registry/sql/nodes',
      'registry/sql/people',
      'registry/sql/privacy',
      'registry/sql/roster',
      'registry/sql/search',
      'registry/sql/traffic',
      'registry/sql/trail',
      'registry/tunnels',
    ],
    'registry/sql/alarms': ['access', 'registry', 'registry/sql/base', 'registry/sql/trail'],
    'registry/sql/inventory': [
      'access',
      'registry',
      'registry/sql/base',
      'registry/sql/counts',
      'registry/sql/people',
      'registry/sql/trail',
    ],
    'registry/sql/traffic': [
      'access',
      'registry',
      'registry/sql/base',
      'registry/sql/inventory',
      'registry/sql/trail',
    ],
    'registry/sql/nodes': [
      'access',
      'registry',
      'registry/sql/base',
      'registry/sql/inventory',
      'registry/sql/trail',
    ],
    'registry/tunnels': [],
    'registry/sql/trail': ['access', 'registry', 'registry/sql/base', 'registry/sql/counts'],
    'registry/sql/people': ['access', 'registry', 'registry/sql/base', 'registry/sql/trail'],
    'registry/sql/counts': ['access', 'registry', 'registry/sql/base'],
    'registry/sql/base': ['access'],
    'registry/sql/privacy': [
      'access',
      'registry',
      'registry/sql/base',
      'registry/sql/counts',
      'registry/sql/trail',
    ],
    'registry/sql/roster': ['access', 'registry', 'registry/sql/base', 'registry/sql/trail'],
    'registry/sql/search': ['access', 'registry', 'registry/sql/base'],
    identity: ['registry'],
    nodes: ['registry'],
    metrics: ['access', 'backup', 'identity', 'registry', 'router'],
    router: ['registry', 'router/questions'],
    'router/questions': ['registry'],
    backup: ['pki', 'registry'],
    'operations/traffic': ['operations/contract', 'operations/views', 'registry'],
    'operations/contract': ['access', 'jobs', 'operations/contract/catalogue', 'pki', 'registry'],
    'operations/contract/catalogue': ['access'],
    'operations/people': ['access', 'operations/contract', 'operations/views', 'registry'],
    'operations/pki': ['access', 'operations/contract', 'operations/views', 'pki', 'registry'],
    'operations/views': ['access', 'jobs', 'operations/contract', 'registry'],
    operations: [
      'access',
      'alarms',
      'dns',
      'geo',
      'jobs',
      'labels',
      'operations/contract',
      'operations/people',
      'operations/pki',
      'operations/traffic',
      'operations/views',
      'pki',
      'registry',
    ],
    api: ['access', 'account', 'api/signing-in', 'operations', 'operations/contract', 'operations/views'],
    'api/signing-in': ['access'],
    // Loaded only where it is switched on: the API knows nothing of it.
    'api/compat': [
      'access',
      'account',
      'api',
      'api/signing-in',
      'operations',
      'operations/contract',
      'operations/views',
      'registry',
    ],
    host: ['access', 'operations/contract', 'registry'],
    doctor: ['backup', 'bgp', 'host', 'operations/contract', 'operations/views', 'pki'],
    'doctor/checks': ['doctor', 'operations/contract', 'operations/views'],
    'commands/common': [
      'api',
      'backup',
      'config',
      'jobs',
      'operations',
      'operations/contract',
      'operations/people',
      'operations/views',
      'pki',
      'registry',
    ],
    'commands/nodes': [
      'bgp',
      'commands/common',
      'operations',
      'operations/contract',
      'operations/views',
      'pki',
      'registry/postgres/schema',
    ],
    'commands/traffic': ['commands/common', 'operations/traffic', 'operations/views'],
    'commands/pki': [
      'commands/common',
      'operations/contract',
      'operations/pki',
      'operations/views',
      'pki',
      'registry',
    ],
    commands: [
      'access',
      'alarms',
      'api',
      'api/compat',
      'backup',
      'commands/common',
      'commands/nodes',
      'commands/pki',
      'commands/traffic',
      'config',
      'dns',
      'doctor',
      'doctor/checks',
      'geo',
      'host',
      'jobs',
      'labels',
      'nodes',
      'operations',
      'operations/contract',
      'operations/people',
      'operations/pki',
      'operations/views',
      'pki',
      'registry',
    ],
  },
  console: {
    api: [],
    audit: [],
    app: ['api'],
    cas: ['api', 'app', 'parts'],
    charts: ['app'],
    map: [],
    nodes: ['api', 'app', 'parts'],
    parts: ['api', 'app'],
    prefixes: ['api', 'app', 'parts'],
    scan: ['parts'],
    pages: ['api', 'app', 'audit', 'cas', 'charts', 'map', 'parts', 'prefixes', 'scan'],
  },
  factory: {
    group: [],
    label: ['group'],
    maker: [],
    batch: ['group', 'maker'],
    device: ['batch', 'group'],
    inspect: ['batch', 'device', 'group'],
    station: ['batch', 'device', 'group'],
    commands: ['batch', 'device', 'group', 'inspect', 'label', 'maker', 'station'],
  },
  os: {
    files: [],
    linux: ['service'],
    net: [],
    service: [],
  },
};

/** Folders that hold only tests; they may import anything. */
export const TEST_FOLDERS: readonly string[] = ['test'];

/** An import as it is written in a file. */
export interface Import {
  /** The file, relative to the checkout. */
  readonly from: string;
  /** What it names: a relative path, `node:…`, or a package. */
  readonly to: string;
}

/** The TypeScript files of a folder, relative to the checkout. */
export function filesOf(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => join(folder, name))
    .sort();
}

/** The imports of a file, those on demand (`import()`) included. */
export function importsOf(file: string, text = readFileSync(join(ROOT, file), 'utf8')): Import[] {
  const pattern = /(?:\bfrom|\bimport|\bimport\()\s*['"]([^'"\s]+)['"]/g;
  return [...text.matchAll(pattern)].map((match) => ({ from: file, to: match[1]! }));
}

/** The file that a relative import names, relative to the checkout. */
export const targetOf = ({ from, to }: Import): string => relative(ROOT, resolve(ROOT, dirname(from), to));

/** Why the import breaks the layering, or undefined. */
export function violation(folder: string, layer: Layer, each: Import): string | undefined {
  const { from, to } = each;
  if (to.startsWith('.')) {
    const top = targetOf(each).split('/')[0]!;
    return top === folder || layer.folders.includes(top) ? undefined : `${from} imports ${top}/ (${to})`;
  }
  if (to.startsWith('node:')) return layer.node ? undefined : `${from} imports ${to}`;
  if (layer.npm === 'any' || layer.npm.some((name) => to === name || to.startsWith(name))) return undefined;
  return `${from} imports the package ${to}`;
}

/** Which files each file imports; every file is a key. */
export type Graph = ReadonlyMap<string, readonly string[]>;

/** The graph of relative imports of these folders. */
export function importGraph(folders: readonly string[]): Graph {
  const files = folders.flatMap(filesOf);
  return new Map(
    files.map((file) => [
      file,
      importsOf(file)
        .filter(({ to }) => to.startsWith('.'))
        .map(targetOf)
        .filter((target) => /\.tsx?$/.test(target)),
    ]),
  );
}

/** The room of a file: its folder; files directly in a top-level folder are rooms of their own. */
export const roomOf = (file: string): string => (file.split('/').length === 2 ? file : dirname(file));

/** The same graph with rooms for files; imports inside a room are left out. */
export function roomGraph(graph: Graph): Graph {
  const rooms = new Map<string, Set<string>>();
  for (const [file, targets] of graph) {
    const room = roomOf(file);
    const into = rooms.get(room) ?? new Set();
    for (const target of targets) if (roomOf(target) !== room) into.add(roomOf(target));
    rooms.set(room, into);
  }
  return new Map([...rooms].map(([room, into]) => [room, [...into].sort()]));
}

/** The circles of a graph: sets of nodes that reach each other (Tarjan's strongly connected components), each sorted. */
export function circles(graph: Graph): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  const visit = (node: string): void => {
    index.set(node, index.size);
    low.set(node, index.get(node)!);
    stack.push(node);
    for (const next of graph.get(node) ?? []) {
      if (!graph.has(next)) continue;
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(node, Math.min(low.get(node)!, low.get(next)!));
    }
    if (low.get(node) !== index.get(node)) return;
    const members = stack.splice(stack.indexOf(node));
    if (members.length > 1 || graph.get(node)!.includes(node)) found.push(members.sort());
  };
  for (const node of graph.keys()) if (!index.has(node)) visit(node);
  return found;
}

/** The top-level folders of the checkout that hold TypeScript. */
export function topFolders(): string[] {
  const skipped = new Set(['node_modules', 'dist', 'coverage']);
  return readdirSync(ROOT, { withFileTypes: true })
    .filter((each) => each.isDirectory() && !each.name.startsWith('.') && !skipped.has(each.name))
    .map((each) => each.name)
    .filter((name) => existsSync(join(ROOT, name)) && filesOf(name).length > 0)
    .sort();
}
