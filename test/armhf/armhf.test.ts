import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, describe, expect, test } from 'vitest';
import { makeMember, serve } from '../bench/handshakes.ts';

/** The unpacked Debian for armhf with our packages, which `npm run test:deb -- --arch armhf` makes. */
const root = process.env.ENF_ARMHF_ROOT;
const execute = promisify(execFile);
const TIMEOUT_MS = 900_000;

describe.skipIf(root === undefined)('the packages for armhf, on an emulated processor', () => {
  const folder = mkdtempSync(join(tmpdir(), 'enf-armhf-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs a program of Node.js on the emulated processor, with the addon of a package; what it printed. */
  const node = async (name: 'agent' | 'factory', ...words: string[]): Promise<string> => {
    const place = join(root!, 'usr/lib', `enf-${name}`);
    const own = words[0] === 'program' ? [join(place, `enf-${name}.mjs`), ...words.slice(1)] : words;
    const emulated = ['-L', root!, join(root!, 'usr/bin/node'), ...own];
    const env = { ...process.env, ENF_ADDON: join(place, 'enf.node') };
    return (await execute('qemu-arm-static', emulated, { env })).stdout;
  };

  test(
    'both programs run',
    async () => {
      for (const name of ['agent', 'factory'] as const)
        expect(await node(name, 'program', '--version')).toMatch(new RegExp(`^enf-${name} \\d`));
    },
    TIMEOUT_MS,
  );

  test(
    'the addon verifies recorded signatures, and its own',
    async () => {
      const bundle = join(folder, 'vectors.mjs');
      const vectors = fileURLToPath(new URL('vectors.ts', import.meta.url));
      const banner = {
        js: "import { createRequire as c } from 'node:module'; const require = c(import.meta.url);",
      };
      // The recorded values lie where they lie.
      const define = {
        'import.meta.url': JSON.stringify(new URL('../protocol/crypto/', import.meta.url).href),
      };
      const shape = { bundle: true, platform: 'node', format: 'esm', banner, define } as const;
      await build({ entryPoints: [vectors], outfile: bundle, ...shape });
      const said = JSON.parse(await node('agent', bundle));
      expect(said).toMatchObject({ cpu: 'arm', arithmetic: 'portable', wrong: [] });
      expect(said.signatures).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  test(
    'a device has a handshake with a fabric on this machine',
    async () => {
      await makeMember(folder);
      const fabric = await serve(join(folder, 'fabric'));
      try {
        const client = fileURLToPath(new URL('../../dist/bench-client.mjs', import.meta.url));
        const { clientMs } = JSON.parse(await node('agent', client, String(fabric.port), folder, '1'));
        expect(clientMs).toHaveLength(1);
      } finally {
        await fabric.stop();
      }
    },
    TIMEOUT_MS,
  );
});
