import type { Command } from '../../os/cli.ts';
import { stderrLog } from '../../os/log.ts';
import { askedToStop } from '../../os/process.ts';
import { formatListen, parseListen } from '../listen.ts';
import { serve } from '../serve.ts';
import { DATA } from '../workplace.ts';

export const serveCommand: Command = {
  name: 'serve',
  summary: 'Runs the fabric: gives devices their identity and carries their packets.',
  options: [
    { name: 'identity-listen', value: 'ADDRESS', help: 'where devices provision', default: '[::]:444' },
    { name: 'tunnel-listen', value: 'ADDRESS', help: 'where tunnels end', default: '[::]:443' },
    {
      name: 'tun',
      value: 'NAME',
      help: 'TUN device through which this host reaches the devices, or "none"',
      default: 'enf-fabric0',
    },
    DATA,
  ],
  examples: [
    'enf-fabric serve',
    'enf-fabric serve --identity-listen 127.0.0.1:4440 --tunnel-listen 127.0.0.1:4430 --tun none',
  ],
  async run(invocation) {
    const identity = parseListen(invocation.required('identity-listen'));
    const tunnel = parseListen(invocation.required('tunnel-listen'));
    const tunName = invocation.required('tun');
    const tun = tunName === 'none' ? undefined : tunName;
    const log = stderrLog();
    const stopped = askedToStop();
    const fabric = await serve({ data: invocation.required('data'), identity, tunnel, tun, log });
    const ready = {
      identity: formatListen({ ...identity, port: fabric.identityPort }),
      tunnel: formatListen({ ...tunnel, port: fabric.tunnelPort }),
      tun: tun ?? null,
      networks: fabric.networks,
    };
    // One line in either form: whoever started us waits for it.
    process.stdout.write(
      invocation.flag('json')
        ? `${JSON.stringify({ ready })}\n`
        : `enf-fabric ready: identity ${ready.identity}, tunnel ${ready.tunnel}, tun ${tunName}, ` +
            `networks ${ready.networks.join(' ') || 'none'}\n`,
    );
    await stopped;
    log('notice', 'stopping');
    await fabric.stop();
    return undefined;
  },
};
