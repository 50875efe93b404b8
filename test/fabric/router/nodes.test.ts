import { describe, expect, onTestFinished, test } from 'vitest';
import type { RouterLimits } from '../../../fabric/router/limits.ts';
import type { Router } from '../../../fabric/router/router.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { NETWORK, opened, random, registryFile, type WholeRegistry } from '../place.ts';
import {
  activeDevice,
  admitted,
  connect,
  type FakeAdmission,
  fakeAdmission,
  makeDevice,
  OURS,
  testRouter,
  until,
} from './fixture.ts';

/** A router of one of several nodes, and a device that its registry admits. */
async function node(limits: Partial<RouterLimits> = {}) {
  const admission = fakeAdmission();
  const lines: string[] = [];
  const router = await testRouter(admission, { several: true, lines, limits });
  const device = await activeDevice(admission, 'fd00:1::1');
  const name = toHex(device.address);
  return { admission, router, device, name, lines };
}

/** Lets attaching wait until it is told to go on. */
function hold(admission: FakeAdmission): { asked: () => number; go: () => void } {
  const { attach } = admission;
  const waiting: (() => void)[] = [];
  let asked = 0;
  admission.attach = async (address) => {
    asked++;
    const generation = await attach.call(admission, address);
    await new Promise<void>((resolve) => waiting.push(resolve));
    return generation;
  };
  return { asked: () => asked, go: () => waiting.shift()?.() };
}

/** A node with a registry of its own on the file at `path`. */
async function realNode(path: string, name: string): Promise<{ registry: WholeRegistry; router: Router }> {
  const registry = opened(path);
  await registry.join({ name, version: '1.0', installation: random(32) });
  const end = await registry.follow(5);
  const router = await testRouter(registry, { several: true });
  onTestFinished(async () => {
    end();
    await router.close();
  });
  return { registry, router };
}

test('a device has one tunnel among all nodes: the newest one', async () => {
  const path = registryFile();
  const [a, b] = [await realNode(path, 'a'), await realNode(path, 'b')];
  await a.registry.addNetwork('owner', NETWORK, '');
  const device = await makeDevice('fd00:1:2:3:4a2e:91c0:7b3d:55f2');
  await a.registry.registerKey('owner', {
    ...{ network: NETWORK, address: device.address, key: device.publicKey },
  });
  const first = await admitted(a.router, device, OURS);
  const second = await admitted(b.router, device, OURS);
  expect(await first.ending).toEqual({ how: 'orderly' });
  await until(() => a.router.sessions().length === 0);
  const third = await admitted(a.router, device, OURS);
  expect(await second.ending).toEqual({ how: 'orderly' });
  await until(() => b.router.sessions().length === 0);
  // The end of the one at b is written, and has changed nothing.
  await b.registry.refused({ source: 'x', proven: false, result: 'test' });
  expect(b.registry.lookup(device.address)?.attached).toEqual({ generation: 3, node: 'a' });
  expect((await b.registry.device(device.address)).tunnel).not.toHaveProperty('ended');
  expect(a.router.sessions()).toHaveLength(1);
  third.close();
});

