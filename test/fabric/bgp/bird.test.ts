import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  type BgpOptions,
  birdConfig,
  parseAddress,
  parseAs,
  parsePeers,
  parseRouterId,
  parseWithin,
} from '../../../fabric/bgp/bird.ts';
import { parseProtocols } from '../../../fabric/bgp/birdc.ts';
import { formatPrefix } from '../../../protocol/ipv6.ts';
import { refused } from '../../refusals.ts';

const OPTIONS: BgpOptions = {
  routerId: '10.0.0.1',
  as: 64_512,
  peers: parsePeers(['b=fd99::2', 'node-3=fe80::3%wg0']),
  table: 100,
  protocol: 77,
};

/** Has BIRD read a configuration without running it. */
function birdReads(text: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'enf-bird-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'bird.conf');
  writeFileSync(file, text);
  execFileSync('bird', ['-p', '-c', file], { stdio: 'pipe' });
}

test('BIRD takes the configuration, with each of its options', () => {
  birdReads(birdConfig(OPTIONS));
  birdReads(
    birdConfig({ ...OPTIONS, local: 'fd99::1', as: 4_200_000_000, table: 4_294_967_295, protocol: 255 }),
  );
  birdReads(birdConfig({ ...OPTIONS, within: parseWithin(['fd00:8f80::/32', '2001:db8:1::/64'])! }));
  birdReads(birdConfig({ ...OPTIONS, peers: parsePeers(['c=fe80::3%wg0']) }));
  expect(() => birdReads(`${birdConfig(OPTIONS)}nonsense;\n`)).toThrow();
});

test('it has a session for each of the other nodes, and takes the routes of our number alone', () => {
  const text = birdConfig({ ...OPTIONS, local: 'fd99::1', table: 200, protocol: 78 });
  expect(text).toContain("protocol bgp 'enf-b' from enf_node { neighbor fd99::2 as 64512; }\n");
  expect(text).toContain("protocol bgp 'enf-node-3' from enf_node { neighbor fe80::3%'wg0' as 64512; }\n");
  for (const line of [
    'router id 10.0.0.1;',
    'kernel table 200;',
    'if krt_source != 78 then reject;',
    'local fd99::1 as 64512;',
  ])
    expect(text).toContain(line);
});

test('of what others announce it takes a /128 and a /64 alone, in unicast or what is named, and none to a node', () => {
  expect(birdConfig(OPTIONS)).toContain(
    'if net !~ [ 2000::/3{64,64}, 2000::/3{128,128}, fc00::/7{64,64}, fc00::/7{128,128} ] then reject;',
  );
  expect(birdConfig(OPTIONS)).toContain('if net ~ [ fd99::2/128- ] then reject;');
  expect(birdConfig({ ...OPTIONS, within: parseWithin(['fd00:8f80::/32'])! })).toContain(
    'if net !~ [ fd00:8f80::/32{64,64}, fd00:8f80::/32{128,128} ] then reject;',
  );
});

test('what networks are in', () => {
  expect(parseWithin([])).toBe(undefined);
  for (const good of ['fd00::/8', '2000::/3', 'fd00:1::/64'])
    expect(parseWithin([good])?.map(formatPrefix)).toEqual([good]);
  const cases: [readonly string[], string, RegExp][] = [
    [['::/0'], 'cli.bad-option', /--within: networks are \/64s in 2000::\/3 or fc00::\/7, got ::\/0/],
    [['fd00:1::/65'], 'cli.bad-option', /got fd00:1::\/65/],
    [['fe80::/10'], 'cli.bad-option', /got fe80::\/10/],
    [['fd00::/8', '8000::/8'], 'cli.bad-option', /got 8000::\/8/],
    [Array.from({ length: 65 }, () => 'fd00::/8'), 'cli.bad-option', /65 prefixes are given, and at most 64/],
    [['fd00::1/64'], 'ipv6.bad-prefix', /bits set behind its length/],
    [['fd00::/8{64,128}'], 'ipv6.bad-prefix', /./],
  ];
  for (const [texts, code, message] of cases) {
    const failure = refused(() => parseWithin(texts));
    expect(failure.code, texts.join()).toBe(code);
    expect(failure.message).toMatch(message);
    expect(failure.action).not.toBe('');
  }
});

