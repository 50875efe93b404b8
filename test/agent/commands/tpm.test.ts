import { beforeAll, expect, test } from 'vitest';
import { provision } from '../../../agent/identity/provision.ts';
import { openTpmKeys } from '../../../agent/identity/tpm-keys.ts';
import { openStore } from '../../../agent/state/state.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { openTpm } from '../../../tpm/context.ts';
import { PLATFORM_MAP } from '../../../tpm/handles.ts';
import { createDaaKey, writeObjects } from '../../../tpm/personalise.ts';
import { swtpmForTest } from '../../tpm/fixture.ts';
import { CC, faultyTpm, firstAttempts } from '../../tpm/proxy.ts';
import { power, temporaryFolder } from '../folders.ts';
import { type IdentityServer, identityServer } from '../identity-server.ts';

let authority: IdentityServer;
beforeAll(async () => {
  authority = await identityServer();
});

const NAMES = new Map<number, string>(Object.entries(CC).map(([name, code]) => [code, name]));

/** A personalised TPM and what a device that boots with it asks of it: names of commands, in order. */
async function place() {
  const swtpm = await swtpmForTest();
  const tpm = await openTpm(swtpm.tcti);
  const { key } = await createDaaKey(tpm, PLATFORM_MAP);
  const { gpk, credential, signature } = authority.issue(key.publicPoint);
  await writeObjects(tpm, PLATFORM_MAP, {
    gpk,
    credential,
    credentialSignature: signature,
    basename: authority.basename,
    xttRoot: authority.rootCertificate,
    tlsRoot: 'a PEM text',
  });
  await tpm.close();
  const proxy = await faultyTpm(swtpm.port);
  // Under this name the TCTI is not taken for one without a resource manager: what reaches the chip is what
  // /dev/tpmrm0 would see. Without one, three questions for leftovers come before.
  const tcti = proxy.tcti.replace('swtpm:', 'libtss2-tcti-swtpm.so.0:');
  const state = temporaryFolder();
  const boot = async (): Promise<string[]> => {
    proxy.commands.length = 0;
    const keys = await openTpmKeys(tcti);
    const store = await openStore(await openFolder(state));
    const { pending: _, ...rest } = store.record;
    await store.save(rest);
    await provision({
      keys,
      store,
      suite: 1,
      requestedIdentity: new Uint8Array(16),
      connect: async () => authority.connect(power()),
      links: () => [],
      nowMs: () => 0,
    });
    await keys.close();
    return firstAttempts(proxy.commands).map((code) => NAMES.get(code) ?? code.toString(16));
  };
  return { boot };
}

const CREDENTIAL = ['nvRead', 'nvRead', 'nvReadPublic', 'nvRead', 'nvRead'];
const HANDSHAKE = ['readPublic', 'sign', 'commit', 'sign', 'sign', 'flushContext'];

test('a first boot takes 18 TPM commands', async () => {
  const { boot } = await place();
  const commands = await boot();
  expect(commands).toEqual([
    'startup',
    ...CREDENTIAL,
    ...['readPublic', 'createPrimary', 'evictControl', 'flushContext', 'create', 'load'],
    ...HANDSHAKE,
  ]);
  expect(commands.length).toBeLessThanOrEqual(18);
  // The storage key is there from then on.
  expect(await boot()).toEqual(['startup', ...CREDENTIAL, 'readPublic', 'create', 'load', ...HANDSHAKE]);
});
