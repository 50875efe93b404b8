import { afterEach, describe, expect, it } from 'vitest';
import { routerMetrics } from '../../../../fabric/metrics/router.ts';
import { ROUTER_LIMITS, type RouterLimits } from '../../../../fabric/router/limits.ts';
import type { Router } from '../../../../fabric/router/router.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { eventsIn, FEW_LINES } from '../../../lines.ts';
import {
  activeDevices,
  admitted,
  connect,
  type Device,
  type FakeAdmission,
  fakeAdmission,
  makeDevice,
  OURS,
  testRouter,
  until,
} from '../fixture.ts';

let router: Router;

afterEach(() => router.close());

async function started(
  limits: Partial<RouterLimits> = {},
): Promise<{ admission: FakeAdmission; lines: string[]; device: Device; other: Device }> {
  const admission = fakeAdmission();
  const lines: string[] = [];
  router = await testRouter(admission, { lines, limits });
  const [device, other] = await activeDevices(admission, 'fd00:1::a', 'fd00:1::b');
  return { admission, lines, device, other };
}

describe('[H-A6] a device that connects again and again', () => {
  it('is admitted so often, costs few lines, and keeps nobody out behind the same address', async () => {
    const { admission, lines, device, other } = await started({ connectionPeriodMs: 3_600_000 });
    const begun = (): number =>
      admission.history.filter((line) => line === `+${toHex(device.address)}`).length;
    for (let i = 1; i <= 1_000; i++) {
      const peer = await connect(router, device, i % 2 === 0 ? {} : OURS);
      await until(() => begun() + router.tooOften === i);
      peer.tls.destroy();
    }
    const honest = await admitted(router, other);
    expect(router.sessions().map((session) => session.address)).toContain(other.name);
    expect(begun()).toBe(ROUTER_LIMITS.connectionBurst);
    expect(router.tooOften).toBe(1_000 - ROUTER_LIMITS.connectionBurst);
    expect(routerMetrics(router)).toContain(`enf_router_too_frequent_total ${router.tooOften}\n`);
    honest.close();
    await router.close();
    const about = (name: string, what: string): string[] =>
      lines.filter((line) => line.includes(`device ${name} ${what}`));
    expect(about(other.name, 'connected from')).toHaveLength(1);
    for (const [what, events] of [
      ['connected from', ROUTER_LIMITS.connectionBurst],
      ['disconnected', ROUTER_LIMITS.connectionBurst],
      ['connects too often', 1_000 - ROUTER_LIMITS.connectionBurst],
    ] as const) {
      expect(about(device.name, what).length).toBeLessThan(FEW_LINES);
      expect(eventsIn(about(device.name, what))).toBe(events);
    }
  }, 600_000);

  it('is told when to come back, a C peer sees an orderly close, and a tunnel that is up stays', async () => {
    const { device } = await started({ connectionBurst: 1, connectionPeriodMs: 30_000 });
    const peer = await admitted(router, device);
    const ours = await connect(router, device, OURS);
    expect(await ours.ending).toEqual({
      how: 'orderly',
      verdict: { kind: 'retry-after', seconds: expect.toSatisfy((s: number) => s > 0 && s <= 30) },
    });
    expect(await (await connect(router, device)).ending).toEqual({ how: 'orderly' });
    expect(router.sessions()).toHaveLength(1);
    peer.close();
    expect(await peer.ending).toEqual({ how: 'orderly' });
  });

  it('is admitted again after a quiet time', async () => {
    const { device, admission } = await started({ connectionBurst: 2, connectionPeriodMs: 1_000 });
    const begun = (): number => admission.history.filter((line) => line.startsWith('+')).length;
    const isAdmitted = async (): Promise<boolean> => {
      const [before, refused] = [begun(), router.tooOften];
      const peer = await connect(router, device, OURS);
      await until(() => begun() > before || router.tooOften > refused);
      peer.tls.destroy();
      return begun() > before;
    };
    expect([await isAdmitted(), await isAdmitted()]).toEqual([true, true]);
    while (await isAdmitted());
    while (!(await isAdmitted()));
  });

  it('uses up nothing of a device whose key it has not', async () => {
    const { device, admission } = await started({ connectionBurst: 1, connectionPeriodMs: 3_600_000 });
    const impostor = await makeDevice(device.name);
    for (let i = 0; i < 10; i++) {
      const peer = await connect(router, impostor, OURS);
      expect(await peer.ending).toMatchObject({ verdict: { kind: 'unknown' } });
    }
    await admitted(router, device);
    expect(admission.history).toEqual([`+${toHex(device.address)}`]);
  });
});

describe('[H-A6] peers that are refused', () => {
  it('cost so many lines, whatever they claim to be', async () => {
    const { lines } = await started({ refusalBurst: 1_000 });
    for (let i = 0; i < 100; i++) {
      const stranger = await makeDevice(`fd00:9::${i + 1}`);
      await (await connect(router, stranger)).ending;
    }
    const refused = (): string[] => lines.filter((line) => line.includes('refused from'));
    await router.close();
    expect(refused().length).toBeLessThan(FEW_LINES);
    expect(eventsIn(refused())).toBe(100);
  });
});
