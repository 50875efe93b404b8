import { execFileSync } from 'node:child_process';

/** Network namespaces on one bridge: the fabric's at 10.77.0.1, device n's at 10.77.0.(10+n). No packet leaves them. */
export interface Network {
  readonly fabric: string;
  device(n: number): string;
  addDevice(n: number): void;
  /** Makes a namespace for one more host at that address, and returns its name. Its link is `UPLINK`. */
  addHost(name: string, address: string): string;
  close(): void;
}

export const FABRIC_ADDRESS = '10.77.0.1';
/** The link of a host to the bridge, and the bridge itself at the fabric. */
export const [UPLINK, BRIDGE] = ['uplink', 'bridge0'];

/** `name` keeps parallel networks apart. */
export function createNetwork(name: string): Network {
  const fabric = `enf-${name}-fabric`;
  const device = (n: number): string => `enf-${name}-device${n}`;
  const made: string[] = [];
  const ip = (...args: string[]): void =>
    void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const namespace = (each: string): void => {
    try {
      ip('netns', 'del', each); // left behind by a killed run
    } catch {}
    ip('netns', 'add', each);
    made.push(each);
    ip('-n', each, 'link', 'set', 'lo', 'up');
  };
  namespace(fabric);
  // Given an address, it keeps it: else it takes the lowest of its ports', and devices go on for a while with the one before a port was added.
  ip('-n', fabric, 'link', 'add', BRIDGE, 'address', '02:00:00:00:00:01', 'type', 'bridge');
  ip('-n', fabric, 'link', 'set', BRIDGE, 'up');
  ip('-n', fabric, 'addr', 'add', `${FABRIC_ADDRESS}/24`, 'dev', BRIDGE);
  const attach = (host: string, port: string, address: string): void => {
    namespace(host);
    const pair = [port, 'type', 'veth', 'peer', 'name', UPLINK, 'netns', host];
    ip('-n', fabric, 'link', 'add', ...pair);
    ip('-n', fabric, 'link', 'set', port, 'master', BRIDGE, 'up');
    ip('-n', host, 'link', 'set', UPLINK, 'up');
    ip('-n', host, 'addr', 'add', `${address}/24`, 'dev', UPLINK);
  };
  return {
    fabric,
    device,
    addDevice: (n) => attach(device(n), `port${n}`, `10.77.0.${10 + n}`),
    addHost(host, address) {
      const made = `enf-${name}-${host}`;
      attach(made, `port-${host}`, address);
      return made;
    },
    close() {
      for (const each of made.reverse()) {
        try {
          ip('netns', 'del', each);
        } catch {}
      }
    },
  };
}
