import { execFileSync } from 'node:child_process';

/** Network namespaces on one bridge: the fabric's at 10.77.0.1, device n's at 10.77.0.(10+n). No packet leaves them. */
export interface Network {
  readonly fabric: string;
  device(n: number): string;
  addDevice(n: number): void;
  close(): void;
}

export const FABRIC_ADDRESS = '10.77.0.1';

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
  ip('-n', fabric, 'link', 'add', 'bridge0', 'address', '02:00:00:00:00:01', 'type', 'bridge');
  ip('-n', fabric, 'link', 'set', 'bridge0', 'up');
  ip('-n', fabric, 'addr', 'add', `${FABRIC_ADDRESS}/24`, 'dev', 'bridge0');
  return {
    fabric,
    device,
    addDevice(n) {
      namespace(device(n));
      ip(
        '-n',
        fabric,
        'link',
        'add',
        `port${n}`,
        'type',
        'veth',
        'peer',
        'name',
        'uplink',
        'netns',
        device(n),
      );
      ip('-n', fabric, 'link', 'set', `port${n}`, 'master', 'bridge0', 'up');
      ip('-n', device(n), 'link', 'set', 'uplink', 'up');
      ip('-n', device(n), 'addr', 'add', `10.77.0.${10 + n}/24`, 'dev', 'uplink');
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
