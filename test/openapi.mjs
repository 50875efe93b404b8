// Writes docs/openapi.json anew from the routes of the API (`npm run openapi`); a test compares both.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;
mkdirSync(join(root, '.cache'), { recursive: true });
const folder = mkdtempSync(join(root, '.cache/openapi-'));
try {
  const outfile = join(folder, 'openapi.mjs');
  const entry = join(root, 'fabric/api/openapi.ts');
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['better-sqlite3'],
  });
  const { openApiDocument } = await import(outfile);
  writeFileSync(join(root, 'docs/openapi.json'), `${JSON.stringify(openApiDocument('0.1.0'), null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
