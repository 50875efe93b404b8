import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { addon } from '../../native/index.ts';
import type { NetFace } from '../../native/net.ts';
import { newLink } from './link.ts';

type Native = (...values: unknown[]) => unknown;
const native = addon() as unknown as Record<string, Native>;

const tun = addon().tunOpen(newLink().name);
const socket = addon().socketOpen(4, 0, 0);
afterAll(() => {
  addon().tunClose(tun);
  addon().socketClose(socket);
});

/** Wrong for every argument of every function. */
const NEVER_RIGHT = [
  undefined,
  null,
  true,
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 32,
  2 ** 53,
  10n,
  Symbol('s'),
  '',
  'a\0b',
  'x'.repeat(200_000),
  '\ud800'.repeat(2000),
  {},
  [],
  new Date(),
  Object.create(tun),
  new Proxy(tun, {}),
  new Float64Array(2),
  new Uint16Array(2),
  new Uint8ClampedArray(2),
  new DataView(new ArrayBuffer(4)),
  new ArrayBuffer(4),
  new SharedArrayBuffer(4),
];

/** Besides: wrong where a handle, a function, a number, a text or bytes are expected. */
const WRONG = {
  tun: [socket, 4, 'tun', () => {}, new Uint8Array(8)],
  socket: [tun, 4, 'socket', () => {}, new Uint8Array(8)],
  callback: [tun, 4, 'call', new Uint8Array(8)],
  bytes: [tun, 4, 'bytes', () => {}, new Uint8Array(1), cutOff(), shared(Uint8Array.of(0, 9))],
  question: [tun, 4, 'bytes', () => {}, new Uint8Array(0)],
  family: [0, 5, 10, '4', new Uint8Array(1)],
  mark: [tun, '7', () => {}],
  segment: [tun, '7', 32_768, () => {}],
  port: [0, 65_536, '443', () => {}],
  address: [4, 'localhost', '::1', '127.0.0.1:80', '300.1.1.1', '1'.repeat(79), () => {}],
  name: [4, 'sixteen-bytes-xx', '\u20ac'.repeat(6), () => {}],
  path: [4, 'relative', `/${'x'.repeat(107)}`, `@${'x'.repeat(108)}`],
  state: [4, 'x'.repeat(4096), () => {}],
} as const;

type Kind = keyof typeof WRONG;

/** Each function with arguments that are right in kind, and what each is. None of these is ever called as it stands. */
const FUNCTIONS: Record<
  Exclude<keyof NetFace, `door${string}` | `listener${string}`>,
  readonly (readonly [Kind, unknown])[]
> = {
  tunOpen: [['name', 'enf-never']],
  tunName: [['tun', tun]],
  tunStart: [
    ['tun', tun],
    ['callback', () => {}],
  ],
  tunResume: [['tun', tun]],
  tunWrite: [
    ['tun', tun],
    ['bytes', new Uint8Array(0)],
  ],
  tunClose: [['tun', tun]],
  socketOpen: [
    ['family', 6],
    ['mark', 0],
    ['segment', 0],
  ],
  socketConnect: [
    ['socket', socket],
    ['address', '127.0.0.1'],
    ['port', 1],
    ['callback', () => {}],
  ],
  socketAsk: [
    ['socket', socket],
    ['question', new Uint8Array(1)],
    ['callback', () => {}],
  ],
  socketTake: [['socket', socket]],
  socketClose: [['socket', socket]],
  notifySend: [
    ['path', '@enf-never'],
    ['state', 'READY=1'],
  ],
};

function cutOff(): Uint8Array {
  const frames = new Uint8Array(70_000);
  frames.set([0xff, 0xff], 0);
  frames.set([0xff, 0xff], 65_537);
  return frames;
}

function shared(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

describe.each(Object.entries(FUNCTIONS))('%s', (name, parameters) => {
  const good = parameters.map(([, value]) => value);

  test('refuses every wrong argument with a TypeError', () => {
    for (const [i, [kind]] of parameters.entries()) {
      for (const wrong of [...NEVER_RIGHT, ...WRONG[kind]]) {
        const values = good.with(i, wrong);
        expect(() => native[name]!(...values), `argument ${i}: ${typeof wrong}`).toThrow(TypeError);
      }
    }
  });

  test('refuses too few arguments', () => {
    for (let count = 0; count < good.length; count++)
      expect(() => native[name]!(...good.slice(0, count))).toThrow(TypeError);
  });

  test('survives any mixture', () => {
    const odd = fc.constantFrom(...NEVER_RIGHT, ...Object.values(WRONG).flat());
    fc.assert(
      fc.property(fc.array(odd, { maxLength: 6 }), (values) => {
        // Mixtures that are right are left out where they would close the shared handles or create a device.
        fc.pre(!/Close$/.test(name) || (values[0] !== tun && values[0] !== socket));
        fc.pre(name !== 'tunOpen' || typeof values[0] !== 'string' || Buffer.byteLength(values[0]) > 15);
        try {
          native[name]!(...values);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 300 },
    );
  });
});

test('every function of the network face is covered', () => {
  const offered = Object.keys(native).filter((name) => /^(tun|socket|notify)/.test(name));
  expect(offered.sort()).toEqual(Object.keys(FUNCTIONS).sort());
});

test('bytes that are gone are no bytes', () => {
  const frames = Uint8Array.of(0, 1, 0x60);
  structuredClone(frames.buffer, { transfer: [frames.buffer] });
  expect(addon().tunWrite(tun, frames)).toEqual({ packets: 0, dropped: 0 });

  const Resizable = ArrayBuffer as unknown as new (
    length: number,
    o: { maxByteLength: number },
  ) => ArrayBuffer;
  const buffer = new Resizable(64, { maxByteLength: 64 });
  const window = new Uint8Array(buffer, 32, 32);
  (buffer as ArrayBuffer & { resize(length: number): void }).resize(16);
  expect(addon().tunWrite(tun, window)).toEqual({ packets: 0, dropped: 0 });
});

test('many megabytes of empty frames are only skipped', () => {
  expect(addon().tunWrite(tun, new Uint8Array(64 << 20))).toEqual({ packets: 0, dropped: 0 });
});

test('a receiver of another kind changes nothing', () => {
  expect(native.tunName!.call(null, tun)).toBe(addon().tunName(tun));
  expect(native.tunName!.call(socket, tun)).toBe(addon().tunName(tun));
});
