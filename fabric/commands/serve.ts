import { hostname } from 'node:os';
import type { Command } from '../../cli/program.ts';
import { formatListen, type ListenAddress } from '../../os/net/listen.ts';
import { stderrLog } from '../../os/service/log.ts';
import { askedToStop } from '../../os/service/process.ts';
import { checkRoutes, checkServes } from '../config/checks.ts';
import { heartbeats } from '../config/config.ts';
import { formatServices } from '../host/services.ts';
import { ownName } from '../nodes/own-name.ts';
import { isOnServer } from '../open-registry.ts';
import { servedText } from '../operations/contract/serving.ts';
import { pathOf } from '../pki/files.ts';
import type { Duty } from '../registry/nodes.ts';
import type { Arithmetic } from '../serve.ts';
import { DATA } from './common/context.ts';
import { CONFIG, override, readConfig } from './common/settings.ts';

const OVERRIDES = [
  override('serves', 'LIST', 'node', 'serves'),
  override('identity-listen', 'ADDRESS', 'identity', 'listen'),
  override('tunnel-listen', 'ADDRESS', 'tunnel', 'listen'),
  override('est-listen', 'ADDRESS', 'est', 'listen'),
  override('tun', 'NAME', 'host', 'tun'),
  override('host-services', 'LIST', 'host', 'services'),
  override('dns', undefined, 'dns', 'serve'),
  override('router-threads', 'N', 'tunnel', 'threads'),
  override('processes', 'N', 'identity', 'processes'),
  override('max-connections', 'N', 'identity', 'max-connections'),
  override('places', 'FILE', 'places', 'database'),
  override('city-file', 'FILE', 'geo', 'city-file'),
  override('mail', 'FILE', 'hooks', 'mail-file'),
  override('private-hooks', undefined, 'hooks', 'private'),
];

export const serveCommand: Command = {
  name: 'serve',
  summary:
    'Runs the fabric: gives devices their identity and carries their packets; or a part of that (--serves).',
  options: [CONFIG, ...OVERRIDES.map(({ option }) => option), DATA],
  examples: [
    'enf-fabric serve',
    'enf-fabric serve --host-services tcp/22,udp/53',
    'enf-fabric serve --serves identity',
    'enf-fabric serve --identity-listen 127.0.0.1:4440 --tunnel-listen 127.0.0.1:4430 --tun none',
  ],
  async run(invocation) {
    const config = await readConfig(invocation, OVERRIDES);
    checkRoutes(config);
    checkServes(config);
    const { identity, node, tunnel, est, host, routes, dns, places, geo, hooks, metrics } = config;
    const { console: ofConsole } = config;
    const beats = heartbeats(config);
    const data = invocation.required('data');
    const name = ownName(node.name, isOnServer(pathOf(data, 'registry')), hostname());
    const { serve } = await import('../serve.ts');
    const tun = host.tun === 'none' ? undefined : host.tun;
    const log = stderrLog();
    let reload = async (): Promise<void> => {};
    const stopped = askedToStop(() => void reload());
    const fabric = await serve({
      data,
      serves: node.serves,
      identity: identity.listen,
      tunnel: tunnel.listen,
      ...(name !== '' && {
        node: { name, ...(node.address !== '' && { address: node.address }) },
      }),
      ...(est.listen !== undefined && { est: est.listen }),
      tun,
      hostServices: host.services,
      names: dns.serve,
      ...(routes.install && { routes }),
      places: { database: places.database || undefined, cityFile: geo.cityFile || undefined },
      placesOldDays: geo.oldDays,
      mail: hooks.mailFile || undefined,
      consoleCertificate: ofConsole.certificate || undefined,
      privateHooks: hooks.private,
      ...(metrics.listen !== undefined && { metrics: metrics.listen }),
      log,
      processes: identity.processes,
      ...(tunnel.threads !== 0 && { routerThreads: tunnel.threads }),
      decommission: tunnel.decommission,
      connectsPerSecond: tunnel.connectsPerSecond,
      ...(beats !== undefined && { beats }),
      ...(identity.maxConnections !== 0 && { maxConnections: identity.maxConnections }),
    });
    reload = fabric.reload;
    const { arithmetic } = fabric;
    if (arithmetic?.ecdaa === 'noble' || arithmetic?.curves === 'portable') {
      log(
        'warning',
        `without the addon's arithmetic handshakes are slow: group signatures ${arithmetic.ecdaa}, curves ${arithmetic.curves}`,
      );
    }
    const at = (listen: ListenAddress | undefined, port: number | undefined): string | null =>
      listen === undefined || port === undefined ? null : formatListen({ ...listen, port });
    const hasTun = tun !== undefined && fabric.tunnelPort !== undefined;
    const ready: Ready = {
      serves: node.serves,
      identity: at(identity.listen, fabric.identityPort),
      tunnel: at(tunnel.listen, fabric.tunnelPort),
      est: at(est.listen, fabric.estPort),
      arithmetic: arithmetic ?? null,
      tun: hasTun ? tun : null,
      hostServices: hasTun ? formatServices(host.services) : null,
      networks: fabric.networks,
    };
    // One line in either form: the program that started this one waits for it.
    process.stdout.write(`${invocation.flag('json') ? JSON.stringify({ ready }) : readyText(ready)}\n`);
    const failure = await Promise.race([stopped, fabric.failed]);
    log('notice', 'stopping');
    await fabric.stop();
    if (failure !== undefined) throw failure;
    return undefined;
  },
};

/** What a fabric says once it serves; null: not here. */
interface Ready {
  readonly serves: readonly Duty[];
  readonly identity: string | null;
  readonly tunnel: string | null;
  readonly est: string | null;
  readonly arithmetic: Arithmetic | null;
  readonly tun: string | null;
  readonly hostServices: string | null;
  readonly networks: readonly string[];
}

function readyText(ready: Ready): string {
  const { tunnel, est, arithmetic, tun, networks } = ready;
  const parts = [
    servedText(ready),
    ...(est === null ? [] : [`EST ${est}`]),
    ...(tunnel === null ? [] : [`tun ${tun ?? 'none'}`]),
    ...(arithmetic === null ? [] : [`group signatures ${arithmetic.ecdaa}`]),
    `networks ${networks.join(' ') || 'none'}`,
  ];
  return `enf-fabric ready: ${parts.join(', ')}`;
}