describe('a router of one of several nodes', () => {
  test('attaches a device before it serves it, and says with its end which tunnel that was', async () => {
    const { admission, router, device, name } = await node();
    const peer = await admitted(router, device);
    peer.close();
    await peer.ending;
    await until(() => admission.history.length === 3);
    expect(admission.history).toEqual([`attaches ${name} 1`, `+${name} 1`, `-${name} 1`]);
    await router.close();
  });

  test('alone attaches nothing', async () => {
    const { admission, device, name } = await node();
    const router = await testRouter(admission);
    const peer = await admitted(router, device);
    peer.close();
    await peer.ending;
    await until(() => admission.history.length === 2);
    expect(admission.history).toEqual([`+${name}`, `-${name}`]);
    await router.close();
  });

  test('cuts its tunnel of a device that another node attached later, and no other', async () => {
    const { admission, router, device, name } = await node();
    const other = await activeDevice(admission, 'fd00:1::2');
    const peer = await admitted(router, device, OURS);
    const stays = await admitted(router, other, OURS);
    admission.attachElsewhere(device);
    expect(await peer.ending).toEqual({ how: 'orderly' });
    await until(() => router.sessions().length === 1);
    expect(router.sessions()[0]?.address).toBe(other.name);
    expect(admission.history).toContain(`-${name} 1`);
    // It comes back here.
    await admitted(router, device, OURS);
    expect(admission.history).toContain(`+${name} 3`);
    stays.close();
    await router.close();
  });

  test('cuts its tunnel of a device that its registry, which was put back, knows an older one of', async () => {
    const { admission, router, device } = await node();
    await admitted(router, device);
    const peer = await admitted(router, device, OURS);
    const { lookup } = admission;
    admission.lookup = (address) => ({ ...lookup.call(admission, address)!, attached: { generation: 1 } });
    admission.set(device, 'active');
    expect(await peer.ending).toEqual({ how: 'orderly' });
    await router.close();
  });

  test('replaces its own tunnel by its newer one, which is how clones are found', async () => {
    const { admission, router, device, name } = await node();
    const older = await admitted(router, device);
    const newer = await admitted(router, device);
    expect(await older.ending).toEqual({ how: 'orderly' });
    expect(admission.history).toEqual([
      ...[`attaches ${name} 1`, `+${name} 1`],
      ...[`attaches ${name} 2`, `-${name} 1`, `+${name} 2`],
    ]);
    newer.close();
    await router.close();
  });

  test('does not serve one whose peer has gone, and cuts the older one that the registry knows no more', async () => {
    const { admission, router, device, name } = await node({ handshakeMs: 300 });
    const older = await admitted(router, device);
    const held = hold(admission);
    const peer = await connect(router, device);
    await until(() => held.asked() === 1);
    expect(router.sessions()).toHaveLength(1);
    peer.raw.destroy();
    await until(() => router.pendingHandshakes === 0);
    await router.settled();
    held.go();
    expect(await older.ending).toEqual({ how: 'orderly' });
    await until(() => router.sessions().length === 0);
    expect(admission.history.slice(2)).toEqual([
      ...[`attaches ${name} 2`, `detaches ${name} 2`, `-${name} 1`],
    ]);
    await router.close();
  });

  test('does not serve one that another node attached, or somebody banned, in the meantime', async () => {
    const { admission, router, device, name } = await node();
    const held = hold(admission);
    const peer = await connect(router, device, OURS);
    await until(() => held.asked() === 1);
    admission.attachElsewhere(device);
    held.go();
    expect(await peer.ending).toEqual({ how: 'orderly' });
    const banned = await connect(router, device, OURS);
    await until(() => held.asked() === 2);
    admission.set(device, 'banned');
    held.go();
    expect(await banned.ending).toMatchObject({ verdict: { kind: 'banned' } });
    expect(admission.history).not.toContain(`+${name} 1`);
    expect(admission.history.at(-1)).toBe(`detaches ${name} 3`);
    expect(router.sessions()).toEqual([]);
    await router.close();
  });

  test('refuses while the registry does not attach, and says so', async () => {
    const { admission, router, device, lines } = await node();
    const { attach } = admission;
    admission.attach = () => Promise.reject(new Error('the disk is full'));
    const peer = await connect(router, device, OURS);
    expect(await peer.ending).toMatchObject({ verdict: { kind: 'retry-after' } });
    expect(lines).toContain(`error device ${device.name} cannot be attached: the disk is full`);
    admission.attach = attach;
    await admitted(router, device, OURS);
    await router.close();
  });

  test('that was taken for lost says again which tunnels it has, and cuts those that went elsewhere', async () => {
    const { admission, router, device, name } = await node();
    const other = await activeDevice(admission, 'fd00:1::2');
    const peer = await admitted(router, device);
    const moved = await admitted(router, other);
    admission.attachElsewhere(other, 'unheard');
    await router.recall();
    expect(await moved.ending).toEqual({ how: 'orderly' });
    const carried = admission.history.filter((line) => line.startsWith('carries'));
    expect(carried).toEqual([`carries ${name} 1`]);
    peer.close();
    await router.close();
  });
});
