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
  /** URL of its tarball, and the SHA-512 of that in hex, from package-lock.json. */
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
 * The packages with at least one byte in the bundles, and those of `whole`, by name. `root` is the folder of package-lock.json.
 * @throws Error for a package without a licence, a licence text or a line in the lock file
 */
export function bundledParts(
  metafiles: readonly Metafile[],
  root: string,
  whole: readonly string[] = [],
): Part[] {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const folders = new Set<string>(whole.map((name) => `node_modules/${name}`));
  for (const output of metafiles.flatMap((metafile) => Object.values(metafile.outputs))) {
    for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
      const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
      if (folder !== undefined && bytesInOutput > 0) folders.add(folder);
    }
  }
  const parts = [...folders].sort().map((folder) => readPart(root, folder, lock[folder]));
  // A package may be installed twice, below two that need it.
  return [...new Map(parts.map((part) => [`${part.name}@${part.version}`, part])).values()];
}

function readPart(
  root: string,
  folder: string,
  locked: { readonly resolved?: string; readonly integrity: string } | undefined,
): Part {
  const { name, version, license, author } = JSON.parse(
    readFileSync(join(root, folder, 'package.json'), 'utf8'),
  );
  const licenceText = readLicence(join(root, folder));
  if (locked === undefined || typeof license !== 'string' || licenceText === undefined) {
    throw new Error(`${folder}: no licence, no licence text, or not in package-lock.json`);
  }
  return {
    name,
    version,
    licence: license,
    licenceText,
    author: typeof author === 'string' ? author : (author?.name ?? 'its authors'),
    source: locked.resolved ?? tarballOf(name, version),
    sha512: Buffer.from(locked.integrity.replace(/^sha512-/, ''), 'base64').toString('hex'),
  };
}

/** Where npm finds a package whose lock file names no address. */
const tarballOf = (name: string, version: string): string =>
  `https://registry.npmjs.org/${name}/-/${name.replace(/^@[^/]+\//, '')}-${version}.tgz`;

/** The text of the licence: a file of its own, or what the readme says under that heading. */
function readLicence(folder: string): string | undefined {
  const names = readdirSync(folder);
  const own = names.find((each) => /^licen[cs]e/i.test(each));
  if (own !== undefined) return readFileSync(join(folder, own), 'utf8').trimEnd();
  const readme = names.find((each) => /^readme/i.test(each));
  if (readme === undefined) return undefined;
  return /^#+ *licen[cs]e *\n+([\s\S]*?)\s*(?=^#|$(?![\s\S]))/im.exec(
    readFileSync(join(folder, readme), 'utf8'),
  )?.[1];
}
