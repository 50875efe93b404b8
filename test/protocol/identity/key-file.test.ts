import { createPrivateKey, createPublicKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generateP256 } from '../../../crypto/primitives.ts';
import { ascii, concat, fromHex, toHex, u16 } from '../../../protocol/bytes.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { encodeBase64 } from '../../../protocol/identity/base64.ts';
import { encodeEcPrivateKey, encodeTss2, parseTss2 } from '../../../protocol/identity/key-file.ts';
import { parseEcPrivateKey } from '../../../protocol/identity/key-pair.ts';
import { suiteVectors } from '../xtt/vectors.ts';

const handshakes = suiteVectors.flatMap(({ handshakes }) => handshakes);
const software = handshakes.filter(({ tpm }) => !tpm);
const inTpm = handshakes.filter(({ tpm }) => tpm);

describe('software key files', () => {
  it.each(software)('are the recorded ones: $name', (h) => {
    const [secret, publicKey] = [fromHex(h.client_inputs.longterm_private!), fromHex(h.longterm_public)];
    expect(toHex(encodeEcPrivateKey(secret, publicKey))).toBe(h.longterm_private_key_file);
    expect(parseEcPrivateKey(fromHex(h.longterm_private_key_file))).toEqual({ secret, publicKey });
  });

  it('are read by OpenSSL', () => {
    const { secret, publicKey } = generateP256();
    const key = Buffer.from(encodeEcPrivateKey(secret, publicKey));
    const spki = createPublicKey(createPrivateKey({ key, format: 'der', type: 'sec1' }));
    expect(new Uint8Array(spki.export({ format: 'der', type: 'spki' }).subarray(-65))).toEqual(publicKey);
  });

  const { secret, publicKey } = generateP256();
  const good = encodeEcPrivateKey(secret, publicKey);
  it.each([
    ['a short file', good.slice(0, 120)],
    ['a long file', concat(good, Uint8Array.of(0))],
    ['another head', good.with(0, 0x31)],
    ['another curve', good.with(50, 0x06)],
    ['a foreign public key', encodeEcPrivateKey(secret, generateP256().publicKey)],
    ['a zero scalar', encodeEcPrivateKey(new Uint8Array(32), publicKey)],
    ['a scalar above the order', encodeEcPrivateKey(new Uint8Array(32).fill(0xff), publicKey)],
  ])('are refused with %s', (_name, file) => {
    expect(() => parseEcPrivateKey(file)).toThrow(
      expect.objectContaining({ code: 'identity.bad-key-file', remedy: 'operator' }),
    );
  });

  it('are refused in any other bit, and accepted ones encode to themselves', () => {
    fc.assert(
      fc.property(fc.nat(good.length * 8 - 1), (bit) => {
        const file = good.with(bit >> 3, good[bit >> 3]! ^ (1 << (bit & 7)));
        expect(() => parseEcPrivateKey(file)).toThrow(
          expect.objectContaining({ code: 'identity.bad-key-file' }),
        );
      }),
    );
    const parsed = parseEcPrivateKey(good);
    expect(encodeEcPrivateKey(parsed.secret, parsed.publicKey)).toEqual(good);
  });
});

const tpm2b = (length: number, fill = 0xa5): Uint8Array =>
  concat(u16(length), new Uint8Array(length).fill(fill));

