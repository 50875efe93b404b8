import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { ecdsaSigner, generateP256, primitives } from '../../../crypto/primitives.ts';
import {
  type IdentityOptions,
  type IdentityServer,
  startIdentityServer,
} from '../../../fabric/identity/server.ts';
import { emptyRegistry, openRegistry } from '../../../fabric/open-registry.ts';
import type { Handshake } from '../../../fabric/registry/records.ts';
import { makeRootCertificate, makeServerCertificate } from '../../../protocol/xtt/certificate.ts';
import type { ServerKey } from '../../../protocol/xtt/stateless.ts';
import { type Batch, makeBatch } from '../device.ts';
import type { WholeRegistry as Registry } from '../place.ts';
import { NETWORK, wholeOf } from '../place.ts';

/** An identity server over a registry with one admitted batch. */
export interface TestServer {
  readonly server: IdentityServer;
  readonly registry: Registry;
  readonly batch: Batch;
  readonly root: Uint8Array;
  readonly log: string[];
  /** The newest handshake; waits until every refused one is recorded. */
  last(): Promise<Handshake | undefined>;
}

/** The key of an identity server, certified by a root of its own. */
export async function makeServerKey(): Promise<ServerKey> {
  const [root, server] = [generateP256(), generateP256()];
  const rootId = primitives.random(16);
  return {
    root: makeRootCertificate(rootId, root.publicKey),
    certificate: await makeServerCertificate(
      { rootId, publicKey: server.publicKey },
      ecdsaSigner(root.secret),
    ),
    key: server.secret,
  };
}

export async function openTestServer(
  options: Partial<IdentityOptions> = {},
): Promise<TestServer & { close(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'enf-identity-'));
  const path = join(folder, 'registry.db');
  writeFileSync(path, emptyRegistry('test'));
  const registry = wholeOf(await openRegistry(path));
  const rows: Promise<unknown>[] = [];
  const { refused } = registry;
  registry.refused = (handshake, unlisted) => {
    const row = refused(handshake, unlisted);
    rows.push(row);
    return row;
  };
  await registry.addNetwork('test', NETWORK, 'plant');
  const batch = makeBatch();
  await registry.addGroup('test', {
    gid: batch.gid,
    gpk: batch.gpk,
    basename: batch.basename,
    name: 'batch 7',
    network: NETWORK,
  });
  const key = await makeServerKey();
  const log: string[] = [];
  const server = await startIdentityServer({
    listen: { host: '127.0.0.1', port: 0 },
    keys: [key],
    registry,
    log: (level, message) => log.push(`${level} ${message}`),
    ...options,
  });
  return {
    server,
    registry,
    batch,
    root: key.root,
    log,
    async last() {
      await idle(server);
      await Promise.allSettled(rows);
      return (await registry.handshakes({ limit: 1 })).rows[0];
    },
    async close() {
      await server.close(0);
      await registry.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** One server for all tests of a file. */
export function sharedTestServer(options: Partial<IdentityOptions> = {}): { readonly current: TestServer } {
  let started: Awaited<ReturnType<typeof openTestServer>> | undefined;
  beforeAll(async () => {
    started = await openTestServer(options);
  });
  afterAll(() => started?.close());
  beforeEach(() => {
    started!.log.length = 0;
  });
  return {
    get current() {
      return started!;
    },
  };
}

/** Resolves when no connection is open any more and every refused handshake is recorded. */
export async function idle(server: IdentityServer): Promise<void> {
  while (server.open > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 20));
}
