import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ecdsaSigner, generateP256, primitives } from '../../../crypto/primitives.ts';
import { ascii, concat, fromHex, toHex } from '../../../protocol/bytes.ts';
import { deterministicSigner, publicKeyOf } from '../../../protocol/crypto/ecdsa.ts';
import { isFailure } from '../../../protocol/failure.ts';
import {
  identityCertificate,
  identityText,
  identityTextFile,
  parseIdentityCertificate,
} from '../../../protocol/identity/certificate.ts';
import { der, readChildren, TAG } from '../../../protocol/identity/der.ts';
import { formatIpv6, parseIpv6 } from '../../../protocol/ipv6.ts';
import { signWithNonce, suiteVectors } from '../xtt/vectors.ts';

const handshakes = suiteVectors.flatMap(({ handshakes }) => handshakes);

describe.each(handshakes)('recorded identity $name', (h) => {
  const recorded = fromHex(h.x509_certificate_der);
  const tbs = recorded.subarray(4, 273);

  it('is encoded byte for byte', async () => {
    const { longterm_private: secret, x509_signature_k_random: nonce } = h.client_inputs;
    const sign = async (message: Uint8Array): Promise<Uint8Array> => {
      expect(message).toEqual(tbs);
      return secret && nonce
        ? signWithNonce(fromHex(secret), fromHex(nonce), message)
        : recordedSignature(recorded);
    };
    const certificate = await identityCertificate(
      primitives,
      fromHex(h.assigned_id),
      fromHex(h.longterm_public),
      sign,
      fromHex(h.x509_serial_random),
    );
    expect(toHex(certificate)).toBe(h.x509_certificate_der);
  });

  it('is parsed to its address and key', () => {
    expect(parseIdentityCertificate(recorded)).toEqual({
      address: fromHex(h.assigned_id),
      publicKey: fromHex(h.longterm_public),
    });
  });

  it('has the recorded text file', () => {
    expect(toHex(identityTextFile(fromHex(h.assigned_id)))).toBe(h.assigned_id_text_file);
    expect(identityTextFile(fromHex(h.assigned_id))).toHaveLength(40);
  });
});

function recordedSignature(certificate: Uint8Array): Uint8Array {
  const bits = readChildren(certificate, TAG.sequence)![2]!;
  const [r, s] = readChildren(bits.contents.subarray(1), TAG.sequence)!;
  return concat(r!.contents.slice(-32), s!.contents.slice(-32));
}

const secret = new Uint8Array(32).fill(7);
const publicKey = publicKeyOf(secret);
const identity = parseIpv6('fd00:d0c5:1:203:405:607:809:abcd');

/** Where the reference and we would differ: serials and signature integers that start with zeros. */
describe('the defects of the reference encoder', () => {
  const zeros = (length: number, then: number): Uint8Array =>
    Uint8Array.from({ length: 19 }, (_, i) => (i < length ? 0 : i === length ? then : 0x55));

  it.each([
    ['one zero byte', zeros(1, 0x12)],
    [
      'a byte that becomes zero when its top bit is cleared',
      concat(Uint8Array.of(0x80, 0x12), new Uint8Array(17)),
    ],
    ['one zero byte before a high one', zeros(1, 0x80)],
    ['many zero bytes', zeros(18, 1)],
    ['only zero bytes', zeros(19, 0)],
  ])('are not reproduced for a serial with %s', async (_name, entropy) => {
    const certificate = await identityCertificate(
      primitives,
      identity,
      publicKey,
      ecdsaSigner(secret),
      entropy,
    );
    const serial = certificate.subarray(10, 30);
    expect(serial[0]).toBe(0x40);
    expect(serial.subarray(1)).toEqual(concat(entropy.subarray(1), Uint8Array.of(0)));
    expect(new X509Certificate(certificate).serialNumber).toBe(toHex(serial).toUpperCase());
  });

  it('are not reproduced for r or s with leading zeros: OpenSSL parses and verifies every certificate', async () => {
    const sign = deterministicSigner(secret);
    const lengths = new Set<number>();
    const wanted = { r: false, s: false };
    for (let i = 0; (!wanted.r || !wanted.s) && i < 4000; i++) {
      const entropy = Uint8Array.from({ length: 19 }, (_, j) =>
        j < 2 ? 1 + ((i >> (8 * j)) & 0x7e) : i & 0xff,
      );
      entropy[5] = i >> 8;
      let signature = new Uint8Array();
      const certificate = await identityCertificate(
        { verifyEcdsa: () => true },
        identity,
        publicKey,
        async (message) => (signature = new Uint8Array(sign(message))),
        entropy,
      );
      if (signature[0] !== 0 && signature[32] !== 0) continue;
      wanted.r ||= signature[0] === 0;
      wanted.s ||= signature[32] === 0;
      lengths.add(certificate.length);
      const x509 = new X509Certificate(certificate);
      expect(x509.verify(x509.publicKey)).toBe(true);
    }
    expect(wanted).toEqual({ r: true, s: true });
    expect(Math.min(...lengths)).toBeLessThanOrEqual(358);
  });
});

