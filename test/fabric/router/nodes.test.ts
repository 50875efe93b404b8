import { describe, expect, onTestFinished, test } from 'vitest';
import type { RouterLimits } from '../../../fabric/router/limits.ts';
import type { Router } from '../../../fabric/router/router.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { allOf, NETWORK, opened, random, registryFile, type WholeRegistry } from '../place.ts';
import {
  activeDevice,
  admitted,
  connect,
  type FakeAdmission,
  fakeAdmission,
  HERE,
  makeDevice,
  OURS,
  testRouter,
  until,
} from './fixture.ts';

/** A router of one of several nodes, and a device that its registry admits. */
async function node(limits: Partial<RouterLimits> = {}) {
  const admission = fakeAdmission();
  const lines: string[] = [];
  const router = await testRouter(admission, { node: HERE, lines, limits });
  const device = await activeDevice(admission, 'fd00:1::1');
  const name = toHex(device.address);
  return { admission, router, device, name, lines };
}

/** Lets attaching wait until it is told to go on. */
function hold(admission: FakeAdmission): { asked: () => number; go: () => void } {
  const { attach } = admission;
  const waiting: (() => void)[] = [];
  let asked = 0;
  admission.attach = async (...tunnel) => {
    asked++;
    const attachment = await attach.apply(admission, tunnel);
    await new Promise<void>((resolve) => waiting.push(resolve));
    return attachment;
  };
  return { asked: () => asked, go: () => waiting.shift()?.() };
}

/** A node with a registry of its own on the file at `path`. */
async function realNode(
  path: string,
  name: string,
): Promise<{ registry: WholeRegistry; router: Router; lines: string[] }> {
  const registry = opened(path);
  await registry.join({ name, version: '1.0', installation: random(32) });
  const end = await registry.follow(5);
  const lines: string[] = [];
  const router = await testRouter(registry, { node: name, lines });
  onTestFinished(async () => {
    end();
    await router.close();
  });
  return { registry, router, lines };
}

/** Two nodes, and a device that their registry admits. */
async function twoNodes() {
  const path = registryFile();
  const [a, b] = [await realNode(path, 'a'), await realNode(path, 'b')];
  await a.registry.addNetwork('owner', NETWORK, '');
  const registered = async (name: string) => {
    const device = await makeDevice(name);
    await a.registry.registerKey('owner', {
      ...{ network: NETWORK, address: device.address, key: device.publicKey },
    });
    return device;
  };
  return { a, b, registered, device: await registered('fd00:1:2:3:4a2e:91c0:7b3d:55f2') };
}

test('a device has one tunnel among all nodes: the newest one', async () => {
  const { a, b, device } = await twoNodes();
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

test('[C-22] two devices with one key that push each other out at two nodes are found, by one of them', async () => {
  const { a, b, registered, ...first } = await twoNodes();
  let { device } = first;
  const [here, there] = ['127.0.0.1', '::1'];
  // Of one device in 4,096 these are not told apart.
  for (let i = 1; ; i++) {
    await a.registry.attach(device.address, here);
    if ((await b.registry.attach(device.address, there)).replacements.length > 0) break;
    device = await registered(`fd00:1:2:3:4a2e:91c0:7b3d:${i}`);
  }
  const turn = async ({ router, registry }: typeof a, host: string) => {
    await admitted(router, device, { ...OURS, host });
    // Until it is written where this tunnel comes from.
    await registry.refused({ source: 'x', proven: false, result: 'test' });
  };
  for (let i = 0; i < 4; i++) {
    await turn(a, here);
    await turn(b, there);
  }
  await until(() => a.router.clones + b.router.clones === 1);
  expect((await a.registry.clonesOf(device.address))?.detail.from).toEqual(['127.0.0.1', '::1']);
  const actions = (await allOf(a.registry.audit)).map(({ action }) => action);
  expect(actions.filter((action) => action === 'device.twins')).toHaveLength(1);
  const said = [...a.lines, ...b.lines].filter((line) => line.includes('in turns'));
  expect(said).toEqual([
    `warning device ${device.name} connects from 127.0.0.1 and ::1 in turns: two devices seem to have its key`,
  ]);
});

test('[C-22] one device that goes from node to node while its former tunnel is up is not taken for two', async () => {
  const { a, b, device } = await twoNodes();
  for (let i = 0; i < 3; i++) {
    await admitted(a.router, device, { ...OURS, host: '::1' });
    await admitted(b.router, device, { ...OURS, host: '::1' });
  }
  expect(a.registry.lookup(device.address)?.attached).toEqual({ generation: 6, node: 'b' });
  expect([a.router.clones, b.router.clones]).toEqual([0, 0]);
  expect(await a.registry.clonesOf(device.address)).toBeUndefined();
});

test('[C-22] one device that goes from network to network when its former tunnel is over is not taken for two', async () => {
  const { a, b, device } = await twoNodes();
  for (const [i, { router }] of [a, b, a, b, a].entries()) {
    const peer = await admitted(router, device, { ...OURS, host: i % 2 === 0 ? '127.0.0.1' : '::1' });
    peer.close();
    await until(() => a.registry.lookup(device.address)?.attached?.node === undefined);
  }
  expect([a.router.clones, b.router.clones]).toEqual([0, 0]);
  expect(await a.registry.clonesOf(device.address)).toBeUndefined();
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

  test.each([
    ['another node has got its generation', { generation: 1, node: 'elsewhere' }],
    ['none is known of', undefined],
  ])('cuts its tunnel after a failover that has lost it: %s', async (_, attached) => {
    const { admission, router, device } = await node();
    const peer = await admitted(router, device, OURS);
    const { lookup } = admission;
    admission.lookup = (address) => {
      const { attached: _, ...endpoint } = lookup.call(admission, address)!;
      return { ...endpoint, ...(attached !== undefined && { attached }) };
    };
    admission.set(device, 'active');
    expect(await peer.ending).toEqual({ how: 'orderly' });
    await router.close();
  });

  test('keeps its tunnel that the registry has for over, as if the node were lost', async () => {
    const { admission, router, device } = await node();
    await admitted(router, device, OURS);
    const { lookup } = admission;
    admission.lookup = (address) => ({ ...lookup.call(admission, address)!, attached: { generation: 1 } });
    admission.set(device, 'active');
    expect(router.sessions()).toHaveLength(1);
    await router.close();
  });

  test('keeps a tunnel while the registry does not answer for a moment as its device comes once more', async () => {
    const { admission, router, device } = await node();
    await admitted(router, device, OURS);
    const { attach } = admission;
    admission.attach = () => {
      admission.broken = true;
      return Promise.reject(new Error('it is locked'));
    };
    const asked = admission.asked.length;
    const peer = await connect(router, device, OURS);
    expect(await peer.ending).toMatchObject({ verdict: { kind: 'retry-after' } });
    await until(() => admission.asked.length === asked + 2);
    Object.assign(admission, { broken: false, attach });
    await until(() => admission.asked.length === asked + 3);
    expect(router.sessions()).toHaveLength(1);
    await router.close();
  });

  test('replaces its own tunnel by its newer one', async () => {
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
});
