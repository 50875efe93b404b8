import { parseConfig } from '../../agent/config/config.ts';
import type { Probes } from '../../agent/doctor/probes.ts';

export const HEALTHY_CONFIG = '[remote]\nhosts = ["fabric.example"]';
const NOON = Date.parse('2030-01-01T12:00:00Z');

/** The probes of a machine on which everything is as it should be, but for `change`. */
export function fakeProbes(change: Partial<Probes> = {}): Probes {
  return {
    config: parseConfig(HEALTHY_CONFIG, 'test'),
    wallMs: () => NOON,
    builtMs: Date.parse('2026-01-01T00:00:00Z'),
    clockSynchronised: async () => true,
    deviceFile: async () => ({ character: true, mode: 0o660, owner: 'tss', group: 'tss', usable: true }),
    identity: async () => ({ user: 'enf', groups: ['enf', 'dialout'] }),
    tpmDevices: async () => ['/dev/tpm0', '/dev/tpmrm0'],
    capabilities: async () => ({
      manufacturer: 'IBM',
      firmware: '1.2.3.4',
      ecdaa: true,
      commit: true,
      bnP256: true,
      parametersTaken: true,
      nvIndexMax: 2048,
      nvBufferMax: 1024,
      lockout: { counter: 0, limit: 32, seconds: 7200 },
      lockedOut: false,
      platformEnabled: true,
      ownerEnabled: true,
    }),
    inspection: async () => ({
      maps: [
        {
          hierarchy: 'platform',
          daaKey: { handle: 0x81800000, point: new Uint8Array(65).fill(0xab) },
          objects: (
            ['gpk', 'credential', 'credentialSignature', 'tlsRoot', 'basename', 'xttRoot'] as const
          ).map((name, i) => ({ name, index: 0x1410000 + i, size: 10, attributes: 0, written: true })),
        },
        { hierarchy: 'owner', objects: [] },
      ],
      parents: [],
    }),
    membership: async () => true,
    certificate: async () => ({
      subject: 'CN=pump',
      address: 'fdfd::1',
      notBefore: '2029-12-01T00:00:00.000Z',
      notAfter: '2030-03-01T00:00:00.000Z',
      key: 'file',
    }),
    tlsRoot: async () => 'PEM',
    lookup: async () => ['2001:db8::1', '192.0.2.1'],
    route: async () => ({ device: 'eth0', gateway: 'fe80::1' }),
    connect: async () => 3,
    tls: async () => ({ verdict: 'trusted', issuer: 'our root', connectMs: 3, handshakeMs: 8 }),
    http: async () => undefined,
    sysctl: async () => '0',
    ipv6Disabled: async () => undefined,
    linkNames: async () => ({ servers: ['fd00:1::1'], domains: ['~plant.internal'] }),
    foreignManagers: async () => [
      { name: 'systemd-networkd', manages: false },
      { name: 'NetworkManager', manages: false },
    ],
    freeSpace: async () => ({ freeBytes: 1e9, freeFiles: 1e6, readOnly: false }),
    state: async () => ({
      generation: 3,
      address: 'fd00::7',
      keyKind: 'tpm',
      decommissioned: false,
      unfinished: false,
      lastGoodMs: NOON - 86_400_000,
      bad: [],
      quarantined: [],
    }),
    status: async () => ({
      program: 'enf-agent',
      version: '1.2.3',
      situation: 'online',
      since: new Date(NOON).toISOString(),
      address: 'fd00::7',
      router: '192.0.2.1 port 443',
      proxy: null,
      wire: 'enf/2',
      device: 'enf0',
      mode: 'tpm',
      resident: true,
      trouble: null,
      handshakes: 0,
      lastHandshake: null,
      roots: null,
      certificate: null,
      rotation: null,
      decommission: null,
      delegation: null,
      longestPause: null,
      traffic: null,
      state: { generation: 3, quarantined: [] },
    }),
    ...change,
  };
}
