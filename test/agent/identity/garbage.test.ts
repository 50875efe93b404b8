import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { proxyOf } from '../../../agent/config/proxy.ts';
import { viewState } from '../../../agent/doctor/state-view.ts';
import { readEnftun } from '../../../agent/enftun/enftun.ts';
import type { KeyStore } from '../../../agent/identity/key-store.ts';
import { provision } from '../../../agent/identity/provision.ts';
import { openSoftwareKeys } from '../../../agent/identity/software-keys.ts';
import { routerTrust } from '../../../agent/identity/tls-root.ts';
import { openTpmKeys } from '../../../agent/identity/tpm-keys.ts';
import { openStore, type Store } from '../../../agent/state/state.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { ascii, fromHex, toHex } from '../../../protocol/bytes.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { openTpm } from '../../../tpm/context.ts';
import { PLATFORM_MAP } from '../../../tpm/handles.ts';
import { withHierarchy } from '../../../tpm/hierarchy.ts';
import { defineNv, writeNv } from '../../../tpm/nv.ts';
import { release } from '../../../tpm/objects.ts';
import { createDaaKey, writeObjects } from '../../../tpm/personalise.ts';
import { swtpmForTest, tpm2 } from '../../tpm/fixture.ts';
import { temporaryFolder } from '../folders.ts';
import { type IdentityServer, identityServer } from '../identity-server.ts';
import { makeCertificates } from '../router.ts';

// Every file and NV object that the agent reads, with garbage in it: what cannot be read is a Failure, never another error.

let server: IdentityServer;
beforeAll(async () => {
  server = await identityServer();
});

const random = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => ((i + 1) * 7919 * (seed + 3) + (i >> 3)) & 0xff);

/** Garbage of the length that the thing should have (undefined: any), and of others. */
const garbage = (length = 200): readonly Uint8Array[] => [
  new Uint8Array(),
  Uint8Array.of(0),
  new Uint8Array(length),
  new Uint8Array(length).fill(0xff),
  random(length, 1),
  random(length, 2),
  ascii('\n'.repeat(length)),
  ascii('-----BEGIN CERTIFICATE-----\n'.padEnd(length, 'A')).slice(0, length),
  fromHex(`3082${'00'.repeat(length)}`).slice(0, length),
  random(length + 1, 3),
  random(70_000, 4),
];

async function fails(work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (isFailure(error)) return;
    throw error;
  }
}

const attempt = (keys: KeyStore, store: Store) =>
  provision({
    keys,
    store,
    suite: 1,
    requestedIdentity: new Uint8Array(16),
    connect: async () => server.connect(),
    links: () => [],
    nowMs: () => 0,
  });
const newStore = async (): Promise<Store> => openStore(await openFolder(temporaryFolder()));

describe('[H-D3] garbage in a credential’s folder', () => {
  const FILES = {
    'daa_gpk.bin': 258,
    'daa_cred.bin': 260,
    'daa_secretkey.bin': 32,
    'basename.bin': 12,
    'root_cert.bin': 81,
  };
  for (const [name, length] of Object.entries(FILES)) {
    test(name, async () => {
      for (const content of [...garbage(length), undefined]) {
        const folder = temporaryFolder();
        server.personalise(folder);
        rmSync(join(folder, name));
        if (content === undefined) mkdirSync(join(folder, name));
        else writeFileSync(join(folder, name), content);
        const store = await newStore();
        await expect(attempt(openSoftwareKeys(folder), store)).rejects.toMatchObject({ name: 'Failure' });
        expect(store.record.identity).toBeUndefined();
      }
    });
  }

  test('tls_root.pem, and the file of remote.tls-root', async () => {
    for (const content of garbage()) {
      const folder = temporaryFolder();
      writeFileSync(join(folder, 'tls_root.pem'), content);
      const configured = { [`tls-root = "${folder}/tls_root.pem"`]: undefined, '': openSoftwareKeys(folder) };
      for (const [line, keys] of Object.entries(configured)) {
        const config = parseConfig(`[remote]\nhosts = ["x"]\n${line}`, 'x');
        await expect(routerTrust(config, async () => keys?.tlsRoot())).rejects.toMatchObject({
          name: 'Failure',
        });
      }
    }
  });
});

