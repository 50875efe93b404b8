import { describe, expect, test } from 'vitest';
import { REDACTED, redact } from '../../../agent/config/redact.ts';

describe('what is taken out of a text', () => {
  for (const [name, text, expected] of [
    [
      'a PEM block',
      'x -----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY----- y',
      `x ${REDACTED} y`,
    ],
    ['a PEM block without an end', 'x -----BEGIN PRIVATE KEY-----\nMHcC\nabc', `x ${REDACTED}`],
    ['32 hex digits', `key ${'0f'.repeat(16)} end`, `key ${REDACTED} end`],
    ['base64', `k: ${'QmFzZTY0Kys'.repeat(5)}==`, `k: ${REDACTED}`],
    ['the password of a URL', 'via http://bob:hunter2@proxy:3128/', `via http://${REDACTED}@proxy:3128/`],
    ['what is called a password', 'PASSWORD=hunter2 user=bob', `PASSWORD=${REDACTED} user=bob`],
    ['the PIN of a token', 'pkcs11:object=b?pin-value=1234', `pkcs11:object=b?pin-value=${REDACTED}`],
    ['a token in JSON', '{"token": "hunter2", "a": 1}', `{"token": ${REDACTED}, "a": 1}`],
  ] as const) {
    test(name, () => expect(redact(text)).toBe(expected));
  }
});

test('what helps stays', () => {
  for (const text of [
    'identity fd00:1234:5678:9abc:def0:1234:5678:9abc: connecting',
    '2030-01-01T12:00:00.000Z warning tpm.foreign-key: the longterm key does not load',
    '/var/lib/enf-agent/state-0.bad-1 device:/dev/tpmrm0 enf-agent-with-a-very-long-unit-name-that-has-no-digits.service',
    'link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff',
    '{"handle":2172649472,"size":260,"attributes":1107558400}',
  ]) {
    expect(redact(text)).toBe(text);
  }
});

const HOSTILE: Record<string, string> = {
  'words with dashes': 'a-',
  'schemes without an end': 'a://',
  'schemes of schemes': 'a+a://b',
  'passwords and blanks': 'password ',
  'passwords and quotes': 'password="',
  'both quotes': `token='secret="`,
  'hex without an end': '0f',
  'base64 without a digit': 'aZ/',
  'beginnings of PEM': '-----BEGIN ',
  'PEM blocks that end nowhere': '-----BEGIN X-----',
  'ends of PEM': '-----END ',
  'blanks behind a password': ' '.repeat(1_000),
};
for (const [name, unit] of Object.entries(HOSTILE)) {
  test(`[H-B5] a megabyte of ${name} is redacted`, () => {
    for (const prefix of ['', 'password', '-----BEGIN X-----\n', 'http://'])
      expect(redact(prefix + unit.repeat(1_000_000 / unit.length)).length).toBeGreaterThan(0);
  });
}

test('[H-B5] logins in URLs go, whatever stands around them', () => {
  expect(redact('a-a-svn+ssh://u:p@h, x=ftp://v@i')).toBe(
    `a-a-svn+ssh://${REDACTED}@h, x=ftp://${REDACTED}@i`,
  );
  expect(redact('http://h/a@b')).toBe('http://h/a@b');
});
