import { rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openStore } from '../../../agent/state/state.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { formatIpv6, type Prefix, parseIpv6, parsePrefix } from '../../../protocol/ipv6.ts';
import { encodePrefixMessage } from '../../../protocol/tunnel/prefix.ts';
import { encodeVerdict } from '../../../protocol/tunnel/verdict.ts';
import { udp } from '../../fabric/packets.ts';
import { type SoftwareDevice, softwareDevices } from '../software-device.ts';

const devices = softwareDevices();
const { boot, row } = devices;

const PREFIX = parsePrefix('fd00:9:0:7::/64');
const MACHINE = parseIpv6('fd00:9:0:7::17');
const OUTSIDE = parseIpv6('2001:db8::1');

const LAN = '[delegation]\ninterface = "eth1"\n[route]\nprefixes = ["fd00::/16"]';
const say = ({ router }: SoftwareDevice, prefix: Prefix | undefined): void =>
  router.send(encodePrefixMessage({ prefix }));
/** Not while the agent writes: whoever opens the folder tidies up in it. */
const kept = async ({ state }: SoftwareDevice) =>
  (await openStore(await openFolder(state))).record.delegation;

/** Online, when the key, the identity, and the time and place of the tunnel are written: nothing more is by itself. */
async function online(place: SoftwareDevice, rest = LAN) {
  const agent = boot(place, { rest });
  await agent.online();
  await agent.until(() => expect(agent.effects.facts().stateGeneration).toBeGreaterThanOrEqual(3));
  const generation = agent.effects.facts().stateGeneration!;
  const written = (times: number): Promise<void> =>
    agent.until(() => expect(agent.effects.facts().stateGeneration).toBe(generation + times));
  return { ...agent, written };
}

test('what the router says is announced, kept, and there at once with the next start', async () => {
  const place = await devices.device();
  const first = await online(place);
  expect(first.effects.facts().delegation).toBeUndefined();
  say(place, PREFIX);
  await first.until(() => expect(first.lans).toEqual(['eth1 fd00:9:0:7::/64 fd00::/16']));
  expect(first.effects.facts().delegation).toEqual({ prefix: 'fd00:9:0:7::/64', lan: 'eth1', failure: null });
  const address = formatIpv6(row().address);
  await first.written(1);
  expect(await kept(place)).toEqual({ address, prefix: 'fd00:9:0:7::/64' });
  // The same once more is not written again.
  say(place, PREFIX);
  await first.driver.stop();
  expect(first.lans.at(-1)).toBe('closed');

  // Without a tunnel: the fabric is not there.
  const second = boot({ ...place, router: { ...place.router, port: 1 } }, { rest: LAN });
  await second.until(() => expect(second.lans).toEqual(['eth1 fd00:9:0:7::/64 fd00::/16']));
  await second.driver.stop();

  const third = await online(place);
  say(place, undefined);
  await third.until(() => expect(third.lans).toEqual(['eth1 fd00:9:0:7::/64 fd00::/16', 'eth1']));
  expect(third.effects.facts().delegation).toBeUndefined();
  await third.written(1);
  expect(await kept(place)).toBeUndefined();
});

test('packets from there and to there pass while it is the device’s, and no others', async () => {
  const place = await devices.device();
  const agent = await online(place, '');
  const [tun] = agent.tuns;
  const out = () => place.router.packets.filter((packet) => packet[6] === 17).length;
  const into = () => tun!.received.filter((packet) => packet[6] === 17).length;
  const own = row().address;
  /** Whether one more comes, before one of the own address that was sent behind it. */
  const passes = async (): Promise<[boolean, boolean]> => {
    const [sent, got] = [out(), into()];
    tun!.host(udp(MACHINE, OUTSIDE), udp(own, OUTSIDE));
    place.router.send(udp(OUTSIDE, MACHINE), udp(OUTSIDE, own));
    const last = <T extends readonly Uint8Array[]>(packets: T) =>
      packets.filter((each) => each[6] === 17).at(-1);
    await agent.until(() => {
      expect(out()).toBeGreaterThan(sent);
      expect(into()).toBeGreaterThan(got);
      expect(last(place.router.packets)!.subarray(8, 24)).toEqual(Uint8Array.from(own));
      expect(Uint8Array.from(last(tun!.received)!.subarray(24, 40))).toEqual(Uint8Array.from(own));
    });
    return [out() === sent + 2, into() === got + 2];
  };
  expect(await passes()).toEqual([false, false]);
  say(place, PREFIX);
  await agent.until(() => expect(agent.effects.facts().delegation).toMatchObject({ lan: null }));
  expect(await passes()).toEqual([true, true]);
  // A prefix that comes to nobody, and messages that are none, change nothing.
  place.router.send(Uint8Array.of(0xf6, 9), Uint8Array.of(0xf6, 2, 0xff), Uint8Array.of(0xf6));
  expect(await passes()).toEqual([true, true]);
  say(place, undefined);
  await agent.until(() => expect(agent.effects.facts().delegation).toBeUndefined());
  expect(await passes()).toEqual([false, false]);
});

test('the key of addresses by DHCPv6 is made once, if there is that', async () => {
  const place = await devices.device();
  const rest = LAN.replace('eth1"', 'eth1"\ndhcp = "stateful"');
  const first = await online(place, rest);
  expect(first.lanKeys).toEqual([]);
  say(place, PREFIX);
  await first.written(2);
  expect(first.lanKeys).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
  await first.driver.stop();
  const second = await online(place, rest);
  await second.until(() => expect(second.lanKeys).toEqual(first.lanKeys));
  await second.driver.stop();
  const third = await online(place);
  await third.until(() => expect(third.lans).toHaveLength(1));
  expect(third.lanKeys).toEqual([]);
});

test('a device that left has none, and nothing of it is kept', async () => {
  const place = await devices.device();
  const agent = await online(place);
  say(place, PREFIX);
  await agent.written(1);
  expect(agent.lans).toEqual(['eth1 fd00:9:0:7::/64 fd00::/16']);
  expect(agent.driver.decommission(false)).toBe(true);
  await agent.written(2);
  place.router.raw(encodeVerdict({ kind: 'retired' }));
  await agent.until(() => expect(agent.effects.facts().decommissioned?.credential).toBe('removed'));
  expect(agent.lans.at(-1)).toBe('eth1');
  expect(await kept(place)).toBeUndefined();
});

test('one that could not be kept is the device’s all the same', async () => {
  const place = await devices.device();
  const agent = await online(place);
  rmSync(place.state, { recursive: true });
  say(place, PREFIX);
  await agent.until(() => expect(agent.log.join()).toContain('the prefix is not kept for the next start'));
  expect(agent.lans).toEqual(['eth1 fd00:9:0:7::/64 fd00::/16']);
  say(place, undefined);
  await agent.until(() => expect(agent.lans.at(-1)).toBe('eth1'));
});
