import { describe, expect, test } from 'vitest';
import { formatListen, listenFailure, parseListen } from '../../../os/net/listen.ts';

describe('addresses to listen on', () => {
  test('are IP literals with a port', () => {
    for (const text of ['[::]:444', '127.0.0.1:4440', '[fd00::1]:0', '0.0.0.0:65535']) {
      expect(formatListen(parseListen(text))).toBe(text);
    }
    expect(parseListen('[::]:444')).toEqual({ host: '::', port: 444 });
  });

  for (const text of [
    '',
    '444',
    ':444',
    '::444',
    '[127.0.0.1]:1',
    '1.2.3:4',
    'host:1',
    '[::]',
    '[::]:65536',
  ]) {
    test(`${JSON.stringify(text)} is refused`, () => {
      expect(() => parseListen(text)).toThrow(expect.objectContaining({ code: 'net.bad-listen-address' }));
    });
  }

  test('a failure of listen(2) says what to do', () => {
    const failed = (code: string): { code: string; action: string | undefined } =>
      listenFailure(
        { host: '::', port: 444 },
        'the identity server',
        Object.assign(new Error(code), { code }),
      );
    expect(failed('EACCES')).toMatchObject({
      code: 'net.port-not-permitted',
      action: expect.stringContaining('root'),
    });
    expect(failed('EADDRINUSE')).toMatchObject({
      code: 'net.port-busy',
      action: expect.stringContaining(':444'),
    });
    expect(failed('EADDRNOTAVAIL')).toMatchObject({ code: 'net.no-such-address' });
  });
});
