import { formatListen } from '../../os/net/listen.ts';
import { Failure } from '../../protocol/failure.ts';
import { formatServices, type HostServices } from '../host/services.ts';
import { DUTIES, type Duty } from '../registry/nodes.ts';
import type { Config } from './config.ts';
import { isLoopback } from './origin.ts';

/** What keys of a configuration have to be together. */

/** Without TLS the console is on loopback, and TLS takes a certificate and its key. @throws Failure `config.bad-console` */
export function checkConsole({ listen, certificate, key }: Config['console']): void {
  if ((certificate === '') !== (key === '')) {
    throw badConsole('the certificate of the console and its key are given together', 'Give both.');
  }
  if (certificate === '' && !isLoopback(listen.host)) {
    throw badConsole(
      `the console cannot listen on ${formatListen(listen)}: without TLS it is served on loopback only`,
      'Give it a certificate and its key, or put a proxy with TLS in front of [::1].',
    );
  }
}

const badConsole = (message: string, action: string): Failure =>
  new Failure('config.bad-console', 'operator', message, { action });

/** Tunnels lead through a TUN device, and nodes have names. @throws Failure `config.bad-routes` */
export function checkRoutes({ routes, host, node }: Pick<Config, 'routes' | 'host' | 'node'>): void {
  if (!routes.install) return;
  if (host.tun === 'none')
    throw badRoutes(
      'host.tun is "none": the routes of tunnels lead through a TUN device',
      'Give host.tun a name, such as "enf-fabric0", or switch routes.install off.',
    );
  if (node.name === '')
    throw badRoutes(
      'node.name is empty: the routes are for other nodes, and each has a name',
      'Give this host a name that no other node has, or switch routes.install off.',
    );
}

const badRoutes = (message: string, action: string): Failure =>
  new Failure('config.bad-routes', 'operator', `routes.install is on, and ${message}`, { action });

/** What is switched on is served, and what is not served here other nodes do. @throws Failure `config.bad-serves` */
export function checkServes(config: Pick<Config, 'node' | 'routes' | 'host' | 'dns' | 'est'>): void {
  const { node, routes, host, dns, est } = config;
  if (DUTIES.some((duty) => !node.serves.includes(duty)) && node.name === '')
    throw badServes(
      node.serves,
      'node.name is empty: other nodes serve the rest, and each has a name',
      'Give this host a name that no other node has, or leave node.serves out.',
    );
  const needed: readonly (readonly [boolean, string, Duty])[] = [
    [routes.install, 'routes.install is on', 'tunnels'],
    [isAny(host.services), 'host.services has services', 'tunnels'],
    [dns.serve, 'dns.serve is on', 'tunnels'],
    [est.listen !== undefined, 'est.listen is given', 'identity'],
  ];
  for (const [given, what, duty] of needed)
    if (given && !node.serves.includes(duty))
      throw badServes(
        node.serves,
        `${what}, which is for a host that serves ${duty}`,
        `Add "${duty}" to node.serves, or leave that key out.`,
      );
}

/** @throws Failure `config.bad-serves` */
export function requireServed({ serves }: Config['node'], duty: Duty): void {
  if (serves.includes(duty)) return;
  throw badServes(
    serves,
    `this was asked to serve the ${duty}`,
    `Do it on a host that does, or add "${duty}" to node.serves. "systemctl disable --now enf-console" keeps the console from starting here.`,
  );
}

const isAny = (services: HostServices): boolean => formatServices(services) !== 'none';

const badServes = (serves: readonly Duty[], message: string, action: string): Failure =>
  new Failure('config.bad-serves', 'operator', `node.serves is ${serves.join(', ')}, and ${message}`, {
    action,
  });
