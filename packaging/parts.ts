import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** An npm package of which a part is in a bundle. */
export interface Part {
  readonly name: string;
  readonly version: string;
  /** SPDX expression. */
  readonly licence: string;
  readonly licenceText: string;
  readonly author: string;
  /** URL in package-lock.json, and its SHA-512 in hex. */
  readonly source: string;
  readonly sha512: string;
}

/** esbuild's metafile: the inputs of each output, with the bytes that ended up in it. */
export interface Metafile {
  readonly outputs: Readonly<
    Record<string, { readonly inputs: Readonly<Record<string, { readonly bytesInOutput: number }>> }>
  >;
}

/**
 * The packages with at least one byte in the bundle, by name. `root` is the folder of package-lock.json.
 * @throws Error for a package without a licence, a licence text or a line in the lock file
 */
export function bundledParts(metafile: Metafile, root: string): Part[] {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const folders = new Set<string>();
  for (const output of Object.values(metafile.outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
      const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
      if (folder !== undefined && bytesInOutput > 0) folders.add(folder);
    }
  }
  return [...folders].sort().map((folder) => readPart(root, folder, lock[folder]));
}

function readPart(root: string, folder: string, locked: { resolved: string; integrity: string }): Part {
  const { name, version, license, author } = JSON.parse(
    readFileSync(join(root, folder, 'package.json'), 'utf8'),
  );
  const file = readdirSync(join(root, folder)).find((each) => /^licen[cs]e/i.test(each));
  if (locked === undefined || typeof license !== 'string' || file === undefined) {
    throw new Error(`${folder}: no licence, no licence text, or not in package-lock.json`);
  }
  return {
    name,
    version,
    licence: license,
    licenceText: readFileSync(join(root, folder, file), 'utf8').trimEnd(),
    author: typeof author === 'string' ? author : (author?.name ?? 'its authors'),
    source: locked.resolved,
    sha512: Buffer.from(locked.integrity.replace(/^sha512-/, ''), 'base64').toString('hex'),
  };
}
