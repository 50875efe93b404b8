import { beforeAll, expect, onTestFinished, vi } from 'vitest';
import type { TunnelEvent } from '../../../agent/tunnel/session.ts';
import { type ConnectOptions, openTunnel, type Rules } from '../../../agent/tunnel/tunnel.ts';
import { ecdsaSigner, generateP256, primitives } from '../../../crypto/primitives.ts';
import type { Failure } from '../../../protocol/failure.ts';
import { identityCertificate } from '../../../protocol/identity/certificate.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';
import type { Report } from '../../../protocol/tunnel/report.ts';
import { fakeTun, makeCertificates, packet6, startTestRouter, type TestRouter } from '../router.ts';

export const OWN = parseIpv6('fd00::7');
export const PEER = parseIpv6('fd00::8');
export const OTHER = parseIpv6('fd00::9');
export const RULES: Rules = {
  own: OWN,
  allowIpv4: false,
  heartbeatPeriodMs: 60_000,
  heartbeatTimeoutMs: 30_000,
};
export const US: Report = { version: '0.9', failure: { code: 'net.unreachable', seconds: 7 } };
export const IPV4 = Uint8Array.from([0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);

export let certificates: ReturnType<typeof makeCertificates>;
export let identity: { certificate: Uint8Array; key: string; publicKey: Uint8Array };
beforeAll(async () => {
  certificates = makeCertificates();
  const { secret, publicKey } = generateP256();
  const certificate = await identityCertificate(
    primitives,
    OWN,
    publicKey,
    ecdsaSigner(secret),
    primitives.random(19),
  );
  const { openSoftwareKeys } = await import('../../../agent/identity/software-keys.ts');
  const { encodeEcPrivateKey } = await import('../../../protocol/identity/key-file.ts');
  const { toHex } = await import('../../../protocol/bytes.ts');
  const der = toHex(encodeEcPrivateKey(secret, publicKey));
  const key = (await openSoftwareKeys('').load({ kind: 'software', der })).tlsKey();
  identity = { certificate, key, publicKey };
});

/** A tunnel to a test router; `events` is everything it reported; the router obeys a change of `settings`. */
export async function openedTunnel(
  options: Partial<Parameters<typeof startTestRouter>[0]> = {},
  rules: Partial<Rules> = {},
) {
  const settings = { ...certificates, ...options };
  const router = await startTestRouter(settings);
  const tun = fakeTun();
  const tunnel = openTunnel(
    tun,
    { ...RULES, ...rules },
    { selfReport: () => US, request: () => undefined, receive: async () => undefined },
  );
  onTestFinished(() => tunnel.close());
  const events: TunnelEvent[] = [];
  const connect = (change: Partial<ConnectOptions> = {}): void =>
    tunnel.start(
      {
        hosts: ['127.0.0.1'],
        port: router.port,
        mark: 0,
        timeoutMs: 10_000,
        ca: certificates.root,
        ...identity,
        wire: 'auto',
        ...change,
      },
      (event) => events.push(event),
    );
  const happens = (kind: TunnelEvent['kind']): Promise<TunnelEvent> =>
    vi.waitFor(() => {
      const event = events.find((each) => each.kind === kind);
      if (!event) throw new Error(`no ${kind} among ${events.map((each) => each.kind)}`);
      return event;
    }, 10_000);
  const failure = async (): Promise<Failure> => ((await happens('down')) as { failure: Failure }).failure;
  return { router, settings, tun, tunnel, events, connect, happens, failure };
}

/** Everything sent before has arrived: a marker packet came back from the router's list. */
export async function settled(
  router: TestRouter,
  tun: ReturnType<typeof fakeTun>,
  rules = RULES,
): Promise<void> {
  const marker = packet6(rules.own, PEER, primitives.random(8));
  tun.host(marker);
  await vi.waitFor(() => expect(router.packets.map(String)).toContain(String(marker)), 10_000);
}
