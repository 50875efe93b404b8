import { expect, test } from 'vitest';
import { formatServices, parseServices } from '../../../fabric/host/services.ts';
import { Failure } from '../../../protocol/failure.ts';

test.each([
  [['none'], 'none'],
  [['all'], 'all'],
  [['tcp/22'], 'tcp/22'],
  [['tcp/22,udp/53', 'icmp'], 'tcp/22,udp/53,icmp'],
  [['udp/53, tcp/22 ,tcp/22'], 'tcp/22,udp/53'],
  [['tcp/8000-8010,tcp/8005-8020,tcp/8021,tcp/9,udp/8000'], 'tcp/9,tcp/8000-8021,udp/8000'],
  [['tcp/1-65535,tcp/5'], 'tcp/1-65535'],
])('[H-A4] --host-services %j is %s', (values, text) => {
  expect(formatServices(parseServices(values))).toBe(text);
  expect(parseServices([text])).toEqual(parseServices(values));
});

test.each([
  '',
  ',',
  'tcp/22,',
  'tcp',
  'tcp/',
  'tcp/0',
  'tcp/022',
  'tcp/65536',
  'tcp/99999',
  'tcp/5-4',
  'tcp/5-',
  'tcp/-5',
  'tcp/1-65536',
  'tcp/22-23-24',
  'tcp/ssh',
  'TCP/22',
  'sctp/22',
  '22',
  '22/tcp',
  'tcp/22 udp/53',
  'tcp/1e3',
  'tcp/22;accept',
  'all,tcp/22',
  'none,udp/53',
  'all,none',
  Array(201).fill('tcp/1').join(','),
])('[H-A4] --host-services %j is refused', (value) => {
  expect(() => parseServices([value])).toThrow(
    expect.objectContaining({ code: 'cli.bad-option', message: expect.stringContaining('--host-services') }),
  );
  expect(() => parseServices(['tcp/1', value])).toThrow(Failure);
});
