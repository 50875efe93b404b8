// Builds the console into a folder: hashed names, so that browsers keep them, each beside its compressed forms.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { worldMap } from './map/world.mjs';

const here = dirname(new URL(import.meta.url).pathname);
const COMPRESSED = /\.(js|css|svg|html|wasm|json)$/;

/** Returns esbuild's account of what each file is made of. */
export async function buildConsole(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const { metafile, outputFiles } = await build({
    absWorkingDir: dirname(here),
    entryPoints: ['console/main.tsx', 'console/icon.svg'],
    outdir: folder,
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    publicPath: '/',
    loader: { '.svg': 'copy', '.wasm': 'file' },
    bundle: true,
    splitting: true,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    minify: true,
    legalComments: 'none',
    plugins: [made('world-map', worldMap), withoutHosts],
    metafile: true,
    write: false,
  });
  for (const { path, contents } of outputFiles) save(path, contents);
  const nameOf = (pattern) =>
    `/${basename(Object.keys(metafile.outputs).find((path) => pattern.test(path)))}`;
  const page = readFileSync(join(here, 'index.html'), 'utf8')
    .replace('ICON', nameOf(/icon-\w+\.svg$/))
    .replace('STYLE', nameOf(/main-\w+\.css$/))
    .replace('SCRIPT', nameOf(/main-\w+\.js$/));
  save(join(folder, 'index.html'), Buffer.from(page));
  return metafile;
}

/** A module whose content is made while the console is built. */
function made(name, make) {
  return {
    name,
    setup({ onResolve, onLoad }) {
      onResolve({ filter: new RegExp(`^${name}$`) }, () => ({ path: name, namespace: name }));
      onLoad({ filter: /.*/, namespace: name }, () => ({ contents: JSON.stringify(make()), loader: 'json' }));
    },
  };
}

/** The decoder names a host from which it would load its other half, which the console serves itself (scan/decode.ts). */
const withoutHosts = {
  name: 'without-hosts',
  setup({ onLoad }) {
    onLoad({ filter: /zxing-wasm\/dist\/es\/share\.js$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll('https://fastly.jsdelivr.net', ''),
    }));
  },
};

function save(path, contents) {
  writeFileSync(path, contents);
  if (!COMPRESSED.test(path)) return;
  const params = { [constants.BROTLI_PARAM_SIZE_HINT]: contents.length };
  writeFileSync(`${path}.br`, brotliCompressSync(contents, { params }));
  writeFileSync(`${path}.gz`, gzipSync(contents, { level: 9 }));
}
