import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** ARCHITECTURE.md's table "who may import whom" as data. `node` and `npm` say which outside modules a folder may name. */
interface Layer {
  readonly folders: readonly string[];
  readonly node: boolean;
  readonly npm: readonly string[] | 'any';
}
const LAYERS: Record<string, Layer> = {
  protocol: { folders: ['protocol'], node: false, npm: ['@noble/'] },
  native: { folders: ['native'], node: true, npm: [] },
  tpm: { folders: ['tpm', 'protocol', 'native'], node: false, npm: [] },
  os: { folders: ['os', 'protocol', 'native'], node: true, npm: [] },
  crypto: { folders: ['crypto', 'protocol', 'native'], node: true, npm: [] },
  tunnel: { folders: ['tunnel', 'protocol', 'native'], node: true, npm: [] },
  cli: { folders: ['cli', 'protocol', 'os'], node: true, npm: [] },
  agent: {
    folders: ['agent', 'protocol', 'tpm', 'os', 'crypto', 'tunnel', 'cli'],
    node: false,
    npm: ['smol-toml'],
  },
  factory: { folders: ['factory', 'protocol', 'tpm', 'os', 'crypto', 'cli'], node: false, npm: ['qrcode'] },
  packaging: { folders: ['packaging', 'agent', 'os', 'cli', 'protocol'], node: true, npm: [] },
  fabric: { folders: ['fabric', 'protocol', 'os', 'crypto', 'tunnel', 'cli'], node: true, npm: 'any' },
};

interface Import {
  readonly from: string;
  readonly to: string;
}

function filesOf(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

function importsOf(file: string, text = readFileSync(join(root, file), 'utf8')): Import[] {
  const pattern = /(?:\bfrom|\bimport|\bimport\()\s*['"]([^'"\s]+)['"]/g;
  return [...text.matchAll(pattern)].map((match) => ({ from: file, to: match[1]! }));
}

/** Why the import breaks the layering, or undefined. */
function violation(layer: Layer, { from, to }: Import): string | undefined {
  if (to.startsWith('.')) {
    const target = relative(root, resolve(root, dirname(from), to)).split('/')[0]!;
    return layer.folders.includes(target) ? undefined : `${from} imports ${target}/ (${to})`;
  }
  if (to.startsWith('node:')) return layer.node ? undefined : `${from} imports ${to}`;
  if (layer.npm === 'any' || layer.npm.some((name) => to === name || to.startsWith(name))) return undefined;
  return `${from} imports the package ${to}`;
}

describe('who may import whom', () => {
  for (const [folder, layer] of Object.entries(LAYERS)) {
    test(`${folder}/ keeps to its layer`, () => {
      const files = filesOf(folder);
      expect(files.length).toBeGreaterThan(0);
      const broken = files.flatMap((file) => importsOf(file)).flatMap((each) => violation(layer, each) ?? []);
      expect(broken).toEqual([]);
    });
  }

  test('a forbidden import is found', () => {
    const text = `import { x } from '../fabric/y.ts';\nimport { z } from 'node:fs';\nconst l = await import('left-pad');`;
    const broken = importsOf('agent/main.ts', text).map((each) => violation(LAYERS.agent!, each));
    expect(broken).toEqual([
      'agent/main.ts imports fabric/ (../fabric/y.ts)',
      'agent/main.ts imports node:fs',
      'agent/main.ts imports the package left-pad',
    ]);
  });
});
