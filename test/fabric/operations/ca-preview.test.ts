import { afterAll, describe, expect, test } from 'vitest';
import { previewAnchor } from '../../../fabric/operations/pki/chain.ts';
import { encodeBase64 } from '../../../protocol/identity/base64.ts';
import { parseRoots } from '../../../protocol/identity/roots.ts';
import { caFolder, type MadeCertificate } from '../openssl-ca.ts';
import { opened, registryFile, seenBy } from '../place.ts';

const files = caFolder();
afterAll(() => files.remove());
const USAGE = ['keyUsage=critical,keyCertSign,cRLSign'];
const YEAR = 366 * 86_400;
const root = files.ca({ subject: '/CN=root', extensions: USAGE, seconds: YEAR });
const issuing = files.ca({
  subject: '/CN=issuing',
  by: root,
  key: 'rsa2048',
  extensions: USAGE,
  seconds: YEAR,
});

/** What is said of a chain; the CA first. */
async function preview(...chain: readonly MadeCertificate[]) {
  const registry = opened(registryFile());
  const context = {
    ...{ ...seenBy(registry), actor: 'test', now: Date.now },
    running: { notify: async () => '', presence: async () => undefined },
  };
  const certificates = chain.map(({ pem }) =>
    encodeBase64(parseRoots(new TextEncoder().encode(pem), 'x').certificates[0]!),
  );
  const { certificates: said } = await previewAnchor.run(context, { certificates });
  expect(await registry.anchors()).toEqual([]);
  return said;
}

test('a chain is shown as what it is, without a warning if it is as most are', async () => {
  expect(await preview(root, issuing)).toMatchObject([
    { subject: 'CN=root', root: true, key: 'P-256', warnings: [] },
    { subject: 'CN=issuing', root: false, key: 'RSA, 2048 bits', warnings: [] },
  ]);
});

describe('warned is of', () => {
  test.each<[string, () => readonly MadeCertificate[], RegExp]>([
    ['a key of which nothing is said', () => [files.ca({ subject: '/CN=x', seconds: YEAR })], /no keyUsage/],
    [
      'an end that is near',
      () => [files.ca({ subject: '/CN=x', extensions: USAGE, seconds: 864_000 })],
      /ends in 9 days/,
    ],
    ['an intermediate in the place of the CA', () => [issuing], /is an intermediate/],
    [
      'an intermediate of another CA',
      () => [root, files.ca({ subject: '/CN=x', by: issuing, extensions: USAGE, seconds: YEAR })],
      /None of the others has issued it/,
    ],
  ])('%s', async (_what, chain, warning) => {
    const said = await preview(...chain());
    expect(said.at(-1)!.warnings).toEqual([expect.stringMatching(warning)]);
  });
});

test.each<[string, () => MadeCertificate, RegExp]>([
  ['machine', () => files.leaf({ subject: '/CN=pump', by: root, addresses: [] }), /may not sign others/],
  ['key that is too weak', () => files.ca({ subject: '/CN=weak', key: 'rsa1024' }), /has a key that is not/],
  ['CA that has ended', () => files.ca({ subject: '/CN=over', seconds: -60 }), /has expired/],
])('a %s is refused as it would be when it is added', async (_what, make, why) => {
  await expect(preview(make())).rejects.toMatchObject({
    code: 'pki.bad-ca',
    message: expect.stringMatching(why),
  });
});
