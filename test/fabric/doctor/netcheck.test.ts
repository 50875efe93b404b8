import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { netcheck, netcheckText } from '../../../fabric/doctor/netcheck.ts';
import { startIdentityServer } from '../../../fabric/identity/server.ts';
import type { Authority } from '../../../fabric/pki/authority.ts';
import { loadAuthority } from '../../../fabric/pki/authority.ts';
import { foundAuthority } from '../../../fabric/pki/found.ts';
import { startRouter } from '../../../fabric/router/router.ts';
import { toPem } from '../../../protocol/identity/roots.ts';
import type { Trust } from '../../../protocol/identity/trust.ts';
import { fakeAdmission } from '../router/fixture.ts';

let own: Authority;
let identityPort: number;
let tunnelPort: number;
let silent: Server;
const ends: (() => unknown)[] = [];
const trustOf = ({ roots }: Authority): Trust => ({
  xttRoot: roots[0]!.pair.xttRoot,
  tlsRoot: toPem(roots[0]!.pair.tlsRoot),
});

async function founded(): Promise<Authority> {
  const folder = mkdtempSync(join(tmpdir(), 'enf-netcheck-'));
  ends.push(() => rmSync(folder, { recursive: true }));
  const data = join(folder, 'fabric');
  await foundAuthority(data, 'test');
  return loadAuthority(data);
}

/** How the handshakes that were not admitted have ended. */
const ended: string[] = [];

beforeAll(async () => {
  own = await founded();
  const [{ pair, server: key }] = own.roots as [Authority['roots'][number]];
  const identity = await startIdentityServer({
    listen: { host: '127.0.0.1', port: 0 },
    keys: [{ root: pair.xttRoot, ...key }],
    registry: {
      refused: async ({ result }: { result: string }) => void ended.push(result),
    } as never,
    log: () => {},
  });
  const router = await startRouter({
    listen: { host: '127.0.0.1', port: 0 },
    ...own.router,
    admission: fakeAdmission(),
    threads: 1,
    log: () => {},
  });
  silent = createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  [identityPort, tunnelPort] = [identity.port, router.port];
  ends.push(
    () => identity.close(0),
    () => router.close(),
    () => silent.close(),
  );
});
afterAll(async () => {
  for (const end of ends) await end();
});

const tried = async (change: Partial<Parameters<typeof netcheck>[0]> = {}) =>
  netcheck({
    host: 'fabric.example',
    identityPort,
    tunnelPort,
    trust: trustOf(own),
    lookup: async () => ['127.0.0.1'],
    ...change,
  });

test('both ports of this fabric are found', async () => {
  const view = await tried();
  expect(view).toMatchObject({ ok: true, addresses: [{ ports: [{ ok: true }, { ok: true }] }] });
  expect(netcheckText(view)).toMatch(/get in from here\.$/);
  // It has looked and left: that is no refused handshake.
  await expect.poll(() => ended).toEqual(['net.abandoned']);
});

test('another fabric is another fabric, at both', async () => {
  const view = await tried({ trust: trustOf(await founded()) });
  expect(view.ok).toBe(false);
  expect(view.addresses[0]!.ports.map(({ answer }) => answer)).toEqual([
    expect.stringContaining('xtt.unknown-root'),
    expect.stringMatching(/^another server \(/),
  ]);
});

test('ports that are swapped, closed or of something else say what is there', async () => {
  const swapped = await tried({ identityPort: tunnelPort, tunnelPort: identityPort });
  expect(swapped.addresses[0]!.ports.map(({ ok }) => ok)).toEqual([false, false]);
  const closed = await tried({ identityPort: 1, tunnelPort: 1 });
  for (const { answer } of closed.addresses[0]!.ports) expect(answer).toContain('[net.');
});

test('one of two addresses that does not serve is a failure; a name without any says so', async () => {
  const view = await tried({ lookup: async () => ['127.0.0.1', '127.0.0.2'] });
  expect(view.addresses.map(({ ports }) => ports.every(({ ok }) => ok))).toEqual([true, false]);
  expect(view.ok).toBe(false);
  expect(netcheckText(view)).toContain('Not every address of fabric.example serves devices');
  for (const lookup of [async () => [], async () => Promise.reject(new Error('ENOTFOUND'))])
    await expect(tried({ lookup })).rejects.toMatchObject({ code: 'net.no-such-host' });
});
