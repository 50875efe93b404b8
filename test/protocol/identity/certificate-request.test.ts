import { expect, test } from 'vitest';
import { ecdsaSigner, generateP256, primitives } from '../../../crypto/primitives.ts';
import { concat, fromHex } from '../../../protocol/bytes.ts';
import { identityCertificate } from '../../../protocol/identity/certificate.ts';
import { certificateRequest, namesIn, namesOf } from '../../../protocol/identity/certificate-request.ts';
import { der, readChildren, TAG } from '../../../protocol/identity/der.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';

// What openssl says of a request is looked at in test/agent/identity/enrolled.test.ts.

const { secret, publicKey } = generateP256();
const sign = ecdsaSigner(secret);
const ADDRESS = parseIpv6('fd00::7');

/** A certificate with this in its third version: names, then extensions. */
function certificate(subject: Uint8Array, extensions: readonly Uint8Array[] | undefined): Uint8Array {
  const empty = der(TAG.sequence);
  const tbs = der(
    TAG.sequence,
    der(TAG.context0, der(TAG.integer, Uint8Array.of(2))),
    ...[der(TAG.integer, Uint8Array.of(1)), empty, empty, empty, subject, empty],
    ...(extensions === undefined ? [] : [der(0xa3, der(TAG.sequence, ...extensions))]),
  );
  return der(TAG.sequence, tbs, empty, der(TAG.bitString, Uint8Array.of(0)));
}

test('a request is signed by its key, and the names of a certificate come back as they were', async () => {
  for (const names of [namesOf('pump', ADDRESS), namesOf('Pümpe', undefined)]) {
    const [info, , bits] = readChildren(await certificateRequest(names, publicKey, sign), TAG.sequence)!;
    const [r, s] = readChildren(bits!.contents.subarray(1), TAG.sequence)!;
    const padded = (digits: Uint8Array): Uint8Array => concat(new Uint8Array(32), digits).slice(-32);
    const signature = concat(padded(r!.contents), padded(s!.contents));
    expect(primitives.verifyEcdsa(publicKey, info!.whole, signature)).toBe(true);
    const { alternativeNames: own } = names;
    const other = der(TAG.sequence, fromHex('0603551d13'), der(TAG.octetString, der(TAG.sequence)));
    expect(namesIn(certificate(names.subject, own === undefined ? [other] : [other, own]))).toEqual(names);
  }
});

test('a certificate without extensions has no alternative names; one of the first version, or none at all, has none to repeat', async () => {
  const { subject } = namesOf('pump', undefined);
  expect(namesIn(certificate(subject, undefined))).toEqual({ subject, alternativeNames: undefined });
  const first = await identityCertificate(primitives, ADDRESS, publicKey, sign, primitives.random(19));
  expect(namesIn(first)).toBeUndefined();
  const whole = certificate(subject, []);
  for (let length = 0; length < whole.length; length++)
    expect(namesIn(whole.subarray(0, length))).toBeUndefined();
});
