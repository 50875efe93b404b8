import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { PERMISSIONS, permissionsOf, ROLES } from '../../../fabric/access/roles.ts';
import { ACCOUNT_ROUTES } from '../../../fabric/api/account-table.ts';
import { startApi } from '../../../fabric/api/server.ts';
import { emptyRegistry, openRegistry } from '../../../fabric/open-registry.ts';
import { CATALOGUE } from '../../../fabric/operations/contract/catalogue.ts';
import { createToken } from '../../../fabric/operations/people/tokens.ts';
import { formatIpv6, parsePrefix } from '../../../protocol/ipv6.ts';
import { makeBatch } from '../device.ts';
import { seenBy, wholeOf } from '../place.ts';
import { applicant } from '../registry/contract/place.ts';
import { fabricOf } from './console.ts';

const page = readFileSync(new URL('../../../docs/fabric-api.md', import.meta.url), 'utf8');

test('docs/fabric-api.md lists every request and what each role may', () => {
  for (const [name, { method, path, permission, fresh }] of Object.entries(CATALOGUE)) {
    expect(page).toContain(
      `| \`${method} ${path}\` | \`${name}\` | \`${permission}\`${fresh ? ', fresh' : ''} |`,
    );
  }
  for (const { name, method, path, who } of ACCOUNT_ROUTES) {
    expect(page).toContain(`| \`${method} ${path}\` | \`${name}\` | ${who} |`);
  }
  for (const permission of PERMISSIONS) {
    const cells = ROLES.map((role) => (permissionsOf(role).includes(permission) ? 'yes' : '–'));
    expect(page).toContain(`| \`${permission}\` | ${cells.join(' | ')} |`);
  }
});

test('the recipes in docs/fabric-api.md work', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'enf-recipes-'));
  writeFileSync(join(folder, 'registry.db'), emptyRegistry('test'));
  const registry = wholeOf(await openRegistry(join(folder, 'registry.db')));
  const context = {
    ...seenBy(registry),
    running: { notify: async () => 'in force', presence: async () => undefined },
    now: Date.now,
  };
  const api = await startApi({
    listen: { host: '127.0.0.1', port: 0 },
    ...fabricOf(registry),
    version: '1.2.3',
    log: () => {},
  });
  onTestFinished(async () => {
    await api.close();
    await registry.close();
    rmSync(folder, { recursive: true });
  });
  const made = await createToken.run(
    { ...context, actor: 'alice' },
    { name: 'owner', role: 'owner', days: 1 },
  );
  const batch = makeBatch();
  const network = await registry.addNetwork('alice', parsePrefix('fd00:8f80:8000:7::/64'), 'lab');
  await registry.addGroup('alice', { ...batch, name: 'batch 7', network: network.prefix });
  const device = formatIpv6(await registry.admit(applicant(batch)));
  const env = {
    PATH: process.env.PATH,
    API: `http://127.0.0.1:${api.port}`,
    TOKEN: made.token,
    DEVICE: device,
  };
  const recipes = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
  expect(recipes.length).toBeGreaterThan(10);
  for (const recipe of recipes) {
    await promisify(execFile)('bash', ['-c', `set -euo pipefail\n${recipe}`], {
      cwd: folder,
      env,
      timeout: 60_000,
    });
  }
  expect((await registry.networks({ limit: 9 })).rows).toHaveLength(2);
});
