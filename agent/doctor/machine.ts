import { hostArithmetic } from '../../crypto/host-arithmetic.ts';
import { primitives } from '../../crypto/primitives.ts';
import { queryJson, runQuery } from '../../os/linux/command.ts';
import { ipv6Disabled } from '../../os/linux/ipv6.ts';
import { linkPrefixes } from '../../os/linux/links.ts';
import { deviceFile, freeSpace, namesIn, ownIdentity, readTrimmed } from '../../os/linux/machine.ts';
import { systemdResolved } from '../../os/linux/resolved.ts';
import { isLiteral, type Lookup, systemLookup } from '../../os/net/lookup.ts';
import { reach, tryHttp, tryTls } from '../../os/net/probe.ts';
import { markedLookup } from '../../os/net/resolver.ts';
import { systemClocks } from '../../os/service/process.ts';
import { sign } from '../../protocol/crypto/member.ts';
import { groupVerifier } from '../../protocol/crypto/verifier.ts';
import { isFailure } from '../../protocol/failure.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import { ALPN_CONTROL } from '../../protocol/tunnel/wire.ts';
import { openTpm, type Tpm } from '../../tpm/context.ts';
import { inspect } from '../../tpm/inspect.ts';
import { probe } from '../../tpm/probe.ts';
import { type Config, isEnrolled } from '../config/config.ts';
import { proxyOf } from '../config/proxy.ts';
import { certificateKeys } from '../identity/certificate-keys.ts';
import { keyLost, notEnrolled, shown } from '../identity/enrolled.ts';
import { isUnloadable, type KeyStore } from '../identity/key-store.ts';
import { openKeys } from '../identity/keys.ts';
import { checkNamedKey, readNamedCertificate, tokenOf, viewOf } from '../identity/named-certificate.ts';
import type { CertificateView } from '../identity/session.ts';
import { routerTrust } from '../identity/tls-root.ts';
import { markOf } from '../network/policy.ts';
import { askStatus } from '../status/client.ts';
import type { ForeignManager, Probes, Route } from './probes.ts';
import { enrolledWith, viewState } from './state-view.ts';

/** One answer of the network, or of a program of the system. */
const PATIENCE_MS = 5_000;
/** A TPM that another program holds is not waited for. */
const TPM_OPTIONS = { timeoutMs: 10_000, retryMs: 2_000 };

/** The probes of this machine. */
export function machineProbes(config: Config): Probes {
  const once = new Map<string, Promise<unknown>>();
  const remembered = <T>(what: string, ask: () => Promise<T>): Promise<T> => {
    const known = once.get(what) ?? ask();
    once.set(what, known);
    return known as Promise<T>;
  };
  const mark = markOf(config.route.mode, config.tunnel.fwmark);
  const ordinary = config.route.mode === 'split' && config.tunnel.fwmark === 0;
  const resolver = ordinary ? systemLookup : markedLookup(mark);
  const proxy = proxyOf(config);
  const far = { mark, proxy, timeoutMs: Math.min(config.remote.connectTimeout, PATIENCE_MS) };
  const root = () =>
    remembered('root', () =>
      routerTrust(config, async () =>
        config.identity.mode === 'pki' ? undefined : withKeys(config, (keys) => keys.tlsRoot()),
      ),
    );
  return {
    config,
    wallMs: systemClocks.wallMs,
    builtMs: systemClocks.builtMs,
    clockSynchronised,
    deviceFile,
    identity: ownIdentity,
    tpmDevices: async () => (await namesIn('/dev', /^tpm(rm)?\d+$/)).map((name) => `/dev/${name}`),
    capabilities: () => remembered('capabilities', () => withTpm(config, probe)),
    inspection: () => remembered('inspection', () => withTpm(config, inspect)),
    membership: () => withKeys(config, proveMembership),
    async certificate() {
      if (isEnrolled(config)) return enrolled(config);
      const { address, facts } = await readNamedCertificate(config);
      await checkNamedKey(config);
      return viewOf(facts, formatIpv6(address), tokenOf(config) === undefined ? 'file' : 'token');
    },
    tlsRoot: async () => (await root()).ca,
    lookup: (host) => remembered(`lookup ${host}`, () => resolver(host)),
    links: () => linkPrefixes(config.tunnel.device),
    route: async (address) => routeTo(proxy ? await addressOf(proxy.host, resolver) : address, mark),
    connect: (address, port) =>
      remembered(`connect ${address} ${port}`, () => reach({ ...far, address, port })),
    tls: (address, port, large) =>
      remembered(`tls ${address} ${port} ${large}`, async () =>
        tryTls({ ...far, address, port, ...(await root()), alpn: ALPN_CONTROL, large }),
      ),
    http: (address) => remembered(`http ${address}`, () => tryHttp({ ...far, address, port: 80 })),
    sysctl: (path) => readTrimmed(`/proc/sys/${path}`),
    ipv6Disabled: () => ipv6Disabled(config.tunnel.device),
    linkNames: () => systemdResolved().read(config.tunnel.device),
    foreignManagers: () => foreignManagers(config.tunnel.device),
    freeSpace,
    state: () => viewState(config.state.directory),
    status: () => remembered('status', () => askStatus(config.control.socket)).catch(() => undefined),
  };
}

