import type { TlsAnswer } from '../../os/net/probe.ts';
import type { Endpoint } from '../../os/net/service.ts';
import { isFailure } from '../../protocol/failure.ts';
import type { Probes, Route } from './probes.ts';
import { type TargetAddress, targets } from './targets.ts';

/** One port of one address. Exactly one of `connectMs` and `error` is there. */
export interface PortReport {
  readonly port: number;
  readonly purpose: 'tunnel' | 'identity';
  readonly connectMs?: number;
  /** Code of the failure. */
  readonly error?: string;
  readonly message?: string;
}

export interface AddressReport {
  readonly host: string;
  readonly address: string;
  readonly family: 4 | 6;
  readonly route: Route | null;
  readonly ports: readonly PortReport[];
  /** With the tunnel's port; null if it could not be tried. */
  readonly tls: Pick<TlsAnswer, 'verdict' | 'reason' | 'issuer' | 'handshakeMs'> | null;
  /** Whether full-size packets of the link arrive; null if that could not be tried. */
  readonly fullPackets: boolean | null;
}

export interface NetReport {
  /** A router of this fabric answers on at least one address, and what a device without an identity needs, too. */
  readonly usable: boolean;
  /** The identity server's port answers on at least one address. */
  readonly provisionable: boolean;
  /** The device has an identity; null if that cannot be read. */
  readonly provisioned: boolean | null;
  /** Names without any address. */
  readonly unresolved: readonly string[];
  readonly addresses: readonly AddressReport[];
}

/** Tries each configured host, with each of its addresses, on both ports. An address that does not answer takes a few seconds. */
export async function checkNetwork(probes: Probes): Promise<NetReport> {
  const hosts = await targets(probes);
  const addresses = await Promise.all(
    hosts.flatMap(({ addresses, ...host }) =>
      addresses.map((address) => examineAddress(probes, host, address)),
    ),
  );
  const router = addresses.some(({ tls }) => tls?.verdict === 'trusted');
  const provisionable = addresses.some(({ ports }) =>
    ports.some(({ purpose, error }) => purpose === 'identity' && error === undefined),
  );
  const provisioned = await hasIdentity(probes);
  return {
    usable: router && (provisionable || provisioned !== false),
    provisionable,
    provisioned,
    unresolved: hosts.filter(({ addresses }) => addresses.length === 0).map(({ host }) => host),
    addresses,
  };
}

/** Null if the state cannot be read, by this user for instance. */
async function hasIdentity(probes: Probes): Promise<boolean | null> {
  try {
    return (await probes.state()).address !== undefined;
  } catch (error) {
    if (!isFailure(error)) throw error;
    return null;
  }
}

async function examineAddress(
  probes: Probes,
  { host, port }: Endpoint,
  address: string,
): Promise<AddressReport> {
  const { identityPort } = probes.config.remote;
  const ports = [
    await tryPort(probes, address, port, 'tunnel'),
    await tryPort(probes, address, identityPort, 'identity'),
  ];
  const reachable = ports[0]!.error === undefined;
  const router = { address, port };
  const small = reachable ? await tryHandshake(probes, router, false) : undefined;
  const large =
    small !== undefined && small.verdict !== 'broken' ? await tryHandshake(probes, router, true) : undefined;
  return {
    host,
    address,
    family: address.includes(':') ? 6 : 4,
    route: (await probes.route(address)) ?? null,
    ports,
    tls: small ? answerOf(small) : null,
    fullPackets: large ? large.verdict !== 'broken' : null,
  };
}

async function tryPort(
  probes: Probes,
  address: string,
  port: number,
  purpose: PortReport['purpose'],
): Promise<PortReport> {
  try {
    return { port, purpose, connectMs: tenths(await probes.connect(address, port)) };
  } catch (error) {
    if (!isFailure(error)) throw error;
    return { port, purpose, error: error.code, message: error.message };
  }
}

/** Undefined where not even a root is known, or the connection was gone again. */
async function tryHandshake(
  probes: Probes,
  { address, port }: TargetAddress,
  large: boolean,
): Promise<TlsAnswer | undefined> {
  try {
    return await probes.tls(address, port, large);
  } catch (error) {
    if (!isFailure(error)) throw error;
    return undefined;
  }
}

const answerOf = ({ verdict, reason, issuer, handshakeMs }: TlsAnswer): AddressReport['tls'] => ({
  verdict,
  ...(reason !== undefined && { reason }),
  ...(issuer !== undefined && { issuer }),
  handshakeMs: tenths(handshakeMs),
});

const tenths = (ms: number): number => Math.round(ms * 10) / 10;

const TLS_TEXT: Record<TlsAnswer['verdict'], string> = {
  trusted: 'a router of this fabric',
  dated: 'a router of this fabric, but its certificate is not valid by this device’s clock',
  misnamed: 'signed by the configured root, but without the name or the usage of a router',
  foreign: 'not a router of this fabric',
  broken: 'no handshake',
};

/** The report for people. */
export function describeNetwork(report: NetReport): string {
  const { unresolved, addresses } = report;
  const lines = addresses.flatMap(({ host, address, route, ports, tls, fullPackets }) => [
    `${host === address ? '' : `${host} `}${address}`,
    `  route        ${route ? `${route.gateway ?? 'the link'} on ${route.device}${route.mtu ? `, path MTU ${route.mtu}` : ''}` : 'none'}`,
    ...ports.map(
      ({ purpose, port, connectMs, error, message }) =>
        `  ${purpose.padEnd(12)} port ${port}: ${error === undefined ? `${connectMs} ms` : `${message} [${error}]`}`,
    ),
    ...(tls
      ? [
          `  tls          ${TLS_TEXT[tls.verdict]}${tls.reason ? ` (${tls.reason})` : ''}${tls.issuer ? `, signed by ${tls.issuer}` : ''}, ${tls.handshakeMs} ms`,
        ]
      : []),
    ...(fullPackets === null
      ? []
      : [
          `  full-size    ${fullPackets ? 'packets arrive' : 'packets are lost: a link on the way has a smaller MTU, and its ICMP is filtered'}`,
        ]),
  ]);
  return [...unresolved.map((host) => `${host}: no address found`), ...lines, conclusion(report)].join('\n');
}

function conclusion({ usable, provisionable, provisioned, addresses }: NetReport): string {
  const router = addresses.some(({ tls }) => tls?.verdict === 'trusted');
  const tunnel = router ? 'A tunnel can be set up from here' : 'No tunnel can be set up from here';
  if (provisionable) return `${tunnel}.`;
  const identity = 'the port of the identity server answers nowhere';
  if (usable) return `${tunnel}; ${identity}, which a device that has its identity does not need.`;
  return provisioned === false
    ? `${tunnel}, but ${identity}: this device, which has no identity yet, cannot get one.`
    : `${tunnel}, and ${identity}.`;
}
