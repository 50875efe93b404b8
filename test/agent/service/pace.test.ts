import { rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openStore } from '../../../agent/state/state.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { encodePace } from '../../../protocol/tunnel/pace.ts';
import { type SoftwareDevice, softwareDevices } from '../software-device.ts';

const devices = softwareDevices();
const { boot } = devices;

/** Not while the agent writes: whoever opens the folder tidies up in it. */
const kept = async ({ state }: SoftwareDevice) => (await openStore(await openFolder(state))).record.pace;

/** Online, when the key, the identity, and the time and place of the tunnel are written. */
async function online(place: SoftwareDevice) {
  const agent = boot(place);
  await agent.online();
  await agent.until(() => expect(agent.effects.facts().stateGeneration).toBeGreaterThanOrEqual(3));
  return agent;
}

test('what the fabric says is the longest pause, kept in both generations, and in force with the next start without a tunnel', async () => {
  const place = await devices.device();
  const first = await online(place);
  expect(first.effects.longestMs?.()).toBeUndefined();
  const generation = first.effects.facts().stateGeneration!;
  place.router.send(encodePace(45));
  await first.until(() => expect(first.effects.facts().stateGeneration).toBe(generation + 1));
  // The same once more is not written again; another one takes its place, and then both files have one.
  place.router.send(encodePace(45), encodePace(60));
  await first.until(() => expect(first.effects.facts().stateGeneration).toBe(generation + 2));
  expect(first.effects.facts().longestMs).toBe(60_000);
  await first.driver.stop();
  expect(await kept(place)).toBe(60);

  // Nobody listens there.
  const second = boot({ ...place, router: { ...place.router, port: 1 } });
  await second.trouble('net.unreachable');
  expect(second.effects.facts().longestMs).toBe(60_000);
  await second.driver.stop();

  // Without the newer file there is what was said before.
  rmSync(`${place.state}/state-${(generation + 1) % 2}`);
  expect(await kept(place)).toBe(45);
});

test('what is no pace changes nothing', async () => {
  const place = await devices.device();
  const agent = await online(place);
  const generation = agent.effects.facts().stateGeneration!;
  for (const seconds of [0, 29, 301, 2 ** 32 - 1]) place.router.send(encodePace(seconds));
  place.router.send(Uint8Array.of(0xf7), Uint8Array.of(0xf7, 2, 0, 0, 0, 60), encodePace(90));
  await agent.until(() => expect(agent.effects.facts().longestMs).toBe(90_000));
  await agent.until(() => expect(agent.effects.facts().stateGeneration).toBe(generation + 1));
});

test('a router of enftun is not listened to', async () => {
  const place = await devices.device({ router: { alpn: [] } });
  const agent = await online(place);
  place.router.send(encodePace(60));
  place.router.reset();
  await agent.trouble('tunnel.broken');
  expect(agent.effects.facts().longestMs).toBeUndefined();
});

test('one that cannot be kept holds all the same', async () => {
  const place = await devices.device();
  const agent = await online(place);
  rmSync(place.state, { recursive: true });
  place.router.send(encodePace(60));
  await agent.until(() => expect(agent.log.join()).toContain('the longest pause is not kept'));
  expect(agent.effects.longestMs?.()).toBe(60_000);
});
