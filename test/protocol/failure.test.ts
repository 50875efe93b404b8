import { expect, test } from 'vitest';
import { areaOf, Failure } from '../../protocol/failure.ts';

test('the area of a failure is the part of its code before the dot', () => {
  expect(new Failure('tpm.absent', 'operator', 'net.unreachable').area).toBe('tpm');
  expect(areaOf('net.no-such-host')).toBe('net');
});

test('what others may read is the message, unless a refused value is left out of it', () => {
  expect(new Failure('os.no-file', 'operator', 'no such file').publicMessage).toBe('no such file');
  const options = { publicMessage: 'expected a number' };
  expect(
    new Failure('config.bad-value', 'operator', 'expected a number, got "x"', options).publicMessage,
  ).toBe('expected a number');
});
