import type { Command } from '../../cli/program.ts';
import { formatListen, parseListen } from '../../os/net/listen.ts';
import { stderrLog } from '../../os/service/log.ts';
import { askedToStop } from '../../os/service/process.ts';
import { Failure } from '../../protocol/failure.ts';
import { formatServices, NO_SERVICES, parseServices } from '../host/services.ts';
import { DATA } from './context.ts';

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
    {
      name: 'host-services',
      value: 'LIST',
      help: 'what devices may use of this host: tcp/22,udp/53,tcp/8000-8010,icmp, or "all"; may be given several times (none)',
      many: true,
    },
    {
      name: 'router-threads',
      value: 'N',
      help: 'how many threads carry packets (two, or one on a single core)',
    },
    {
      name: 'processes',
      value: 'N',
      help: 'how many processes serve handshakes, one for each core',
      default: '1',
    },
    {
      name: 'max-connections',
      value: 'N',
      help: 'how many devices may be connected to provision at the same time (16384, or what the system allows)',
    },
    {
      name: 'places',
      value: 'FILE',
      help: 'database of places (.mmdb) for the handshakes, or "none" (countries, from the program)',
    },
    {
      name: 'mail',
      value: 'FILE',
      help: 'mail server of hooks: a file with two lines, smtps://USER:PASSWORD@HOST and the sender (none)',
    },
    { name: 'private-hooks', help: 'hooks may lead into private networks and to this host' },
    DATA,
  ],
  examples: [
    'enf-fabric serve',
    'enf-fabric serve --host-services tcp/22,udp/53',
    'enf-fabric serve --identity-listen 127.0.0.1:4440 --tunnel-listen 127.0.0.1:4430 --tun none',
  ],
  async run(invocation) {
    const [{ serve }, { MOST_ROUTER_THREADS }] = await Promise.all([
      import('../serve.ts'),
      import('../router/router.ts'),
    ]);
    const identity = parseListen(invocation.required('identity-listen'));
    const tunnel = parseListen(invocation.required('tunnel-listen'));
    const tunName = invocation.required('tun');
    const tun = tunName === 'none' ? undefined : tunName;
    const offers = invocation.options('host-services');
    const hostServices = offers.length === 0 ? NO_SERVICES : parseServices(offers);
    const log = stderrLog();
    const stopped = askedToStop();
    const processes = whole('processes', invocation.required('processes'), 64);
    const most = invocation.option('max-connections');
    const threads = invocation.option('router-threads');
    const fabric = await serve({
      data: invocation.required('data'),
      identity,
      tunnel,
      tun,
      hostServices,
      places: invocation.option('places'),
      mail: invocation.option('mail'),
      privateHooks: invocation.flag('private-hooks'),
      log,
      processes,
      ...(threads === undefined
        ? {}
        : { routerThreads: whole('router-threads', threads, MOST_ROUTER_THREADS) }),
      ...(most === undefined ? {} : { maxConnections: whole('max-connections', most, 1_000_000) }),
    });
    const { ecdaa, curves } = fabric.arithmetic;
    if (ecdaa === 'noble' || curves === 'portable') {
      log(
        'warning',
        `without the addon's arithmetic handshakes are slow: group signatures ${ecdaa}, curves ${curves}`,
      );
    }
    const ready = {
      identity: formatListen({ ...identity, port: fabric.identityPort }),
      tunnel: formatListen({ ...tunnel, port: fabric.tunnelPort }),
      arithmetic: fabric.arithmetic,
      tun: tun ?? null,
      hostServices: tun === undefined ? null : formatServices(hostServices),
      networks: fabric.networks,
    };
    // One line in either form: the program that started this one waits for it.
    process.stdout.write(
      invocation.flag('json')
        ? `${JSON.stringify({ ready })}\n`
        : `enf-fabric ready: identity ${ready.identity}, tunnel ${ready.tunnel}, tun ${tunName}, group signatures ${ecdaa}, ` +
            `networks ${ready.networks.join(' ') || 'none'}\n`,
    );
    await stopped;
    log('notice', 'stopping');
    await fabric.stop();
    return undefined;
  },
};

/** @throws Failure `cli.bad-option` */
function whole(option: string, text: string, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= most) return value;
  throw new Failure(
    'cli.bad-option',
    'operator',
    `--${option}: expected a whole number from 1 to ${most}, got ${JSON.stringify(text.slice(0, 20))}`,
    { action: `Give --${option} a number, or leave it out.` },
  );
}
