import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { openLan } from '../../../agent/network/lan.ts';
import { fromHex, toHex } from '../../../protocol/bytes.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';
import { checksum6, encodePacket6 } from '../../../protocol/tunnel/packet.ts';
import { ALL_ROUTERS, encodeRouterAdvertisement } from '../../../protocol/tunnel/ra.ts';
import { ROUTER_ADDRESS } from '../../../protocol/tunnel/wire.ts';
import { createHost, type Host, type Program } from '../netns.ts';

const OWN = 'fd00:5::7';
const OPTIONS = { own: parseIpv6(OWN), mtu: 1_280, prefixes: [], defaultRoute: false, periodMs: 600_000 };
const HOST = parseIpv6('fe80::5');

function icmp(type: number, to: Uint8Array): Uint8Array {
  const message = Uint8Array.of(type, 0, 0, 0, 1, 2, 3, 4);
  const sum = checksum6(58, HOST, to, message);
  message.set([sum >> 8, sum & 255], 2);
  return encodePacket6(58, HOST, to, message);
}

describe('with a clock of the test', () => {
  function world() {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const sent: string[] = [];
    const lan = openLan(OPTIONS, (packet) => void sent.push(toHex(packet)));
    return { lan, sent };
  }
  const advertisement = toHex(encodeRouterAdvertisement(OPTIONS));

  test('advertises at once, each period, and when asked, but not more often than every three seconds', () => {
    const { lan, sent } = world();
    expect(sent).toEqual([advertisement]);
    for (let i = 0; i < 50; i++) {
      lan.receive(icmp(133, ALL_ROUTERS));
      vi.advanceTimersByTime(50);
    }
    expect(sent).toHaveLength(1);
    vi.advanceTimersByTime(600);
    expect(sent).toHaveLength(2);
    vi.advanceTimersByTime(599_000);
    expect(sent).toHaveLength(2);
    vi.advanceTimersByTime(1_500);
    expect(sent).toEqual([advertisement, advertisement, advertisement]);
    lan.close();
    vi.advanceTimersByTime(3_600_000);
    expect(sent).toHaveLength(3);
  });

  test('answers a ping to fe80::1, not one to a group, and no nonsense', () => {
    const { lan, sent } = world();
    lan.receive(icmp(128, ROUTER_ADDRESS));
    expect(sent).toHaveLength(2);
    expect(sent[1]!.slice(16, 80)).toBe(toHex(ROUTER_ADDRESS) + toHex(HOST));
    for (const packet of [icmp(128, ALL_ROUTERS), icmp(129, ROUTER_ADDRESS), fromHex('60'), new Uint8Array()])
      lan.receive(packet);
    expect(sent).toHaveLength(2);
    lan.close();
  });
});

describe('for a real kernel behind the interface', () => {
  let host: Host;
  let program: Program;
  const inHost = (...command: string[]): string => host.must(host.host, ...command);

  beforeAll(async () => {
    host = createHost('lan');
    for (const [name, value] of [
      ['accept_ra', 2],
      ['accept_ra_rt_info_max_plen', 128],
      ['accept_ra_defrtr', 1],
    ]) {
      inHost('sysctl', '-qw', `net.ipv6.conf.default.${name}=${value}`);
    }
    program = await host.start('./network/lan-child.ts', OWN);
  });
  afterAll(async () => {
    await program?.stop();
    host?.close();
  });

  test('it learns the routes from what is advertised when it solicits', async () => {
    await vi.waitFor(
      () => {
        const routes = JSON.parse(inHost('ip', '-j', '-6', 'route', 'show', 'dev', 'enf0', 'proto', 'ra'));
        expect(routes.map(({ dst }: { dst: string }) => dst).sort()).toEqual([
          'default',
          'fd00:5::/64',
          'fd00:77::/32',
        ]);
      },
      { timeout: 20_000, interval: 100 },
    );
  });

  test('it gets the own address by DHCPv6, and fe80::1 answers', async () => {
    const client = `const s = require('node:dgram').createSocket('udp6');
      const hex = '01aabbcc0001000a00030001020304050607000300 0c000000000000000000000000'.replace(/ /g, '');
      s.on('message', (m) => { console.log(m.toString('hex')); process.exit(); });
      s.bind(546, '::', () => { s.setMulticastInterface('::%enf0'); s.send(Buffer.from(hex, 'hex'), 547, 'ff02::1:2%enf0'); });
      setTimeout(() => process.exit(1), 5000);`;
    const reply = inHost(process.execPath, '-e', client);
    expect(reply).toMatch(/^02aabbcc/);
    expect(reply).toContain(`00050018${toHex(OPTIONS.own)}`);
    expect(host.run(host.host, 'ping', '-n', '-c', '1', '-W', '2', 'fe80::1%enf0').code).toBe(0);
  });
});
