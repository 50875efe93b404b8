import { expect, test } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { openKeyring } from '../../../agent/identity/keyring.ts';
import { openKeys } from '../../../agent/identity/keys.ts';
import { Failure } from '../../../protocol/failure.ts';
import { temporaryFolder } from '../folders.ts';

function software() {
  const config = parseConfig(
    `[remote]\nhosts = ["127.0.0.1"]\n[identity]\nmode = "software"\ncredential-dir = "${temporaryFolder()}"`,
    'test',
  );
  const stop = new AbortController();
  return { keyring: openKeyring(() => openKeys(config), stop.signal), stop };
}
const identityOf = async (keyring: ReturnType<typeof openKeyring>) => ({
  address: 'fd00::7',
  certificate: '00',
  key: await (await keyring.keys()).create(),
});

test('keys are opened once, and again after they were closed', async () => {
  const { keyring } = software();
  const keys = await keyring.keys();
  expect(await keyring.keys()).toBe(keys);
  const first = await keyring.use(await identityOf(keyring));
  expect(keyring.longterm()).toBe(first);
  await keyring.close();
  expect(keyring.longterm()).toBeUndefined();
  expect(await keyring.keys()).not.toBe(keys);
});

test('a key that cannot be loaded leaves the one in use', async () => {
  const { keyring } = software();
  const used = await keyring.use(await identityOf(keyring));
  const foreign = { address: 'fd00::8', certificate: '00', key: { kind: 'tpm', pem: 'x' } as const };
  await expect(keyring.use(foreign)).rejects.toMatchObject({ code: 'agent.mode-changed' });
  expect(keyring.longterm()).toBe(used);
});

test('nothing is opened once the agent stops, and the reason is thrown', async () => {
  const { keyring, stop } = software();
  const reason = new Failure('agent.stopping', 'retry', 'stopping');
  const opening = keyring.keys();
  stop.abort(reason);
  await expect(opening).rejects.toBe(reason);
  await expect(keyring.keys()).rejects.toBe(reason);
});
