import { describe, expect, test } from 'vitest';
import { parseConfig, renderConfig } from '../../../agent/config/config.ts';
import { isPkcs11, readPkcs11 } from '../../../agent/config/pkcs11-uri.ts';
import { isFailure } from '../../../protocol/failure.ts';

/** Examples of RFC 7512 §3, those that name a token and a key in it, with the type changed where it is another. */
const TAKEN: Readonly<Record<string, string>> = {
  'pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;object=my-certificate;type=private;id=%69%95%3E%5C%F4%BD%EC%91;serial=?pin-source=file:/etc/token_pin':
    '/etc/token_pin',
  'pkcs11:object=my-sign-key;type=private;token=A?pin-source=file:///etc/token_pin': '/etc/token_pin',
  'pkcs11:slot-description=Sun%20Metaslot;token=my-token;object=a&b': '',
  'pkcs11:library-manufacturer=Snake%20Oil,%20Inc.;library-description=Soft%20Token%20Library;library-version=1.23;slot-id=327;serial=7;id=%01?module-path=/usr/lib/libmypkcs11.so.1':
    '',
  'pkcs11:token=Software%20PKCS%2311%20softtoken;object=x?pin-source=/run/credentials/a%20b':
    '/run/credentials/a b',
};

describe('a URI is read', () => {
  for (const [uri, pinFile] of Object.entries(TAKEN)) {
    test(uri, () => {
      expect(isPkcs11(uri)).toBe(true);
      const read = readPkcs11(uri);
      expect(read).toMatchObject({ pinFile });
      const { key } = read as { key: string };
      expect(key.endsWith(';type=private')).toBe(true);
      expect(key.match(/type=/g)).toHaveLength(1);
      expect(key).not.toContain('?');
    });
  }
});

test('the module is that of module-path', () => {
  expect(readPkcs11('pkcs11:token=a;object=b?module-path=/usr/lib/libmypkcs11.so.1')).toEqual({
    key: 'pkcs11:token=a;object=b;type=private',
    token: 'pkcs11:token=a',
    shown: 'token=a;object=b',
    pinFile: '',
    modulePath: '/usr/lib/libmypkcs11.so.1',
  });
});

test('what names no key in one token is refused, and says why', () => {
  for (const [uri, why] of [
    ['pkcs11:', 'names the token'],
    ['pkcs11:object=b', 'names the token'],
    ['pkcs11:token=;object=b', 'names the token'],
    ['pkcs11:token=a', 'names the key'],
    ['pkcs11:token=a;object=b;type=cert', 'private key'],
    ['pkcs11:token=a;object=b?module-name=mypkcs11', 'module-path'],
    ['pkcs11:token=a;object=b?module-path=relative.so', 'module-path'],
    ['pkcs11:token=a;object=b?module-path=/x%0Aactivate', 'module-path'],
    ['pkcs11:token=a;object=b?module-path=/$ENV::HOME', 'module-path'],
    ['pkcs11:token=a;object=b?pin-source=|/bin/prog', 'pin-source'],
    ['pkcs11:token=a;object=b?pin-source=', 'pin-source'],
    ['pkcs11:token=a;object=b?pin-source=/%ff', 'pin-source'],
    ['pkcs11:token=a;token=c;object=b', 'each attribute once'],
    ['pkcs11:token=a;object=b;x-vendor=1', 'RFC 7512'],
    ['pkcs11:token=a;object=b;', 'RFC 7512'],
    ['pkcs11:token=a;object', 'RFC 7512'],
    ['pkcs11:token=a b;object=b', 'RFC 7512'],
    ['pkcs11:token=a%2;object=b', 'RFC 7512'],
    ['pkcs11:token=a;object=b\n', 'RFC 7512'],
    ['pkcs11:token=a;object=ä', 'RFC 7512'],
    ['pkcs11:token=a/b;object=b', 'RFC 7512'],
    [`pkcs11:token=a;object=${'b'.repeat(1_024)}`, '1024 characters'],
  ] as const)
    expect(readPkcs11(uri), uri).toEqual({ expected: expect.stringContaining(why) });
});

const config = (key: string) =>
  parseConfig(
    `[remote]\nhosts = ["f.example"]\n[identity]\nmode = "pki"\ncertificate = "/etc/enf/machine.pem"\nkey = "${key}"`,
    'agent.toml',
  );

test('a PIN in the configuration is refused, and not repeated', () => {
  for (const key of [
    'pkcs11:token=a;object=b?pin-value=the-pin',
    'pkcs11:token=a;object=b?pin-source=file:/x&pin-value=the-pin',
    'pkcs11:token=a?pin-value=the-pin',
    'pkcs11:object=b;pin-value=the-pin',
    'Pkcs11:token=a;object=b?pin-value=the-pin',
  ]) {
    let failure: unknown;
    try {
      config(key);
    } catch (error) {
      failure = error;
    }
    if (!isFailure(failure, 'config.bad-value')) throw new Error(`${key} was taken`);
    expect(`${failure.message} ${failure.publicMessage} ${failure.action}`).not.toContain('the-pin');
  }
  expect(() => config('pkcs11:token=a;object=b?pin-value=1')).toThrow(
    /without pin-value: .*pin-source=file:/,
  );
});

test('check-config prints the URI as it was written', () => {
  const uri = 'pkcs11:token=a%20b;object=c?pin-source=file:/etc/enf/pin';
  expect(renderConfig(config(uri))).toContain(`key = "${uri}"`);
});