test('peers are nodes with a name and an address each', () => {
  expect(parsePeers(['b=FD99:0::2', 'c=fe80::3%eth0'])).toEqual([
    { name: 'b', address: 'fd99::2' },
    { name: 'c', address: 'fe80::3%eth0' },
  ]);
  const cases: [readonly string[], RegExp][] = [
    [[], /no other node/],
    [['fd99::2'], /expected NAME=ADDRESS, got "fd99::2"/],
    [['=fd99::2'], /expected NAME=ADDRESS/],
    [['B=fd99::2'], /expected NAME=ADDRESS/],
    [["b';=fd99::2"], /expected NAME=ADDRESS/],
    [[`${'b'.repeat(64)}=fd99::2`], /expected NAME=ADDRESS/],
    [['b='], /--peer b: expected an IPv6 address, got ""/],
    [['b=192.0.2.1'], /expected an IPv6 address/],
    [['b=fd99::2/64'], /expected an IPv6 address/],
    [['b=node.example'], /expected an IPv6 address/],
    [['b=ff02::1%eth0'], /of one other machine/],
    [['b=::1'], /of one other machine/],
    [['b=::'], /of one other machine/],
    [['b=fe80::2'], /an interface behind a link-local address/],
    [['b=fd99::2%eth0'], /and behind no other/],
    [["b=fe80::2%'; }"], /an interface behind/],
    [['b=fe80::2%a%b'], /expected an IPv6 address/],
    [['b=fd99::2', 'b=fd99::3'], /b=fd99::2 and b=fd99::3 are the same node/],
    [['b=fd99::2', 'c=fd99:0::2'], /are the same node/],
    [Array.from({ length: 65 }, (_, i) => `n${i}=fd99::${i + 2}`), /65 nodes are named, and at most 64/],
  ];
  for (const [texts, message] of cases) {
    const failure = refused(() => parsePeers(texts));
    expect(failure.code, texts.join()).toBe('bgp.bad-peer');
    expect(failure.message).toMatch(message);
    expect(failure.action).not.toBe('');
  }
  expect(refused(() => parseAddress('10.0.0.1', '--local')).message).toBe(
    '--local: expected an IPv6 address, got "10.0.0.1"',
  );
});

test('router ids and numbers of autonomous systems', () => {
  expect(parseRouterId('10.0.0.1')).toBe('10.0.0.1');
  for (const bad of ['', '0.0.0.0', '10.0.0', '1', 'fd99::1', '10.0.0.1;'])
    expect(refused(() => parseRouterId(bad))).toMatchObject({
      code: 'cli.bad-option',
      message: /^--router-id: /,
    });
  for (const good of ['64512', '1', '4294967294']) expect(parseAs(good)).toBe(Number(good));
  for (const bad of ['', '0', '23456', '65535', '4294967295', '4294967296', '-1', '64512.5', 'AS64512'])
    expect(refused(() => parseAs(bad))).toMatchObject({ code: 'cli.bad-option', message: /^--as: / });
});

test('what BIRD says of its protocols', () => {
  const answer = [
    '0001 BIRD 2.0.12 ready.',
    '2002-Name       Proto      Table      State  Since         Info',
    '1002-device1    Device     ---        up     05:51:02.114  ',
    ' enf_kernel Kernel     enf        up     05:51:02.114  ',
    ' enf-b      BGP        ---        up     05:51:03.201  Established   ',
    ' enf-c      BGP        ---        start  05:51:02.114  Active        Socket: No route to host',
    ' enf-d      BGP        ---        down   05:51:02.114  ',
    ' transit    BGP        ---        up     05:51:02.114  Established',
    '0000 ',
    '1002-enf-e BGP',
    '',
  ].join('\n');
  expect(parseProtocols(answer)).toEqual([
    { node: 'b', established: true, state: 'Established' },
    { node: 'c', established: false, state: 'Active Socket: No route to host' },
    { node: 'd', established: false, state: '' },
    { node: 'e', established: false, state: '' },
  ]);
  expect(parseProtocols('')).toEqual([]);
});