test('[H-D3] garbage in the configuration, the proxy’s login, a state and an enftun installation', async () => {
  for (const content of garbage()) {
    const text = new TextDecoder().decode(content);
    expect(() => parseConfig(text, 'x')).toThrowError(expect.objectContaining({ name: 'Failure' }));
    const folder = temporaryFolder();
    const login = join(folder, 'login');
    writeFileSync(login, content);
    const config = parseConfig(
      `[remote]\nhosts = ["x"]\nproxy = "http://x:1"\nproxy-login-file = "${login}"`,
      'x',
    );
    await fails(() => proxyOf(config)!.login());
    for (const name of ['state-0', 'state-1']) writeFileSync(join(folder, name), content);
    await fails(() => viewState(folder));
    await fails(async () => {
      const store = await openStore(await openFolder(folder));
      expect([store.record, store.quarantined]).toEqual([{}, ['state-0.bad-1', 'state-1.bad-1']]);
    });
    await fails(() => readEnftun(text, async () => content));
    await expect(readEnftun('', async () => content)).rejects.toMatchObject({ name: 'Failure' });
  }
});

test('[H-D3] garbage as the saved key', async () => {
  for (const content of garbage(121)) {
    for (const key of [
      { kind: 'software', der: toHex(content) },
      { kind: 'tpm', pem: new TextDecoder('latin1').decode(content) },
    ] as const) {
      await expect(openSoftwareKeys('').load(key)).rejects.toMatchObject({ name: 'Failure' });
    }
  }
});

test('[H-D3] garbage in each NV object, of its own size and of others', async () => {
  const swtpm = await swtpmForTest();
  const tcti = swtpm.tcti;
  const first = await openTpm(tcti);
  const { key } = await createDaaKey(first, PLATFORM_MAP);
  const { gpk, credential, signature } = server.issue(key.publicPoint);
  const right = {
    gpk,
    credential,
    credentialSignature: signature,
    basename: server.basename,
    xttRoot: server.rootCertificate,
  };
  await writeObjects(first, PLATFORM_MAP, { ...right, tlsRoot: makeCertificates().root });
  await first.close();

  /** Everything that the agent does with its TPM before it has a connection; the failure, if there is one. */
  const use = async (): Promise<string> => {
    const keys = await openTpmKeys(tcti);
    try {
      await routerTrust(parseConfig('[remote]\nhosts = ["x"]', 'x'), () => keys.tlsRoot());
      await attempt(keys, await newStore());
      return 'provisioned';
    } catch (error) {
      if (!isFailure(error)) throw error;
      return error.code;
    } finally {
      await keys.close();
    }
  };
  const write = async (name: keyof typeof PLATFORM_MAP.nv, content: Uint8Array): Promise<void> => {
    tpm2(swtpm, 'nvundefine', '-C', 'p', `0x${PLATFORM_MAP.nv[name].toString(16)}`);
    const tpm = await openTpm(tcti);
    await withHierarchy(tpm, 'platform', undefined, async (authority) => {
      const index = await defineNv(tpm, authority, 'platform', PLATFORM_MAP.nv[name], content.length);
      await writeNv(tpm, authority, index, content);
      await release(tpm, index);
    });
    await tpm.close();
  };

  expect(await use()).toBe('provisioned');
  const original: Record<string, Uint8Array> = { ...right, tlsRoot: ascii(makeCertificates().root) };
  for (const name of ['gpk', 'credential', 'basename', 'xttRoot', 'tlsRoot'] as const) {
    const { length } = original[name]!;
    for (const content of [
      random(length, 1),
      new Uint8Array(length).fill(0xff),
      new Uint8Array(length),
      random(length + 7, 2),
      random(1, 5),
    ]) {
      await write(name, content);
      expect(await use(), `${name} of ${content.length} bytes`).not.toBe('provisioned');
    }
    await write(name, original[name]!);
    expect(await use()).toBe('provisioned');
  }
});