describe('TPM key files', () => {
  it.each(inTpm)('are the recorded ones: $name', (h) => {
    const text = String.fromCharCode(...fromHex(h.longterm_private_key_file));
    const key = parseTss2(text);
    expect(key.parent).toBe(0x81000001);
    expect([key.publicBlob.length, key.privateBlob.length]).toEqual([88, 128]);
    // The TPM's public area ends with the point: two sized coordinates.
    const [x, y] = [key.publicBlob.slice(-66, -34), key.publicBlob.slice(-32)];
    expect(toHex(concat(Uint8Array.of(4), x, y))).toBe(h.longterm_public);
    expect(encodeTss2(key.parent, key.publicBlob, key.privateBlob)).toBe(text);
  });

  it('break lines as the reference: 64 characters, a last padded quantum stays on its line', () => {
    const shapes = new Set<string>();
    for (let length = 0; length < 60; length++) {
      const text = encodeTss2(0x81000001, tpm2b(20), tpm2b(length));
      const lines = text.split('\n');
      expect([lines[0], ...lines.slice(-2)]).toEqual([
        '-----BEGIN TSS2 PRIVATE KEY-----',
        '-----END TSS2 PRIVATE KEY-----',
        '',
      ]);
      const body = lines.slice(1, -2);
      const last = body.at(-1)!;
      for (const line of body.slice(0, -1)) expect(line).toHaveLength(64);
      expect(last.length).toBeLessThanOrEqual(last.endsWith('=') ? 68 : 64);
      shapes.add(`${last.length}${last.endsWith('=') ? 'padded' : ''}`);
      expect(parseTss2(text)).toEqual({
        parent: 0x81000001,
        publicBlob: tpm2b(20),
        privateBlob: tpm2b(length),
      });
    }
    expect([...shapes]).toEqual(expect.arrayContaining(['64', '68padded', '4']));
    expect([...shapes]).not.toContain('4padded');
  });

  it('keep any parent and any blobs', () => {
    const blob = fc.uint8Array({ maxLength: 400 }).map((bytes) => concat(u16(bytes.length), bytes));
    const parent = fc.oneof(
      fc.constantFrom(0, 1, 0x7f, 0x80, 0x40000001, 0x81000001, 0xffffffff),
      fc.nat(0xffffffff),
    );
    fc.assert(
      fc.property(parent, blob, blob, (parent, publicBlob, privateBlob) => {
        expect(parseTss2(encodeTss2(parent, publicBlob, privateBlob))).toEqual({
          parent,
          publicBlob,
          privateBlob,
        });
      }),
    );
  });

  it('may have a BOOLEAN of FF, CRLF and other line lengths', () => {
    const key = { parent: 0x40000001, publicBlob: tpm2b(30), privateBlob: tpm2b(40) };
    const text = encodeTss2(key.parent, key.publicBlob, key.privateBlob);
    const der = Buffer.from(text.split('\n').slice(1, -2).join(''), 'base64');
    der[der.indexOf(fromHex('a003010101')) + 4] = 0xff;
    const body = der.toString('base64').match(/.{1,20}/g)!;
    const lines = ['-----BEGIN TSS2 PRIVATE KEY-----', ...body, '-----END TSS2 PRIVATE KEY-----'];
    expect(parseTss2(lines.join('\r\n'))).toEqual(key);
  });

  const pem = (der: Uint8Array): string =>
    `-----BEGIN TSS2 PRIVATE KEY-----\n${encodeBase64(der)}\n-----END TSS2 PRIVATE KEY-----\n`;
  const body = (fields: string): string =>
    pem(fromHex(`30${(fields.length / 2).toString(16).padStart(2, '0')}${fields}`));
  const oid = '06066781050a0103';
  const auth = 'a003010101';
  const parent = '02050081000001';
  const blob = '0404' + '0002aabb';
  it.each([
    ['no PEM', 'hello'],
    ['another PEM', '-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----'],
    ['bad base64', '-----BEGIN TSS2 PRIVATE KEY-----\nA*==\n-----END TSS2 PRIVATE KEY-----'],
    ['an overlong text', 'A'.repeat(16_385)],
    ['no DER', pem(ascii('hello'))],
    ['another kind of key', body(`06066781050a0104${auth}${parent}${blob}${blob}`)],
    ['no empty authorisation', body(`${oid}a003010100${parent}${blob}${blob}`)],
    ['a negative parent', body(`${oid}${auth}020481000001${blob}${blob}`)],
    ['a padded parent', body(`${oid}${auth}0202000a${blob}${blob}`)],
    ['a huge parent', body(`${oid}${auth}0206010081000001${blob}${blob}`)],
    ['an empty parent', body(`${oid}${auth}0200${blob}${blob}`)],
    ['a blob whose size lies', body(`${oid}${auth}${parent}04040003aabb${blob}`)],
    ['an empty blob', body(`${oid}${auth}${parent}${blob}0400`)],
    ['a policy', body(`${oid}${auth}${parent}${blob}${blob}0500`)],
  ])('are refused with %s', (_name, text) => {
    expect(() => parseTss2(text)).toThrow(
      expect.objectContaining({ code: 'identity.bad-tss2-file', remedy: 'operator' }),
    );
    expect(() => parseTss2(body(`${oid}${auth}${parent}${blob}${blob}`))).not.toThrow();
  });

  it('never crash the reader', () => {
    const good = encodeTss2(0x81000001, tpm2b(20), tpm2b(30));
    const mutated = fc
      .tuple(fc.nat(good.length - 1), fc.string({ maxLength: 3 }))
      .map(([at, text]) => good.slice(0, at) + text + good.slice(at + text.length));
    fc.assert(
      fc.property(fc.oneof(fc.string(), mutated), (text) => {
        try {
          const key = parseTss2(text);
          expect(parseTss2(encodeTss2(key.parent, key.publicBlob, key.privateBlob))).toEqual(key);
        } catch (error) {
          if (!isFailure(error, 'identity.bad-tss2-file')) throw error;
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('throw a plain Error for a blob of a wrong size', () => {
    expect(() => encodeTss2(1, new Uint8Array(5), tpm2b(3))).toThrow(/TPM2B/);
  });
});
