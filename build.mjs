// Builds everything into dist/: the C addon (enf.node), one bundle per program, and the pages of the console (console/).
//   node build.mjs            all
//   node build.mjs native     only the addon (CC, NODE_INCLUDE and PKG_CONFIG choose a cross toolchain)
//   node build.mjs bundles [PROGRAM]    only the JavaScript, or one program's
//   node build.mjs console    only the pages of the console
// DIST is another folder for the JavaScript. Beside each bundle, PROGRAM.meta.json says what it was made of.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { build } from 'esbuild';

const { version } = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8'));
const root = dirname(new URL(import.meta.url).pathname);
const dist = resolve(process.env.DIST ?? join(root, 'dist'));
const [what = 'all', only] = process.argv.slice(2);
mkdirSync(dist, { recursive: true });

if (what === 'all' || what === 'native')
  execFileSync('bash', [join(root, 'native/build.sh')], { stdio: 'inherit' });
if (what === 'all' || what === 'bundles') {
  const banner = `#!/usr/bin/env node\nimport { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);`;
  const programs = {
    'enf-agent': 'agent/main.ts',
    'enf-factory': 'factory/main.ts',
    'enf-fabric': 'fabric/main.ts',
    demo: 'test/e2e/demo.ts',
    bench: 'test/bench/main.ts',
    'bench-client': 'test/bench/clientmain.ts',
    'bench-admit': 'test/bench/admit/main.ts',
    'bench-tunnel': 'test/bench/tunnel/main.ts',
    'bench-router': 'test/bench/router/main.ts',
    'bench-hostile': 'test/bench/hostile/main.ts',
    'bench-scale': 'test/bench/scale/main.ts',
    'bench-routes': 'test/bench/routes/main.ts',
    'bench-console': 'test/bench/console/main.ts',
    'bench-factory': 'test/bench/factory/main.ts',
    'bench-soak': 'test/bench/soak/main.ts',
    sim: 'test/sim/main.ts',
    'test-cluster': 'test/cluster/main.ts',
    packaging: 'packaging/main.ts',
    image: 'packaging/image/main.ts',
  };
  // What a program runs in a thread of its own.
  const threads = {
    'enf-fabric': [{ in: join(root, 'fabric/registry/postgres/io.mjs'), out: 'enf-fabric-postgres' }],
  };
  for (const [program, source] of Object.entries(programs)) {
    const entry = join(root, source);
    if (!existsSync(entry) || (only !== undefined && only !== program)) continue;
    for (const name of readdirSync(dist)) if (name.startsWith(`${program}-`)) rmSync(join(dist, name));
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: [{ in: entry, out: program }, ...(threads[program] ?? [])],
      outdir: dist,
      outExtension: { '.js': '.mjs' },
      // What is imported on demand becomes a file beside the program: a device that has its identity never loads the handshake.
      splitting: true,
      chunkNames: `${program}-[name]-[hash]`,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      minifySyntax: true,
      // A device keeps no room for indentation, and boards load the factory's program; names and short lines stay, so that a stack trace says where it was.
      ...(program !== 'enf-fabric' && { minifyWhitespace: true, lineLimit: 160 }),
      legalComments: 'none',
      // The driver of PostgreSQL can do with these, and does without them.
      external: ['pg-native', 'pg-cloudflare'],
      define: {
        'process.env.ENF_VERSION': JSON.stringify(version),
        'process.env.ENF_BUILT': JSON.stringify(built()),
      },
      banner: { js: banner },
      metafile: true,
    });
    chmodSync(join(dist, `${program}.mjs`), 0o755);
    writeFileSync(join(dist, `${program}.meta.json`), JSON.stringify(metafile));
  }
}
if (what === 'all' || what === 'console' || (what === 'bundles' && only === undefined)) {
  // The package of the agent is built without these sources.
  const { buildConsole } = await import('./console/build.mjs');
  writeFileSync(join(dist, 'console.meta.json'), JSON.stringify(await buildConsole(join(dist, 'console'))));
}

/** Seconds since 1970: no clock that shows an earlier time is right. The same for the same commit, so that builds can be compared. */
function built() {
  const { SOURCE_DATE_EPOCH } = process.env;
  if (SOURCE_DATE_EPOCH) return SOURCE_DATE_EPOCH;
  try {
    return execFileSync('git', ['log', '-1', '--format=%ct'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return String(Math.floor(Date.now() / 1000));
  }
}
