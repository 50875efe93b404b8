import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';

describe('[H-C12] hosts', () => {
  const parse = (...hosts: string[]) =>
    parseConfig(`[remote]\nhosts = ${JSON.stringify(hosts)}`, 'x').remote.hosts;

  test('names and addresses of both families', () => {
    const good = [
      'enf.example',
      'enf.example.',
      'a_b-c',
      '10.9.1.2',
      '0.0.0.1',
      '2001:db8::1',
      '::1',
      '1a',
      'x.1a',
      '_enf._tcp.enf.example',
      '_enf._tcp.example.',
    ];
    expect(parse(...good)).toEqual(good);
  });

  for (const [host, hint] of [
    ['host:443', /without a port: ports are remote\.tunnel-port/],
    ['10.9.1.2:443', /without a port/],
    ['[2001:db8::1]:443', /without brackets/],
    ['[2001:db8::1]', /literal address/],
    ['2001:db8::g', /literal address/],
    ['010.009.001.002', /without leading zeros, such as "10\.9\.1\.2"/],
    ['10.9.1', /four numbers/],
    ['10.9.1.256', /up to 255/],
    ['1234', /four numbers/],
    ['a..b', /host name/],
    ['', /host name/],
    ['_enf.example', /"_enf\._tcp\.example\.org" for the SRV records/],
    ['_enf._udp.enf.example', /SRV records/],
    ['_enf._tcp.', /SRV records/],
    ['_enf._tcp.192.0.2.1', /SRV records/],
    ['_enf._tcp.2001:db8::1', /SRV records/],
    ['_enf._tcp._enf._tcp.enf.example', /SRV records/],
    ['_enf._tcp.enf.example:443', /SRV records/],
    [`_enf._tcp.${'a.'.repeat(122)}a`, /SRV records/],
  ] as const) {
    test(`${JSON.stringify(host)} is refused with what to do`, () => {
      expect(() => parse(host)).toThrowError(
        expect.objectContaining({ code: 'config.bad-value', message: expect.stringMatching(hint) }),
      );
    });
  }

  test('those of a proxy, too', () => {
    const proxy = (url: string) => parseConfig(`[remote]\nhosts = ["x"]\nproxy = "${url}"`, 'x').remote.proxy;
    expect(proxy('http://10.9.1.2:3128')?.host).toBe('10.9.1.2');
    expect(() => proxy('http://010.009.001.002:3128')).toThrow('leading zeros');
  });
});
