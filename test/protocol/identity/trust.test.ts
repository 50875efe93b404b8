import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generateP256, primitives } from '../../../crypto/primitives.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { encodeTrust, parseTrust } from '../../../protocol/identity/trust.ts';
import { makeRootCertificate } from '../../../protocol/xtt/certificate.ts';

const xttRoot = makeRootCertificate(primitives.random(16), generateP256().publicKey);
const pem = '-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n';
const trust = { xttRoot, tlsRoot: pem };

describe('trust bundle', () => {
  it('is parsed to what was encoded, also with several TLS roots', () => {
    expect(parseTrust(encodeTrust(trust))).toEqual(trust);
    expect(parseTrust(encodeTrust({ xttRoot, tlsRoot: pem + pem })).tlsRoot).toBe(pem + pem);
  });

  it('has the documented members', () => {
    expect(JSON.parse(encodeTrust(trust))).toEqual({
      format: 'enf-trust-1',
      xttRoot: toHex(xttRoot),
      tlsRoot: pem,
    });
  });

  const bundle = (change: Record<string, unknown>): string =>
    JSON.stringify({ ...(JSON.parse(encodeTrust(trust)) as object), ...change });
  it.each([
    ['no JSON', 'hello'],
    ['null', 'null'],
    ['an overlong text', ' '.repeat(65_537)],
    ['another format', bundle({ format: 'enf-trust-2' })],
    ['no format', bundle({ format: undefined })],
    ['no XTT root', bundle({ xttRoot: undefined })],
    ['an XTT root that is no hex', bundle({ xttRoot: 'zz' })],
    ['a short XTT root', bundle({ xttRoot: toHex(xttRoot.slice(1)) })],
    ['an XTT root off the curve', bundle({ xttRoot: toHex(xttRoot.with(80, xttRoot[80]! ^ 1)) })],
    ['no TLS root', bundle({ tlsRoot: '' })],
    ['a TLS root that is no PEM', bundle({ tlsRoot: 'MAMCAQE=' })],
    ['text around the TLS root', bundle({ tlsRoot: `${pem}x` })],
    ['a TLS root that is no DER', bundle({ tlsRoot: pem.replace('MAMCAQE=', 'AAAA') })],
  ])('is refused: %s', (_name, text) => {
    expect(() => parseTrust(text)).toThrow(
      expect.objectContaining({ code: 'trust.bad-bundle', remedy: 'operator' }),
    );
  });

  it('never crashes the reader', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(() => parseTrust(text)).toThrow(
          expect.toSatisfy((error) => isFailure(error, 'trust.bad-bundle')),
        );
      }),
    );
  });
});

it('[H-C12] a byte order mark does no harm; a second one does', () => {
  const text = encodeTrust(trust);
  expect(parseTrust(`\ufeff${text}`)).toEqual(trust);
  expect(() => parseTrust(`\ufeff\ufeff${text}`)).toThrow('no JSON');
});