describe('identityCertificate', () => {
  it('makes a certificate that OpenSSL reads and verifies', async () => {
    const entropy = primitives.random(19);
    const certificate = await identityCertificate(
      primitives,
      identity,
      publicKey,
      ecdsaSigner(secret),
      entropy,
    );
    const x509 = new X509Certificate(certificate);
    expect(x509.subject).toBe('CN=FD00:D0C5:0001:0203:0405:0607:0809:ABCD');
    expect(x509.issuer).toBe(x509.subject);
    expect(x509.verify(x509.publicKey)).toBe(true);
    expect(certificate.length).toBeLessThanOrEqual(360);
  });

  it('refuses a signer that does not hold the key', async () => {
    const stranger = ecdsaSigner(generateP256().secret);
    const made = identityCertificate(primitives, identity, publicKey, stranger, primitives.random(19));
    await expect(made).rejects.toMatchObject({ code: 'identity.wrong-key', remedy: 'operator' });
  });

  it('throws a plain Error for mistakes of the caller', async () => {
    const sign = ecdsaSigner(secret);
    const short = identityCertificate(primitives, identity, publicKey, sign, new Uint8Array(18));
    await expect(short).rejects.toThrow(/19 bytes/);
    const offCurve = identityCertificate(primitives, identity, new Uint8Array(65), sign, new Uint8Array(19));
    await expect(offCurve).rejects.toThrow(/P-256/);
    expect(() => identityText(new Uint8Array(15))).toThrow(/16 bytes/);
  });
});

/** A certificate with any subject, v3 if it has extensions; unsigned, since nobody looks. */
function certificateWith(o: {
  subject?: Uint8Array;
  version?: boolean;
  key?: Uint8Array;
  algorithm?: string;
  unusedBits?: number;
  extensions?: boolean;
}): Uint8Array {
  const name = o.subject ?? subjectOf('fd00::1');
  const algorithm = fromHex('300a06082a8648ce3d040302');
  const keyAlgorithm = fromHex(o.algorithm ?? '301306072a8648ce3d020106082a8648ce3d030107');
  const tbs = der(
    TAG.sequence,
    ...(o.version ? [fromHex('a003020102')] : []),
    fromHex('020101'),
    algorithm,
    name,
    der(TAG.sequence, der(0x17, ascii('250101000000Z')), der(0x17, ascii('350101000000Z'))),
    name,
    der(TAG.sequence, keyAlgorithm, der(TAG.bitString, Uint8Array.of(o.unusedBits ?? 0), o.key ?? publicKey)),
    ...(o.extensions ? [der(0xa3, der(TAG.sequence))] : []),
  );
  return der(TAG.sequence, tbs, algorithm, der(TAG.bitString, Uint8Array.of(0)));
}

function attribute(oid: string, value: string, tag: number): Uint8Array {
  return der(TAG.set, der(TAG.sequence, fromHex(oid), der(tag, ascii(value))));
}

