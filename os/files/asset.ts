import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/**
 * The path of a file that an npm package brings and that is no part of the bundle: `name` beside the program where it is installed, else
 * `specifier` in node_modules. `base` is the caller's `import.meta.url`.
 */
export function assetPath(base: string, name: string, specifier: string): string {
  const beside = fileURLToPath(new URL(name, base));
  return existsSync(beside) ? beside : createRequire(base).resolve(specifier);
}
