import { beforeAll, describe, expect, test } from 'vitest';
import { ecdsaSigner, generateP256, primitives } from '../../../crypto/primitives.ts';
import { makeRoot } from '../../../fabric/pki/found.ts';
import { xttSigner } from '../../../fabric/pki/keys.ts';
import { concat, u32 } from '../../../protocol/bytes.ts';
import {
  encodeRootSet,
  MOST_TLS_ROOT,
  MOST_UPDATE,
  type RootPair,
  signRootSet,
  verifyRootUpdate,
} from '../../../protocol/identity/root-update.ts';
import { parseRoots } from '../../../protocol/identity/roots.ts';
import { MAX_PACKET } from '../../../protocol/tunnel/wire.ts';

type Signer = ReturnType<typeof xttSigner>;
let first: RootPair & { sign: Signer };
let second: RootPair & { sign: Signer };
const bad = expect.objectContaining({ code: 'roots.bad-update' });

async function made(number: number): Promise<RootPair & { sign: Signer }> {
  const { files, xttRoot, tlsRoot } = await makeRoot(number);
  const key = files.find(({ name }) => name === 'xtt-root.key')!.content as Uint8Array;
  const { certificates } = parseRoots(new TextEncoder().encode(tlsRoot), 'test');
  return { xttRoot, tlsRoot: certificates[0]!, sign: xttSigner(key) };
}

const pair = ({ xttRoot, tlsRoot }: RootPair): RootPair => ({ xttRoot, tlsRoot });
const update = (version: number, roots: readonly RootPair[], by: Signer): Promise<Uint8Array> =>
  signRootSet(encodeRootSet({ version, roots: roots.map(pair) }), by);
const verify = (bytes: Uint8Array, version = 1, roots: readonly RootPair[] = [first]) =>
  verifyRootUpdate(primitives, bytes, { version, xttRoots: roots.map(({ xttRoot }) => xttRoot) });

beforeAll(async () => {
  [first, second] = [await made(1), await made(2)];
});

describe('an update of the roots', () => {
  test('of one root or two is read as it was written, and fits one frame', async () => {
    for (const roots of [[second], [first, second]]) {
      const bytes = await update(2, roots, first.sign);
      expect(verify(bytes)).toEqual({ version: 2, roots: roots.map(pair) });
      expect(bytes.length).toBeLessThanOrEqual(MOST_UPDATE);
    }
    // Two bytes in front of it say what it is (docs/wire.md).
    expect(MOST_UPDATE + 2).toBeLessThanOrEqual(MAX_PACKET);
  });

  test('counts if the newest root that is trusted has signed it, and no other', async () => {
    const bytes = await update(3, [second], second.sign);
    expect(verify(bytes, 2, [first, second]).version).toBe(3);
    expect(() => verify(bytes, 2, [first])).toThrow(bad);
    const byOlder = await update(3, [first], first.sign);
    expect(() => verify(byOlder, 2, [first, second])).toThrow(bad);
    expect(() => verify(bytes, 2, [])).toThrow(bad);
    const stranger = ecdsaSigner(generateP256().secret);
    const foreign = await update(2, [second], stranger);
    expect(() => verify(foreign)).toThrow(bad);
  });

  test('that is old, or a repetition, is refused', async () => {
    const bytes = await update(2, [first, second], first.sign);
    expect(() => verify(bytes, 2)).toThrow(bad);
    expect(() => verify(bytes, 7)).toThrow(bad);
  });

  test('with any byte changed, or cut or lengthened anywhere, is refused', async () => {
    const bytes = await update(2, [first, second], first.sign);
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at]! ^= 1;
      expect(() => verify(changed), `byte ${at}`).toThrow(bad);
    }
    for (let length = 0; length < bytes.length; length += 7)
      expect(() => verify(bytes.slice(0, length)), `${length} bytes`).toThrow(bad);
    expect(() => verify(concat(bytes, Uint8Array.of(0)))).toThrow(bad);
    expect(() => verify(concat(bytes, new Uint8Array(70_000)))).toThrow(bad);
  });

  test('with a signature, but no roots inside, is refused', async () => {
    const sign = first.sign;
    const head = concat(u32(2), Uint8Array.of(1));
    const length = Uint8Array.of(0, 4);
    for (const set of [
      concat(u32(2), Uint8Array.of(0)),
      concat(u32(2), Uint8Array.of(3)),
      concat(head, new Uint8Array(81), length, new Uint8Array(4)),
      concat(head, second.xttRoot, length, new Uint8Array(4)),
      concat(head, second.xttRoot, Uint8Array.of(0xff, 0xff), second.tlsRoot),
    ]) {
      const bytes = await signRootSet(set, sign);
      expect(() => verify(bytes)).toThrow(bad);
    }
  });

  test('has no place for more than two roots, or for one that is too long', () => {
    expect(() => encodeRootSet({ version: 2, roots: [] })).toThrow();
    expect(() => encodeRootSet({ version: 2, roots: [first, second, first] })).toThrow();
    const long = { xttRoot: first.xttRoot, tlsRoot: new Uint8Array(MOST_TLS_ROOT + 1) };
    expect(() => encodeRootSet({ version: 2, roots: [long] })).toThrow();
  });
});