function subjectOf(cn: string, tag: number = TAG.utf8String): Uint8Array {
  return der(TAG.sequence, attribute('060355040a', 'Somebody', tag), attribute('0603550403', cn, tag));
}

describe('parseIdentityCertificate', () => {
  it.each([
    ['enftun-keygen: compressed, lower case', 'fd00:8f80::1', 'fd00:8f80::1'],
    ['old: 32 digits without colons', 'fd008f80000100000000000000001234', 'fd00:8f80:1::1234'],
    ['short', '::1', '::1'],
  ])('reads a CN that is %s', (_name, cn, address) => {
    for (const tag of [TAG.utf8String, 0x13]) {
      for (const version of [false, true]) {
        const certificate = certificateWith({ subject: subjectOf(cn, tag), version, extensions: version });
        const parsed = parseIdentityCertificate(certificate);
        expect(formatIpv6(parsed.address)).toBe(address);
        expect(parsed.publicKey).toEqual(publicKey);
      }
    }
  });

  it('takes the first CN of several', () => {
    const subject = der(
      TAG.sequence,
      attribute('0603550403', 'fd00::1', TAG.utf8String),
      attribute('0603550403', 'fd00::2', TAG.utf8String),
    );
    expect(formatIpv6(parseIdentityCertificate(certificateWith({ subject })).address)).toBe('fd00::1');
  });

  it.each([
    ['nothing', new Uint8Array()],
    ['text', ascii('-----BEGIN CERTIFICATE-----')],
    ['an empty sequence', fromHex('3000')],
    ['an indefinite length', fromHex('3080020101')],
    ['bytes behind it', concat(certificateWith({}), Uint8Array.of(0))],
    ['more than 4096 bytes', new Uint8Array(4097)],
    ['a subject without CN', certificateWith({ subject: der(TAG.sequence) })],
    ['a CN with a name', certificateWith({ subject: subjectOf('gateway.example') })],
    ['a CN with 31 digits', certificateWith({ subject: subjectOf('fd008f8000010000000000000000123') })],
    ['a CN with an IPv4 address', certificateWith({ subject: subjectOf('192.0.2.1') })],
    ['a CN with a NUL', certificateWith({ subject: subjectOf('fd00::1\0') })],
    ['a P-384 key', certificateWith({ algorithm: '301006072a8648ce3d020106052b81040022' })],
    ['a key with unused bits', certificateWith({ unusedBits: 1 })],
    ['a compressed key', certificateWith({ key: concat(Uint8Array.of(2), publicKey.slice(1, 33)) })],
    ['a key off the curve', certificateWith({ key: publicKey.with(64, publicKey[64]! ^ 1) })],
  ])('refuses %s', (_name, certificate) => {
    expect(() => parseIdentityCertificate(certificate)).toThrow(
      expect.objectContaining({ code: 'identity.bad-certificate', remedy: 'operator' }),
    );
  });

  it('refuses with a Failure, never crashes, and reads the same again from what it accepts', async () => {
    const good = await identityCertificate(
      primitives,
      identity,
      publicKey,
      ecdsaSigner(secret),
      new Uint8Array(19),
    );
    const mutated = fc
      .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
      .map((changes) => changes.reduce((bytes, [at, value]) => bytes.with(at, value), good));
    const truncated = fc.nat(good.length).map((length) => good.slice(0, length));
    const inputs = fc.oneof(mutated, truncated, fc.uint8Array({ maxLength: 500 }));
    fc.assert(
      fc.property(inputs, (input) => {
        try {
          const { address, publicKey: key } = parseIdentityCertificate(input);
          const subject = subjectOf(identityText(address));
          expect(parseIdentityCertificate(certificateWith({ subject, key }))).toEqual({
            address,
            publicKey: key,
          });
        } catch (error) {
          if (!isFailure(error, 'identity.bad-certificate')) throw error;
        }
      }),
      { numRuns: 1500 },
    );
  });
});
