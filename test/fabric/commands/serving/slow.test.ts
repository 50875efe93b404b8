/** The fabric where the addon was built without ECDAA, as on a 32-bit machine: slower, and it says so. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { parseTrust } from '../../../../protocol/identity/trust.ts';
import { makeBatch, provision } from '../../device.ts';
import { fabricProgram } from '../program.ts';

const folder = mkdtempSync(join(tmpdir(), 'enf-slow-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The addon as build.sh makes it with ECDAA=0. */
const addon = join(folder, 'addon.cjs');
const whole = JSON.stringify(fileURLToPath(new URL('../../../../dist/enf.node', import.meta.url)));
writeFileSync(
  addon,
  `const rest = Object.entries(require(${whole})).filter(([name]) => !/^(ecdaa|fp256bn)/.test(name));
module.exports = Object.fromEntries(rest);`,
);
const fabric = fabricProgram(['env', `ENF_ADDON=${addon}`]);

test('without native ECDAA a device gets its identity all the same, and the operator is told why it takes longer', async () => {
  const data = join(folder, 'fabric');
  const batch = makeBatch();
  writeFileSync(join(folder, 'label'), batch.label);
  await fabric.json('init', '--data', data);
  await fabric.json('network', 'add', 'fd00:8f80:8000:1::/64', '--data', data);
  const label = ['--label', join(folder, 'label'), '--network', 'fd00:8f80:8000:1::/64'];
  await fabric.json('group', 'add', ...label, '--data', data);

  const serving = await fabric.serve(data);
  const root = parseTrust(readFileSync(join(data, 'trust.json'), 'utf8')).xttRoot;
  const { identity } = await provision({
    port: serving.identityPort,
    root,
    gid: batch.gid,
    chip: await batch.chip(),
  });
  expect(await fabric.json('device', 'list', '--data', data)).toHaveLength(1);
  expect(identity).toHaveLength(16);
  expect(serving.log()).toContain('handshakes are slow: group signatures noble, curves native');
  expect(await serving.stop()).toBe(0);
});
