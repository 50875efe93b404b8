import { describe, expect, test } from 'vitest';
import { addon } from '../../../native/index.ts';
import { openListener } from '../../../os/net/acceptor.ts';
import { A, HEADERS, REFUSAL } from './acceptor-place.ts';

describe('bad arguments', () => {
  const native = addon() as unknown as Record<string, (...values: unknown[]) => unknown>;
  const { descriptor } = openListener('127.0.0.1', 0);
  const open: unknown[] = [descriptor, HEADERS, REFUSAL, 10, 10, 1, 1, 1, () => {}];

  test.each([
    [0, [-1, 1.5, 2 ** 31, 'x', undefined]],
    [
      1,
      [
        new Uint8Array(0),
        new Uint8Array(5),
        new Uint8Array(4),
        Uint8Array.of(1, 0xff, 0xff, 1),
        new Uint8Array(68),
        'x',
      ],
    ],
    [2, [new Uint8Array(65), 'x', undefined]],
    [3, [0, 2 ** 20 + 1, Number.NaN]],
    [4, [0, -1]],
    [5, [0, 86_400_001]],
    [6, [0, '1']],
    [7, [0, null]],
    [8, [undefined, {}, 'x']],
  ])('argument %i of acceptorOpen', (at, values) => {
    for (const value of values)
      expect(() => native.acceptorOpen!(...open.with(at, value))).toThrow(TypeError);
  });

  test('a wrong handle', () => {
    for (const name of [
      'acceptorAnswer',
      'acceptorFinish',
      'acceptorTick',
      'acceptorStopAccepting',
      'acceptorClose',
      'acceptorCount',
    ])
      for (const value of [undefined, {}, 5, Object.create({})])
        expect(() => native[name]!(value, 1, A, 0)).toThrow(TypeError);
  });

  test('ids, messages and tags', () => {
    const acceptor = native.acceptorOpen!(...open);
    for (const id of [-1, Number.NaN, 2 ** 53 + 2, 'x', undefined]) {
      expect(() => native.acceptorAnswer!(acceptor, id, A, 0)).toThrow(TypeError);
      expect(() => native.acceptorFinish!(acceptor, id, A)).toThrow(TypeError);
    }
    for (const tag of [-1, 256, 0.5])
      expect(() => native.acceptorAnswer!(acceptor, 1, A, tag)).toThrow(TypeError);
    for (const message of ['x', null, new Uint16Array(2)])
      expect(() => native.acceptorFinish!(acceptor, 1, message)).toThrow(TypeError);
    // An unknown id is no mistake: the connection may just have been closed.
    for (const id of [0, 1, 2 ** 21, 2 ** 52]) native.acceptorFinish!(acceptor, id, A);
    native.acceptorClose!(acceptor);
    native.acceptorClose!(acceptor);
    expect(native.acceptorCount!(acceptor)).toBe(0);
  });

  test('listening', () => {
    for (const host of ['localhost', '', '300.1.1.1', 5])
      expect(() => native.listenerOpen!(host, 0)).toThrow(TypeError);
    for (const port of [-1, 65_536, 'x'])
      expect(() => native.listenerOpen!('127.0.0.1', port)).toThrow(TypeError);
    expect(() => native.listenerOpen!('192.0.2.1', 0)).toThrow(
      expect.objectContaining({ code: 'EADDRNOTAVAIL' }),
    );
    const { port } = openListener('127.0.0.1', 0);
    expect(() => openListener('127.0.0.1', port)).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
    expect(() => native.listenerPort!(2 ** 30)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });
});
