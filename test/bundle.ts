import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/**
 * Makes one file of a program of the sources or of a test, to be run in a process of its own. What has a native part is not in it
 * and is found where the file lies: inside the project.
 */
export async function bundle(source: URL, outfile: string): Promise<void> {
  await build({
    entryPoints: [fileURLToPath(source)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['better-sqlite3'],
    banner: {
      js: `import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(${JSON.stringify(import.meta.url)});`,
    },
    logLevel: 'error',
  });
}
