import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSwitch, type Port, type Switch } from '../../../fabric/router/switch.ts';
import { concat, toHex } from '../../../protocol/bytes.ts';
import { parseIpv6, parsePrefix } from '../../../protocol/ipv6.ts';
import { heartbeat, isHeartbeatReply, ROUTER_ADDRESS } from '../../../protocol/tunnel/icmp6.ts';
import { udp } from './fixture.ts';

function port(address: string, network: string): Port {
  return { address: parseIpv6(address), network: parsePrefix(network) };
}

const A = port('fd00:1::a', 'fd00:1::/64');
const B = port('fd00:1::b', 'fd00:1::/64');
const C = port('fd00:2::c', 'fd00:2::/64');
const OFFLINE = parseIpv6('fd00:1::dead');
const HOST = parseIpv6('fd00:1::1');
const OUTSIDE = parseIpv6('2001:db8::1');

function network(hasTun = true): { table: Switch<Port>; asked: string[] } {
  const asked: string[] = [];
  const table = createSwitch<Port>((address) => {
    asked.push(toHex(address));
    return toHex(address) === toHex(OFFLINE);
  }, hasTun);
  for (const each of [A, B, C]) table.attach(each);
  return { table, asked };
}

const nowhere = (cause: string) => ({ to: 'nowhere', cause });

describe('a packet of a device', () => {
  it('goes to a device of the same network, and to none of another', () => {
    const { table } = network();
    expect(table.fromPort(A, udp(A.address, B.address))).toEqual({ to: 'port', port: B });
    expect(table.fromPort(A, udp(A.address, A.address))).toEqual({ to: 'port', port: A });
    expect(table.fromPort(A, udp(A.address, C.address))).toEqual(nowhere('foreign-network'));
    expect(table.fromPort(C, udp(C.address, A.address))).toEqual(nowhere('foreign-network'));
  });

  it('goes nowhere with a source that is not its own', () => {
    const { table } = network();
    for (const source of [B.address, HOST, ROUTER_ADDRESS, OUTSIDE]) {
      expect(table.fromPort(A, udp(source, B.address))).toEqual(nowhere('spoofed'));
    }
  });

  it('goes to the TUN if no device has its destination, and there is a TUN', () => {
    for (const destination of [HOST, OUTSIDE]) {
      expect(network().table.fromPort(A, udp(A.address, destination))).toEqual({ to: 'tun' });
      expect(network(false).table.fromPort(A, udp(A.address, destination))).toEqual(nowhere('no-tun'));
    }
  });

  it('does not go to the TUN if its destination is a device without a tunnel', () => {
    const { table } = network();
    expect(table.fromPort(A, udp(A.address, OFFLINE))).toEqual(nowhere('offline'));
    table.detach(B);
    expect(table.fromPort(A, udp(A.address, B.address))).toEqual({ to: 'tun' });
  });

  it('is answered at fe80::1 if it is an echo request, and dropped there otherwise', () => {
    const { table } = network();
    const decision = table.fromPort(A, heartbeat(A.address));
    expect(decision.to).toBe('sender');
    if (decision.to === 'sender') expect(isHeartbeatReply(A.address, decision.answer)).toBe(true);
    expect(table.fromPort(A, udp(A.address, ROUTER_ADDRESS))).toEqual(nowhere('unroutable'));
    expect(table.fromPort(A, heartbeat(B.address))).toEqual(nowhere('spoofed'));
  });

  it('goes nowhere if it is for a group, a link, the host itself or nobody', () => {
    const { table } = network();
    for (const text of ['ff02::1', 'ff0e::1', 'fe80::2', 'febf::1', '::1', '::']) {
      expect(table.fromPort(A, udp(A.address, parseIpv6(text))), text).toEqual(nowhere('unroutable'));
    }
    for (const text of ['fec0::1', '::2', '100::']) {
      expect(table.fromPort(A, udp(A.address, parseIpv6(text))), text).toEqual({ to: 'tun' });
    }
  });

  it('goes nowhere if it lies about its length or is not IPv6, and no bytes crash the switch', () => {
    const { table } = network();
    expect(table.fromPort(A, concat(udp(A.address, B.address), Uint8Array.of(0)))).toEqual(
      nowhere('malformed'),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(table.fromPort(A, bytes)).toEqual(nowhere('malformed'));
        expect(table.fromTun(bytes)).toEqual(nowhere('malformed'));
      }),
    );
  });

  it('asks the registry once for a destination, until the registry changes', () => {
    const { table, asked } = network();
    for (let i = 0; i < 3; i++) table.fromPort(A, udp(A.address, HOST));
    expect(asked).toEqual([toHex(HOST)]);
    table.forget();
    table.fromPort(A, udp(A.address, HOST));
    expect(asked).toHaveLength(2);
  });

  it('does not go to the TUN while the registry cannot tell, and asks again', () => {
    let answer: boolean | undefined;
    const table = createSwitch<Port>(() => answer, true);
    table.attach(A);
    expect(table.fromPort(A, udp(A.address, HOST))).toEqual(nowhere('offline'));
    answer = false;
    expect(table.fromPort(A, udp(A.address, HOST))).toEqual({ to: 'tun' });
  });
});

describe('a packet of the host', () => {
  it('goes to the device that has its destination, whatever its source', () => {
    const { table } = network();
    expect(table.fromTun(udp(HOST, A.address))).toEqual({ to: 'port', port: A });
    expect(table.fromTun(udp(OUTSIDE, C.address))).toEqual({ to: 'port', port: C });
  });

  it('goes nowhere otherwise', () => {
    const { table } = network();
    for (const destination of [OFFLINE, OUTSIDE]) {
      expect(table.fromTun(udp(HOST, destination))).toEqual(nowhere('offline'));
    }
    for (const text of ['ff02::16', 'fe80::1']) {
      expect(table.fromTun(udp(HOST, parseIpv6(text)))).toEqual(nowhere('unroutable'));
    }
  });
});

describe('an address', () => {
  it('belongs to the port that was attached last, and only that one gives it up', () => {
    const { table } = network();
    const newer = port('fd00:1::a', 'fd00:1::/64');
    expect(table.attach(newer)).toBe(A);
    table.detach(A);
    expect(table.owner(A.address)).toBe(newer);
    table.detach(newer);
    expect(table.owner(A.address)).toBeUndefined();
    expect([...table.ports()]).toEqual([B, C]);
  });
});
