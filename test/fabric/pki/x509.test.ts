import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { rootCertificate, routerCertificate, type Subject } from '../../../fabric/pki/x509.ts';
import { scratch } from '../place.ts';

const subject = (name: string): Subject => ({
  name,
  key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
});

describe('the TLS certificates', () => {
  test('form a chain that OpenSSL accepts from 1970 to 9999, under its own root only', () => {
    const folder = scratch();
    const path = (name: string): string => join(folder, name);
    const [root, other, router] = [subject('ENF TLS root'), subject('ENF TLS root'), subject('ENF router')];
    writeFileSync(path('root.pem'), rootCertificate(root));
    writeFileSync(path('other.pem'), rootCertificate(other));
    writeFileSync(path('router.pem'), routerCertificate(router, root));
    const verify = (ca: string, at: string): string =>
      execFileSync(
        'openssl',
        [
          'verify',
          '-x509_strict',
          '-purpose',
          'sslserver',
          '-attime',
          at,
          '-CAfile',
          path(ca),
          path('router.pem'),
        ],
        { encoding: 'utf8', stdio: 'pipe' },
      );
    for (const at of ['10', '1700000000', '253402300700']) expect(verify('root.pem', at)).toContain('OK');
    expect(() => verify('other.pem', '1700000000')).toThrow();
  });

  test('say what they are for', () => {
    const [root, router] = [subject('ENF TLS root'), subject('ENF router')];
    const ca = new X509Certificate(rootCertificate(root));
    const leaf = new X509Certificate(routerCertificate(router, root));
    expect([ca.ca, leaf.ca]).toEqual([true, false]);
    expect(ca.subject).toBe('CN=ENF TLS root');
    expect(leaf.issuer).toBe('CN=ENF TLS root');
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(leaf.checkIssued(ca)).toBe(true);
    expect(leaf.verify(ca.publicKey)).toBe(true);
    expect(leaf.verify(leaf.publicKey)).toBe(false);
  });

  test('a root fits into one read of TPM memory, whatever its signature and serial number', () => {
    for (let i = 0; i < 50; i++) {
      const pem = rootCertificate(subject('ENF TLS root'));
      expect(pem.length).toBeLessThanOrEqual(768);
      expect(new X509Certificate(pem).ca).toBe(true);
    }
  });
});
