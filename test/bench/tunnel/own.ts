import type { Kind } from './kind.ts';
import { DEVICE_ADDRESS, FAR_ADDRESS } from './path.ts';

/** The bare path, without a tunnel. */
export const veth: Kind = {
  name: 'veth',
  prepare: async () => {},
  start: async () => ({
    device: undefined,
    far: [],
    deviceAddress: DEVICE_ADDRESS,
    farAddress: FAR_ADDRESS,
  }),
};

const PORT = '4500';
const INNER = { device: '10.96.0.1', far: '10.96.0.2' } as const;

/**
 * A tunnel of the user's own: the command runs in a shell at each end, the far end's first, and its environment says
 * what to do (see `CONTRACT`).
 */
export function ownTunnel(name: string, command: string): Kind {
  return {
    name,
    prepare: async () => {},
    async start(testbed) {
      const start = (end: 'device' | 'far') => {
        const peer = end === 'far' ? 'device' : 'far';
        const outer = { device: DEVICE_ADDRESS, far: FAR_ADDRESS };
        return testbed.start(testbed[end], ['sh', '-c', command], {
          ROLE: end === 'far' ? 'server' : 'client',
          LOCAL: outer[end],
          PEER: outer[peer],
          PORT,
          DEVICE: 'tun0',
          ADDRESS: INNER[end],
          PEER_ADDRESS: INNER[peer],
          FOLDER: testbed.folder,
        });
      };
      const far = start('far');
      await new Promise((resolve) => setTimeout(resolve, 500));
      return { far: [far], device: start('device'), deviceAddress: INNER.device, farAddress: INNER.far };
    },
  };
}

/** What a command given with --tunnel gets and owes. */
export const CONTRACT = `A tunnel of your own: COMMAND is run by sh in each end's network namespace, the far end's first, with
  ROLE          server at the far end, client at the device's end
  LOCAL, PEER   own and the peer's address outside the tunnel; PORT, a port to use there
  DEVICE        the name its network interface should have
  ADDRESS, PEER_ADDRESS   the IPv4 addresses inside the tunnel: ADDRESS goes on DEVICE, PEER_ADDRESS is reached through it
  FOLDER        a folder both ends see, for keys
It has to make and configure DEVICE, stay in the foreground, answer within 15 seconds and end at SIGTERM. CPU time and
memory are those of the process group it runs in.`;