async function withTpm<T>(config: Config, ask: (tpm: Tpm) => Promise<T>): Promise<T> {
  const tpm = await openTpm(config.tpm.tcti, TPM_OPTIONS);
  try {
    return await ask(tpm);
  } finally {
    await tpm.close();
  }
}

async function withKeys<T>(config: Config, ask: (keys: KeyStore) => Promise<T>): Promise<T> {
  const keys = await openKeys(config, TPM_OPTIONS);
  try {
    return await ask(keys);
  } finally {
    await keys.close();
  }
}

/** What the device was enrolled with. Its key has to load here, unless a running agent keeps the TPM. */
async function enrolled(config: Config): Promise<CertificateView> {
  const current = await enrolledWith(config.state.directory);
  if (current === undefined) throw notEnrolled();
  const keys = certificateKeys(config, new AbortController().signal, TPM_OPTIONS);
  try {
    await (await keys.load(current.key)).close();
  } catch (error) {
    if (isUnloadable(error)) throw keyLost(error);
    if (!isFailure(error, 'tpm.busy') && !isFailure(error, 'tpm.timeout')) throw error;
  } finally {
    await keys.close();
  }
  return shown(current);
}

/** Signs a random message for the group and verifies the signature. */
async function proveMembership(keys: KeyStore): Promise<boolean> {
  const { gpk, credential, basename } = await keys.credential();
  const message = primitives.random(32);
  const signature = await sign(
    primitives,
    await keys.daaKey(),
    credential,
    message,
    basename,
    hostArithmetic(),
  );
  return groupVerifier(primitives, gpk, basename).verify(signature, message);
}

/** Whether the kernel's clock is synchronised, by whichever time service. */
async function clockSynchronised(): Promise<boolean | undefined> {
  const output = await runQuery('timedatectl', ['show', '-p', 'NTPSynchronized', '--value'], PATIENCE_MS);
  const said = output?.code === 0 ? output.text.trim() : '';
  return said === 'yes' || said === 'no' ? said === 'yes' : undefined;
}

/** The first address of a host; the host itself if it has none. */
async function addressOf(host: string, resolver: Lookup): Promise<string> {
  if (isLiteral(host)) return host;
  return (await resolver(host).catch(() => []))[0] ?? host;
}

async function routeTo(address: string, mark: number): Promise<Route | undefined> {
  const answer = await queryJson(
    'ip',
    ['-j', 'route', 'get', address, ...(mark === 0 ? [] : ['mark', String(mark)])],
    PATIENCE_MS,
  );
  const way = Array.isArray(answer) ? (answer[0] as Record<string, unknown> | undefined) : undefined;
  if (typeof way?.dev !== 'string' || way.type === 'unreachable') return undefined;
  const metrics = (way.metrics as readonly { readonly mtu?: unknown }[] | undefined)?.[0];
  return {
    device: way.dev,
    ...(typeof way.gateway === 'string' && { gateway: way.gateway }),
    ...(typeof metrics?.mtu === 'number' && { mtu: metrics.mtu }),
  };
}

async function foreignManagers(device: string): Promise<readonly ForeignManager[]> {
  const found: ForeignManager[] = [];
  const links = (await queryJson('networkctl', ['--json=short', 'list'], PATIENCE_MS)) as
    | { readonly Interfaces?: readonly { readonly Name?: string; readonly AdministrativeState?: string }[] }
    | undefined;
  if (Array.isArray(links?.Interfaces)) {
    const ours = links.Interfaces.find(({ Name }) => Name === device);
    const manages = ours !== undefined && ours.AdministrativeState !== 'unmanaged';
    found.push({ name: 'systemd-networkd', manages });
  }
  // "-t" is nmcli's format for programs.
  const devices = await runQuery('nmcli', ['-t', '-f', 'DEVICE,STATE', 'device'], PATIENCE_MS);
  if (devices?.code === 0) {
    const state = devices.text
      .split('\n')
      .find((line) => line.startsWith(`${device}:`))
      ?.slice(device.length + 1);
    // A device that NetworkManager only watches is "connected (externally)".
    const manages = state !== undefined && state !== 'unmanaged' && !state.includes('externally');
    found.push({ name: 'NetworkManager', manages });
  }
  return found;
}
