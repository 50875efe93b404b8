import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { addon } from '../../../native/index.ts';
import type { NetFace } from '../../../native/net/net.ts';

type Native = (...values: unknown[]) => unknown;
const native = addon() as unknown as Record<string, Native>;

const socket = addon().socketOpen(4, 0, 0);
afterAll(() => {
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
  Object.create(socket),
  new Proxy(socket, {}),
  new Float64Array(2),
  new Uint16Array(2),
  new Uint8ClampedArray(2),
  new DataView(new ArrayBuffer(4)),
  new ArrayBuffer(4),
  new SharedArrayBuffer(4),
];

/** Besides: wrong where a handle, a function, a number, a text or bytes are expected. */
const WRONG = {
  socket: [4, 'socket', () => {}, new Uint8Array(8)],
  callback: [socket, 4, 'call', new Uint8Array(8)],
  question: [socket, 4, 'bytes', () => {}, new Uint8Array(0)],
  family: [0, 5, 10, '4', new Uint8Array(1)],
  mark: [socket, '7', () => {}],
  segment: [socket, '7', 32_768, () => {}],
  port: [0, 65_536, '443', () => {}],
  address: [4, 'localhost', '::1', '127.0.0.1:80', '300.1.1.1', '1'.repeat(79), () => {}],
  name: [4, 'sixteen-bytes-xx', '\u20ac'.repeat(6), () => {}],
  path: [4, 'relative', `/${'x'.repeat(107)}`, `@${'x'.repeat(108)}`],
  state: [4, 'x'.repeat(4096), () => {}],
} as const;

type Kind = keyof typeof WRONG;

/** Each function with arguments that are right in kind, and what each is. None of these is ever called as it stands. */
const FUNCTIONS: Record<
  Exclude<keyof NetFace, `listener${string}` | 'exitWithin'>,
  readonly (readonly [Kind, unknown])[]
> = {
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
        // Mixtures that are right are left out where they would close the shared handle.
        fc.pre(!/Close$/.test(name) || values[0] !== socket);
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
  const offered = Object.keys(native).filter((name) => /^(socket|notify)/.test(name));
  expect(offered.sort()).toEqual(Object.keys(FUNCTIONS).sort());
});

test('bytes that are gone are no bytes', () => {
  const { sha512 } = addon();
  const nothing = sha512(new Uint8Array(0));
  const gone = Uint8Array.of(0, 1, 0x60);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  expect(sha512(gone)).toEqual(nothing);

  const Resizable = ArrayBuffer as unknown as new (
    length: number,
    o: { maxByteLength: number },
  ) => ArrayBuffer;
  const buffer = new Resizable(64, { maxByteLength: 64 });
  const window = new Uint8Array(buffer, 32, 32);
  (buffer as ArrayBuffer & { resize(length: number): void }).resize(16);
  expect(sha512(window)).toEqual(nothing);
});

test('a receiver of another kind changes nothing', () => {
  const other = addon().socketOpen(4, 0, 0);
  native.socketClose!.call(socket, other);
  expect(outcomeOf(() => addon().socketConnect(other, '127.0.0.1', 1, () => {}))).toBe('EBADF');
  expect(outcomeOf(() => addon().socketTake(socket))).toBe('ENOTCONN');
});

function outcomeOf(act: () => unknown): string | undefined {
  try {
    act();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
  return undefined;
}
