import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ip } from '../../../os/linux/iproute.ts';
import { type Kind, waitUntil } from './kind.ts';
import { DEVICE_ADDRESS, FAR_ADDRESS } from './path.ts';
import type { Testbed } from './testbed.ts';

/** The tunnels we compare with, as their packages come: default ciphers, buffers and MTU, in user space, over UDP. */

export interface Rival extends Kind {
  /** The programs it needs, and the Debian packages that bring them. */
  readonly programs: readonly string[];
  readonly packages: readonly string[];
}

const ENDS = ['device', 'far'] as const;

/** A key pair and a certificate that is its own authority, for each end. */
export async function makeCertificates(
  testbed: Testbed,
): Promise<(end: string, kind: 'crt' | 'key') => string> {
  const folder = join(testbed.folder, 'certificates');
  mkdirSync(folder, { recursive: true });
  const file = (end: string, kind: 'crt' | 'key'): string => join(folder, `${end}.${kind}`);
  for (const end of ENDS) {
    const key = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      file(end, 'key'),
    ];
    const subject = ['-subj', `/CN=${end}`, '-days', '2', '-out', file(end, 'crt')];
    await testbed.run(undefined, ['openssl', 'req', '-x509', ...key, ...subject]);
  }
  return file;
}

function openvpn(): Rival {
  let file: Awaited<ReturnType<typeof makeCertificates>>;
  return {
    name: 'openvpn',
    programs: ['openvpn'],
    packages: ['openvpn'],
    async prepare(testbed) {
      file = await makeCertificates(testbed);
    },
    async start(testbed) {
      const common = ['openvpn', '--dev', 'tun0', '--dev-type', 'tun', '--proto', 'udp4', '--port', '1194'];
      const crypto = ['--data-ciphers', 'AES-256-GCM', '--cipher', 'AES-256-GCM', '--disable-dco'];
      const keys = (own: string, peer: string): string[] => {
        return ['--cert', file(own, 'crt'), '--key', file(own, 'key'), '--ca', file(peer, 'crt')];
      };
      const server = ['--tls-server', '--dh', 'none', '--local', FAR_ADDRESS];
      const client = ['--tls-client', '--remote', FAR_ADDRESS];
      const far = testbed.start(testbed.far, [
        ...common,
        ...crypto,
        ...keys('far', 'device'),
        ...server,
        '--ifconfig',
        '10.98.0.2',
        '10.98.0.1',
      ]);
      const device = testbed.start(testbed.device, [
        ...common,
        ...crypto,
        ...keys('device', 'far'),
        ...client,
        '--ifconfig',
        '10.98.0.1',
        '10.98.0.2',
      ]);
      return { device, far: [far], deviceAddress: '10.98.0.1', farAddress: '10.98.0.2' };
    },
  };
}

function nebula(): Rival {
  const config = (testbed: Testbed, end: string): string => join(testbed.folder, `nebula-${end}.yml`);
  const address = { device: '10.99.0.1', far: '10.99.0.2' } as const;
  return {
    name: 'nebula',
    programs: ['nebula', 'nebula-cert'],
    packages: ['nebula'],
    async prepare(testbed) {
      const at = (name: string): string => join(testbed.folder, name);
      const ca = ['-out-crt', at('nebula-ca.crt'), '-out-key', at('nebula-ca.key')];
      await testbed.run(undefined, ['nebula-cert', 'ca', '-name', 'bench', ...ca]);
      for (const end of ENDS) {
        const [crt, key] = [at(`nebula-${end}.crt`), at(`nebula-${end}.key`)];
        const signing = ['-ca-crt', at('nebula-ca.crt'), '-ca-key', at('nebula-ca.key'), '-name', end];
        const out = ['-ip', `${address[end]}/24`, '-out-crt', crt, '-out-key', key];
        await testbed.run(undefined, ['nebula-cert', 'sign', ...signing, ...out]);
        const lighthouse = end === 'far' ? 'am_lighthouse: true' : `hosts: ["${address.far}"]`;
        const any = '[{ port: any, proto: any, host: any }]';
        writeFileSync(
          config(testbed, end),
          [
            `pki: { ca: ${at('nebula-ca.crt')}, cert: ${crt}, key: ${key} }`,
            `static_host_map: { "${address.far}": ["${FAR_ADDRESS}:4242"] }`,
            `lighthouse: { ${lighthouse} }`,
            'listen: { host: 0.0.0.0, port: 4242 }',
            `tun: { dev: nebula-${end} }`,
            `firewall: { outbound: ${any}, inbound: ${any} }`,
          ].join('\n'),
        );
      }
    },
    async start(testbed) {
      const far = testbed.start(testbed.far, ['nebula', '-config', config(testbed, 'far')]);
      await pause(300);
      const device = testbed.start(testbed.device, ['nebula', '-config', config(testbed, 'device')]);
      return { device, far: [far], deviceAddress: address.device, farAddress: address.far };
    },
  };
}

function wireguardGo(): Rival {
  const keys = new Map<string, { file: string; pub: string }>();
  // Its control sockets are in one folder for all namespaces.
  const device = (end: string): string => `enfbench-${end === 'far' ? 'f' : 'd'}`;
  return {
    name: 'wireguard-go',
    programs: ['wireguard-go', 'wg'],
    packages: ['wireguard-go', 'wireguard-tools'],
    async prepare(testbed) {
      for (const end of ENDS) {
        const file = join(testbed.folder, `wireguard-${end}.key`);
        writeFileSync(file, await testbed.run(undefined, ['wg', 'genkey']), { mode: 0o600 });
        const pub = await testbed.run(undefined, ['wg', 'pubkey'], 5_000, readFileSync(file, 'utf8'));
        keys.set(end, { file, pub: pub.trim() });
      }
    },
    async start(testbed) {
      const environment = { WG_PROCESS_FOREGROUND: '1', LOG_LEVEL: 'error' };
      const started = ENDS.map((end) =>
        testbed.start(testbed[end], ['wireguard-go', '-f', device(end)], environment),
      );
      for (const end of ENDS) {
        await waitUntil(testbed, 'it takes no configuration', started, () =>
          testbed.run(testbed[end], ['wg', 'show', device(end)]),
        );
      }
      for (const [i, end] of ENDS.entries()) {
        const peer = end === 'far' ? 'device' : 'far';
        const endpoint = `${end === 'far' ? DEVICE_ADDRESS : FAR_ADDRESS}:51820`;
        const own = ['listen-port', '51820', 'private-key', keys.get(end)!.file];
        const other = ['peer', keys.get(peer)!.pub, 'allowed-ips', '10.97.0.0/24', 'endpoint', endpoint];
        await testbed.run(testbed[end], ['wg', 'set', device(end), ...own, ...other]);
        await ip('-n', testbed[end], 'addr', 'add', `10.97.0.${i + 1}/24`, 'dev', device(end));
        await ip('-n', testbed[end], 'link', 'set', device(end), 'mtu', '1420', 'up');
      }
      return {
        device: started[0],
        far: started.slice(1),
        deviceAddress: '10.97.0.1',
        farAddress: '10.97.0.2',
      };
    },
  };
}

export const rivals = (): readonly Rival[] => [openvpn(), nebula(), wireguardGo()];

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
