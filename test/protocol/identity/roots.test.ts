import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { rootCertificate, routerCertificate, type Subject } from '../../../fabric/pki/x509.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { isFabricRoot, parseRoots } from '../../../protocol/identity/roots.ts';

const folder = mkdtempSync(join(tmpdir(), 'enf-roots-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A self-signed root of somebody else. */
function enterprise(name: string): string {
  const out = join(folder, 'root.pem');
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null'];
  execFileSync('openssl', ['req', '-x509', ...ec, '-out', out, '-subj', `/CN=${name}`, '-days', '30'], {
    stdio: 'ignore',
  });
  return readFileSync(out, 'utf8');
}
const subject = (name: string): Subject => ({
  name,
  key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
});
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const der = (pem: string): Uint8Array => new Uint8Array(new X509Certificate(pem).raw);

const one = enterprise('one');
const two = enterprise('two');

describe('[H-D3] a file of TLS roots', () => {
  test('may be PEM, with text around it, of several roots, or DER', () => {
    expect(parseRoots(text(one), 'x')).toEqual({ pem: one, certificates: [der(one)] });
    expect(parseRoots(text(`# our roots\r\n${one.replaceAll('\n', '\r\n')}text\n${two}`), 'x').pem).toBe(
      one + two,
    );
    expect(parseRoots(text(`\ufeff${one}`), 'x').pem).toBe(one);
    expect(parseRoots(der(one), 'x')).toEqual({ pem: one, certificates: [der(one)] });
  });

  test('everything else is named, with its place', () => {
    const half = one.slice(0, one.length / 2);
    for (const bad of [
      new Uint8Array(),
      new Uint8Array(100),
      text('no root'),
      text(half),
      text(one + half),
      text(one.replace('MII', 'AAA')),
      text(`${one}-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n`),
      text(one.replaceAll('CERTIFICATE', 'PRIVATE KEY')),
      der(one).subarray(1),
      der(one).subarray(0, -1),
      Uint8Array.of(...der(one), 0),
    ]) {
      expect(() => parseRoots(bad, '/etc/root')).toThrowError(
        expect.objectContaining({
          code: 'tls.bad-root',
          remedy: 'operator',
          message: expect.stringContaining('/etc/root'),
        }),
      );
    }
  });

  test('whatever it holds, it is read or named', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, wrapped) => {
        const tail = wrapped ? Uint8Array.of(...text('-----BEGIN CERTIFICATE-----\n'), ...bytes) : bytes;
        try {
          expect(parseRoots(tail, 'x').certificates.length).toBeGreaterThan(0);
        } catch (error) {
          if (!isFailure(error, 'tls.bad-root')) throw error;
        }
      }),
    );
  });
});

describe('[H-B6] a root of a fabric', () => {
  const root = subject('ENF TLS root');

  test('is known by its form', () => {
    expect(isFabricRoot(der(rootCertificate(root)))).toBe(true);
  });

  test('no other certificate is one, even of that name', () => {
    expect(isFabricRoot(der(enterprise('ENF TLS root')))).toBe(false);
    expect(isFabricRoot(der(one))).toBe(false);
    expect(isFabricRoot(der(rootCertificate(subject('ENF TLS roof'))))).toBe(false);
    expect(isFabricRoot(der(routerCertificate(subject('ENF TLS root x'), root)))).toBe(false);
    expect(isFabricRoot(new Uint8Array())).toBe(false);
  });
});
