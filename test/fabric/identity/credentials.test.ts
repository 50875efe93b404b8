import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ServerKey } from '../../../protocol/xtt/stateless.ts';
import { type Attempt, provision } from '../device.ts';
import { makeServerKey, openTestServer } from './fixture.ts';

let first: ServerKey;
let second: ServerKey;
let served: Awaited<ReturnType<typeof openTestServer>>;

beforeEach(async () => {
  [first, second] = [await makeServerKey(), await makeServerKey()];
  served = await openTestServer({ keys: [first, second] });
});
afterEach(() => served.close());

const attempt = async (root: Uint8Array, more: Partial<Attempt> = {}): Promise<string> => {
  const { server, batch } = served;
  const { gid } = batch;
  return provision({ port: server.port, root, gid, chip: await batch.chip(), ...more }).then(
    () => 'granted',
    ({ code }: { code: string }) => code,
  );
};

test('a device that says which root it trusts gets a certificate of that one', async () => {
  expect(await attempt(first.root, { hinted: true })).toBe('granted');
  expect(await attempt(second.root, { hinted: true })).toBe('granted');
});

test('one that does not, as C devices, gets the first, and so does one whose root is not known', async () => {
  expect(await attempt(first.root)).toBe('granted');
  expect(await attempt(second.root)).toBe('xtt.unknown-root');
  const { root } = await makeServerKey();
  expect(await attempt(root, { hinted: true })).toBe('xtt.unknown-root');
});

test('certificates are replaced while it serves, and no handshake under way is lost', async () => {
  const third = await makeServerKey();
  const replaced = await attempt(first.root, {
    alter(claim) {
      served.server.replaceKeys([third]);
      return claim;
    },
  });
  expect(replaced).toBe('granted');
  expect(await attempt(third.root)).toBe('granted');
  expect(await attempt(first.root, { hinted: true })).toBe('xtt.unknown-root');
  // Replaced again: what was two replacements ago is gone.
  const lost = await attempt(third.root, {
    alter(claim) {
      served.server.replaceKeys([first]);
      served.server.replaceKeys([second]);
      return claim;
    },
  });
  expect(lost).toBe('xtt.error-received');
});
