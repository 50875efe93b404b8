import { X509Certificate } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { judgeCertificate } from '../../../crypto/certificates.ts';
import { concat } from '../../../protocol/bytes.ts';
import { caFolder } from '../../fabric/openssl-ca.ts';

const der = ({ pem }: { readonly pem: string }): Uint8Array => new Uint8Array(new X509Certificate(pem).raw);
const NOTHING = new Uint8Array(0);
const NOW = Math.floor(Date.now() / 1_000);

test('a certificate is judged with those beside it, and what cannot be read is refused', async () => {
  const folder = caFolder();
  onTestFinished(() => folder.remove());
  const root = folder.ca({ subject: '/CN=root' });
  const issuer = folder.ca({ subject: '/CN=issuer', by: root });
  const leaf = der(folder.leaf({ subject: '/CN=pump', by: issuer, addresses: ['fd00::7'] }));
  const [anchor, between] = [der(root), der(issuer)];
  const judged = await judgeCertificate(leaf, between, anchor, NOW);
  expect(judged).toMatchObject({ via: between, names: [{}, {}] });
  expect(judged.refused).toBeUndefined();
  expect((await judgeCertificate(leaf, NOTHING, judged.via!, NOW)).refused).toBeUndefined();
  expect((await judgeCertificate(leaf, NOTHING, anchor, NOW)).refused).toMatch(/issuer/);

  const unreadable = /cannot be read/;
  const many = concat(...Array.from({ length: 17 }, () => between));
  for (const [one, others, anchors] of [
    [leaf.subarray(1), between, anchor],
    [NOTHING, between, anchor],
    [concat(leaf, leaf), between, anchor],
    [leaf, between.subarray(0, -1), anchor],
    [leaf, many, anchor],
    [leaf, between, concat(anchor, Uint8Array.of(0x30))],
  ] as const)
    expect((await judgeCertificate(one, others, anchors, NOW)).refused).toMatch(unreadable);
  expect(() => judgeCertificate(leaf, between, 'anchor' as never, NOW)).toThrow(TypeError);
});
