import { expect, it } from 'vitest';
import { routerMetrics } from '../../../fabric/metrics/router.ts';
import { heartbeat } from '../../../protocol/tunnel/icmp6.ts';
import { udp } from '../packets.ts';
import { admitted, fakeAdmission, makeDevice, OURS, testRouter, until } from '../router/fixture.ts';

it('metrics are Prometheus text that counts sessions, packets and drops by cause, also of sessions that are over', async () => {
  const admission = fakeAdmission();
  const router = await testRouter(admission);
  try {
    const device = await makeDevice('fd00:1::a');
    admission.set(device, 'active');
    const value = (name: string): string | undefined =>
      routerMetrics(router)
        .split('\n')
        .find((line) => line.startsWith(`enf_router_${name} `))
        ?.split(' ')[1];
    expect(value('sessions{peer="agent"}')).toBe('0');
    const peer = await admitted(router, device, OURS);
    await until(() => peer.controls.length === 1);
    peer.send(
      udp(
        device.address,
        device.address.map((byte) => byte ^ 1),
      ),
      heartbeat(device.address),
    );
    await until(() => peer.received.length === 1);
    await until(() => value('dropped_total{cause="no-tun"}') === '1');
    expect(value('sessions{peer="agent"}')).toBe('1');
    expect(value('received_packets_total')).toBe('2');
    expect(value('sent_bytes_total')).toBe('48');
    peer.close();
    await until(() => router.sessions().length === 0);
    expect(value('received_packets_total')).toBe('2');
    // The request for a report that every agent gets, and the answer to the heartbeat.
    expect(value('sent_records_total')).toBe('2');
    for (const line of routerMetrics(router).trimEnd().split('\n')) {
      expect(line).toMatch(
        /^(# (HELP|TYPE) enf_router_\w+ \S.*|enf_router_\w+(\{\w+="[a-z-]+"\})? [\d.e-]+)$/,
      );
    }
  } finally {
    await router.close();
  }
});
