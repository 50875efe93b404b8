import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { birdConfig } from '../../../fabric/bgp/bird.ts';

/** What is compared: each gets the routes of tunnels to the other nodes in the way that it can. */

export interface Node {
  readonly name: string;
  readonly address: string;
  readonly routerId: string;
}

export interface Daemon {
  readonly name: 'BIRD' | 'FRR';
  /** Where the routes of tunnels are put. */
  readonly table: number;
  /** The metric of the n-th tunnel of a device. */
  metric(generation: number): number;
  /** Its processes in the order in which they start, each as the command that runs it in the foreground; the last one speaks BGP. Writes what they read into `folder`. */
  commands(folder: string, own: Node, others: readonly Node[]): readonly (readonly string[])[];
}

const AS = 64_512;

export const BIRD: Daemon = {
  name: 'BIRD',
  table: 100,
  metric: (generation) => 100 + generation,
  commands(folder, { routerId }, others) {
    const file = join(folder, 'bird.conf');
    writeFileSync(file, birdConfig({ routerId, as: AS, peers: others, table: 100, protocol: 77 }));
    return [['bird', '-f', '-c', file, '-s', join(folder, 'ctl'), '-P', join(folder, 'pid')]];
  },
};

/** FRR redistributes IPv6 routes of the main table alone, and has the lowest metric win. */
export const FRR: Daemon = {
  name: 'FRR',
  table: 254,
  metric: (generation) => 65_535 - generation,
  commands(folder, { routerId }, others) {
    const peers = others.map(({ address }) => address);
    const bgp = [
      `router bgp ${AS}`,
      ` bgp router-id ${routerId}`,
      ' no bgp default ipv4-unicast',
      ' coalesce-time 0',
      ' timers bgp 3 9',
      ...peers.flatMap((peer) => [
        ` neighbor ${peer} remote-as ${AS}`,
        ` neighbor ${peer} timers connect 1`,
        ` neighbor ${peer} advertisement-interval 0`,
        ` neighbor ${peer} bfd 3 100 100`,
      ]),
      ' address-family ipv6 unicast',
      '  redistribute kernel route-map DEVICES',
      ...peers.flatMap((peer) => [`  neighbor ${peer} activate`, `  neighbor ${peer} next-hop-self`]),
      ' exit-address-family',
      'ipv6 prefix-list DEVICES seq 5 permit fd00::/16 le 128',
      'route-map DEVICES permit 10',
      ' match ipv6 address prefix-list DEVICES',
    ];
    const text: Readonly<Record<string, readonly string[]>> = {
      zebra: ['zebra work-queue 0'],
      bfdd: [],
      bgpd: bgp,
    };
    return (['zebra', 'bfdd', 'bgpd'] as const).map((name) => {
      const own = join(folder, name);
      mkdirSync(own, { recursive: true });
      // Its processes give their privileges up.
      for (const each of [folder, own]) chmodSync(each, 0o777);
      writeFileSync(join(own, 'conf'), `log stdout errors\n${text[name]!.join('\n')}\n`);
      const common = ['-f', join(own, 'conf'), '-i', join(own, 'pid'), '-u', 'frr', '-g', 'frr'];
      const sockets = ['--vty_socket', own, '-z', join(folder, 'zserv')];
      const more = {
        // As much room for notifications as BIRD has.
        zebra: ['-s', '67108864'],
        bfdd: ['--bfdctl', join(folder, 'bfd')],
        bgpd: [],
      }[name];
      return [`/usr/lib/frr/${name}`, ...common, ...sockets, ...more];
    });
  },
};
