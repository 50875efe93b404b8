import { execFileSync } from 'node:child_process';
import { createHash, createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commonName, identifier, sequence } from '../../../fabric/pki/certificate.ts';
import { LARGEST_REQUEST, readRequest } from '../../../fabric/pki/request.ts';
import { concat } from '../../../protocol/bytes.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { der, TAG } from '../../../protocol/identity/der.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';
import { nested, newKey, type RequestKey, requestOf, signed } from '../requests.ts';

const ADDRESS = parseIpv6('fd00:1::a:0:0:1');
const refused = (bytes: Uint8Array) =>
  expect(readRequest(bytes)).rejects.toSatisfy((error) => isFailure(error, 'pki.bad-request'));

describe('a request is read', () => {
  it.each(['P-256', 'P-384', 'ed25519'] as const)('with a key of %s', async (kind) => {
    const key = newKey(kind);
    const read = await readRequest(requestOf({ key, subject: 'pump', addresses: [ADDRESS] }));
    const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
    expect(read.spki).toEqual(new Uint8Array(createHash('sha256').update(spki).digest()));
    expect(read.commonName).toBe('pump');
    expect(read.alternativeNames).toMatchObject([{ tag: 0x87, contents: ADDRESS }]);
    expect(read.key.equals(createPublicKey(key))).toBe(true);
  });

  it.each(['sha384', 'sha512'] as const)('signed with %s', async (digest) => {
    expect((await readRequest(requestOf({ digest }))).alternativeNames).toBeUndefined();
  });

  it('whatever else it asks for', async () => {
    const attributes = der(
      TAG.context0,
      sequence(identifier('2a864886f70d010907'), der(TAG.set, der(TAG.utf8String, Uint8Array.of(65)))),
    );
    expect((await readRequest(requestOf({ attributes }))).commonName).toBe('pump');
  });

  describe('as openssl makes it', () => {
    let folder: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'enf-csr-'));
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    it.each(['EC -pkeyopt ec_paramgen_curve:P-256', 'EC -pkeyopt ec_paramgen_curve:P-384', 'ED25519'])(
      '(%s)',
      async (kind) => {
        const [algorithm, ...options] = kind.split(' ');
        const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
        openssl('genpkey', '-algorithm', algorithm!, ...options, '-out', 'key.pem');
        openssl(
          ...['req', '-new', '-key', 'key.pem', '-subj', '/CN=fd00:1::a:0:0:1', '-outform', 'DER'],
          ...['-addext', 'subjectAltName=IP:fd00:1::a:0:0:1', '-out', 'request.der'],
        );
        const read = await readRequest(new Uint8Array(readFileSync(join(folder, 'request.der'))));
        expect(read).toMatchObject({
          commonName: 'fd00:1::a:0:0:1',
          alternativeNames: [{ tag: 0x87, contents: ADDRESS }],
        });
      },
    );
  });
});

describe('[H-B1] a request is refused', () => {
  it('that another key has signed', async () => {
    await refused(requestOf({ signer: newKey() }));
    await refused(requestOf({ key: newKey('ed25519'), signer: newKey('ed25519') }));
    await refused(requestOf({ key: newKey('ed25519'), signer: newKey() }));
    await refused(requestOf({ signer: newKey('ed25519') }));
  });
  it.each(['rsa1024', 'rsa2048', 'P-192', 'P-521'] satisfies RequestKey[])(
    'with a key of %s',
    async (kind) => {
      await refused(requestOf({ key: newKey(kind) }));
    },
  );
  it('signed with SHA-1', () => refused(requestOf({ digest: 'sha1' })));
  it('with something behind it, or without its end', async () => {
    const good = requestOf();
    await refused(concat(good, Uint8Array.of(0)));
    await refused(good.subarray(0, -1));
    await refused(new Uint8Array(0));
  });
  it('of another version, or shape', async () => {
    const key = newKey();
    const spki = new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }));
    const parts = [commonName('pump'), spki, der(TAG.context0)];
    await readRequest(signed(sequence(Uint8Array.of(TAG.integer, 1, 0), ...parts), key));
    await refused(signed(sequence(Uint8Array.of(TAG.integer, 1, 1), ...parts), key));
    await refused(signed(sequence(Uint8Array.of(TAG.integer, 1, 0), ...parts, der(TAG.set)), key));
    await refused(signed(sequence(...parts), key));
    await refused(signed(sequence(Uint8Array.of(TAG.integer, 1, 0), commonName('pump'), spki, spki), key));
  });
  it('with a point that is not on the curve', async () => {
    const good = requestOf();
    const at = good.findIndex((_, i) => good[i] === 4 && good[i - 1] === 0 && good[i - 2] === 66);
    await refused(good.with(at + 40, good[at + 40]! ^ 1));
  });
  it('that is too large', async () => {
    const filler = (bytes: number): Uint8Array =>
      der(
        TAG.context0,
        sequence(identifier('2a864886f70d010907'), der(TAG.set, der(TAG.utf8String, new Uint8Array(bytes)))),
      );
    await readRequest(requestOf({ attributes: filler(LARGEST_REQUEST - 400) }));
    await refused(requestOf({ attributes: filler(LARGEST_REQUEST) }));
  });
  it('however deep it is nested', async () => {
    await refused(nested(3_000));
    const attributes = der(TAG.context0, nested(2_500));
    // What nobody asks for is not read.
    expect((await readRequest(requestOf({ attributes }))).alternativeNames).toBeUndefined();
  });
});

describe('[H-B1] whatever comes', () => {
  /** The same sequence each time. */
  function numbers(seed: number): (below: number) => number {
    let state = seed;
    return (below) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
  }

  it('a request in which bytes are changed, left out or added is refused, or has the same key', async () => {
    const next = numbers(7);
    const good = requestOf({ addresses: [ADDRESS] });
    const { spki } = await readRequest(good);
    let taken = 0;
    for (let i = 0; i < 3_000; i++) {
      const bytes = [...good];
      for (let n = next(3); n >= 0; n--) {
        const at = next(bytes.length);
        const kind = next(3);
        if (kind === 0) bytes[at] = next(256);
        else if (kind === 1) bytes.splice(at, 1 + next(4));
        else bytes.splice(at, 0, next(256));
      }
      try {
        expect((await readRequest(Uint8Array.from(bytes))).spki).toEqual(spki);
        taken++;
      } catch (error) {
        if (!isFailure(error, 'pki.bad-request')) throw error;
      }
    }
    // A byte that is changed to what it was.
    expect(taken).toBeLessThan(100);
  });

  it('random bytes with the head of a sequence are refused', async () => {
    const next = numbers(11);
    for (let i = 0; i < 2_000; i++) {
      const body = Uint8Array.from({ length: next(300) }, () => (next(3) === 0 ? 0x30 : next(256)));
      await refused(der(TAG.sequence, body));
    }
  });
});
