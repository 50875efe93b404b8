import { choice, list, span, spanOr, spanOrOff, text, whole, yesNo } from '../../cli/config/key-types.ts';
import { loopback } from '../../cli/config/loopback.ts';
import { isRefusal, type Refusal, refuse } from '../../cli/config/refusal.ts';
import { missingKey, readSettings, type Settings, writeSettings } from '../../cli/config/settings.ts';
import { HOST_ORDERS } from '../../os/net/choice.ts';
import { Failure } from '../../protocol/failure.ts';
import { formatIpv6, formatPrefix, type Prefix, parseIpv6, parsePrefix } from '../../protocol/ipv6.ts';
import { WIRE_CHOICES } from '../../protocol/tunnel/wire.ts';
import { estUrl } from './est-url.ts';
import { readHost, readRemote } from './host.ts';
import { isPkcs11, readPkcs11 } from './pkcs11-uri.ts';
import { proxyUrl } from './proxy-url.ts';
import { formatService, readService } from './service.ts';

/**
 * The agent's configuration: one table has each key's section, name, type, bounds, default and meaning.
 * Everything else (the `Config` type, the checks, `check-config`, docs/config.md's test) follows from it.
 */

const absolute = (value: string): string | undefined =>
  value.startsWith('/') ? undefined : 'an absolute path such as /var/lib/enf-agent';
const orEmpty =
  (check: (value: string) => string | undefined) =>
  (value: string): string | undefined =>
    value === '' ? undefined : check(value);

/** Why it names no key. What is refused may have a PIN in it, and is not shown. */
const keyPlace = (value: string): string | undefined => {
  if (!isPkcs11(value))
    return value.startsWith('/')
      ? undefined
      : 'an absolute path such as /etc/enf/machine.key, or a URI that begins with "pkcs11:"';
  const read = readPkcs11(value);
  return isRefusal(read) ? read.expected : undefined;
};

function readPrefix(value: string): Prefix | Refusal {
  try {
    const prefix = parsePrefix(value);
    // ::/0 would send the tunnel's own connection through the tunnel.
    return prefix.length === 0 ? refuse('a prefix longer than /0') : prefix;
  } catch (error) {
    return refuse(`an IPv6 prefix such as "fd00:1::/64" (${(error as Error).message})`);
  }
}

function readServer(value: string): Uint8Array | Refusal {
  try {
    const address = parseIpv6(value);
    const isOne = address.some((byte) => byte !== 0) && address[0] !== 0xff && formatIpv6(address) !== '::1';
    if (isOne) return address;
  } catch {
    // Said below.
  }
  return refuse('the IPv6 address of a host, such as "fd00:1::53"');
}

const readInterface = (value: string): string | Refusal =>
  /^(?:[A-Za-z0-9._-]{1,15}|[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5})$/.test(value)
    ? value
    : refuse('an interface name, or a hardware address such as "02:00:00:00:00:01"');

/** Labels as the fabric's zones have them, at most 101 characters. */
const ZONE =
  /^(?=.{1,101}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\.?$/;

const SUITES = [1, 2, 3, 4] as const;

/** All keys, by section. */
export const SCHEMA = {
  remote: {
    hosts: list('host names or addresses', 1, readRemote, String, {
      doc: 'Where the fabric is: names or literal addresses, tried one after the other with all addresses of each, those that failed in the last ten minutes last. `"_enf._tcp.example.org"`: the hosts and ports of its SRV records.',
    }),
    order: choice(HOST_ORDERS, {
      default: '"spread"',
      doc: 'With which of several hosts this device begins. `spread`: one of its own, by chance: neighbours in the list change places if both are names, or both addresses. `listed`: with the first, and all devices do.',
    }),
    'tunnel-port': whole(1, 65_535, { default: '443', doc: 'TCP port of the tunnel router.' }),
    'identity-port': whole(1, 65_535, { default: '444', doc: 'TCP port of the identity server (XTT).' }),
    'connect-timeout': span(1_000, 300_000, {
      default: '"10s"',
      doc: 'How long a TCP connection, a TLS handshake or one message of the identity server may take.',
    }),
    'tls-root': text(
      {
        default: '""',
        doc: "PEM or DER file with the root of the router's certificate; empty: the one that came with the credential.",
      },
      orEmpty(absolute),
    ),
    'tls-name': text(
      {
        default: '""',
        doc: 'Name or address that the router\'s certificate must have; empty: one of `remote.hosts`, but none is needed where the root is the credential\'s or made by `enf-fabric init`. `"*"`: any, for a root of others that signs routers only.',
      },
      orEmpty((value) =>
        value === '*' || !isRefusal(readHost(value)) ? undefined : 'a host name, an address, or "*"',
      ),
    ),
    proxy: proxyUrl({
      default: '""',
      doc: 'An HTTP proxy to connect through (CONNECT), such as `"http://proxy.example:3128"`, perhaps with `user:password@`; empty: none.',
    }),
    'proxy-login-file': text(
      {
        default: '""',
        doc: 'File with `user:password` for the proxy, so that the password is not in this file; read again for each connection.',
      },
      orEmpty(absolute),
    ),
  },
  identity: {
    mode: choice(['tpm', 'software', 'pki'], {
      default: '"tpm"',
      doc: "Where the keys are: in the TPM, or in files on machines that have none. `pki`: a certificate of a CA of the fabric's owner, in files, or got with `enf-agent enroll` (pki.md).",
    }),
    'credential-dir': text(
      {
        default: '""',
        doc: 'Folder that `enf-factory device personalise --software` wrote; required in software mode.',
      },
      orEmpty(absolute),
    ),
    certificate: text(
      {
        default: '""',
        doc: 'Mode `pki`: PEM file with the certificate of this machine and its intermediates, read for each connection; empty: `enf-agent enroll` gets one.',
      },
      orEmpty(absolute),
    ),
    key: {
      ...text(
        {
          default: '""',
          doc: 'PEM file with the key of that certificate, or the URI of one in a PKCS#11 token, such as `"pkcs11:token=plant;object=pump?pin-source=file:/etc/enf/pin"` (pki.md); required with it.',
        },
        orEmpty(keyPlace),
      ),
      secret: true as const,
    },
    'est-server': estUrl({
      default: '""',
      doc: 'Where `enf-agent enroll` and renewals get certificates (EST, RFC 7030), such as `"https://fabric.example.org:9443/.well-known/est"`; empty: at `remote.hosts`, port 9443.',
    }),
    'key-in': choice(['auto', 'tpm', 'file'], {
      default: '"auto"',
      doc: 'Where the keys of such certificates are made: `auto`: in the TPM if there is one at the first enrolment, else in a file of the state folder, and then always there.',
    }),
    basename: text(
      {
        default: '""',
        doc: "Overrides the basename of the credential, at most 64 bytes; empty: the credential's own.",
      },
      (value) => (new TextEncoder().encode(value).length <= 64 ? undefined : 'at most 64 bytes of text'),
    ),
    suite: {
      ...whole(1, 4, {
        default: '1',
        doc: 'XTT suite: 1 ChaCha20-Poly1305 and SHA-512, 2 the same with BLAKE2b, 3 AES-256-GCM and SHA-512, 4 the same with BLAKE2b.',
      }),
      read: (value: unknown) =>
        SUITES.find((suite) => suite === value) ?? refuse('a suite number from 1 to 4'),
    },
    address: text(
      {
        default: '""',
        doc: 'The IPv6 address to ask for; granted only if this device already owns it. Empty: the fabric chooses. In mode `pki`: the own address, if the certificate has none.',
      },
      orEmpty((value) => (isAddress(value) ? undefined : 'an IPv6 address such as "fd00::1"')),
    ),
    'rotate-after': spanOrOff(3_600_000, 315_360_000_000, {
      default: '"off"',
      doc: 'How old the longterm key may become: at 90 to 100 % of that the device makes another one and proves itself with it, at the same address.',
    }),
  },
  tpm: {
    tcti: text(
      { default: '"device:/dev/tpmrm0"', doc: 'How to reach the TPM, in tpm2-tss notation.' },
      (value) => (/^[a-z]+:.+$/.test(value) ? undefined : 'a TCTI such as "device:/dev/tpmrm0"'),
    ),
  },
  tunnel: {
    device: text({ default: '"enf0"', doc: 'Name of the TUN interface.' }, (value) =>
      /^[A-Za-z][A-Za-z0-9._-]{0,14}$/.test(value) ? undefined : 'an interface name of at most 15 characters',
    ),
    mtu: whole(1_280, 1_496, { default: '1280', doc: 'MTU of the TUN interface.' }),
    wire: choice(WIRE_CHOICES, {
      default: '"auto"',
      doc: "`auto`: super-frames with a router that knows them, else enftun's frames; `legacy`: enftun's frames in any case.",
    }),
    'heartbeat-period': spanOr(['auto'], 1_000, 3_600_000, {
      default: '"auto"',
      doc: 'How long the tunnel may be silent before a heartbeat is sent; `"auto"`: 25 s, or less if the fabric asks for it, as one of several hosts does (scale.md); `"300s"` against an original ENF. Whoever sets this or the next key keeps both.',
    }),
    'heartbeat-timeout': spanOr(['auto'], 500, 300_000, {
      default: '"auto"',
      doc: 'How long to wait for an answer to a heartbeat before the connection counts as dead; `"auto"`: 10 s, or less if the fabric asks for it.',
    }),
    fwmark: whole(0, 4_294_967_295, {
      default: '0',
      doc: "Firewall mark of the agent's own connections, for policy routing; 0: none, but 363 in lockdown.",
    }),
    'assign-address': yesNo({
      default: 'true',
      doc: 'Give the interface the own address; false if a host behind it has it (see `lan.enabled`).',
    }),
  },
  route: {
    mode: choice(['split', 'lockdown'], {
      default: '"split"',
      doc: 'What goes through the tunnel: the prefixes, or all traffic of this host.',
    }),
    prefixes: list('IPv6 prefixes', 0, readPrefix, formatPrefix, {
      default: '[]',
      doc: 'What goes through the tunnel in split mode; empty: the /64 of the own address.',
    }),
    'allow-ipv4': yesNo({ default: 'false', doc: 'Let IPv4 packets pass through the tunnel too.' }),
    'trusted-interfaces': list('interface names or hardware addresses', 0, readInterface, String, {
      default: '[]',
      doc: 'Interfaces that lockdown exempts, in both directions; a hardware address such as "02:00:00:00:00:01" finds an interface after it was renamed.',
    }),
    table: whole(256, 8_000, {
      default: '2097',
      doc: 'Routing table for the agent alone: of the lockdown, and of `route.prefixes` where the fabric may have an address inside; its number times four is the first of its four rule priorities.',
    }),
    'persist-lockdown': yesNo({
      default: 'false',
      doc: 'Keep the lockdown when the agent stops; traffic that is not exempt is then blocked until it runs again.',
    }),
  },
  lan: {
    enabled: yesNo({
      default: 'false',
      doc: 'Answer router solicitations and DHCPv6 on the interface, for a host behind it that uses the own address.',
    }),
    'default-route': yesNo({
      default: 'false',
      doc: 'Advertise a default route; false: only the own /64 and `route.prefixes`.',
    }),
    'advertise-period': span(4_000, 1_800_000, {
      default: '"10m"',
      doc: 'How often routes are advertised without a solicitation.',
    }),
  },
  dns: {
    zone: text(
      {
        default: '""',
        doc: 'Domain of the network\'s names, such as `"plant.internal"`: systemd-resolved asks the fabric\'s host for names in it, over the tunnel, and for no others (dns.md); empty: no resolver is told.',
      },
      orEmpty((value) => (ZONE.test(value) ? undefined : 'a domain such as "plant.internal"')),
    ),
  },
  delegation: {
    interface: text(
      {
        default: '""',
        doc: 'LAN interface that gets the /64 which the fabric delegates to this device (prefix.md); empty: none.',
      },
      orEmpty((value) =>
        /^[A-Za-z0-9._-]{1,15}$/.test(value) ? undefined : 'an interface name of at most 15 characters',
      ),
    ),
    open: list('services such as "tcp/22", "udp/5000-5010" or "icmp"', 0, readService, formatService, {
      default: '[]',
      doc: 'What others may begin with the machines on the LAN; without it only the answers to what these have begun come in.',
    }),
    dhcp: choice(['off', 'stateless', 'stateful'], {
      default: '"off"',
      doc: 'What machines on the LAN are answered by DHCPv6, beside router advertisements: nothing; what else than addresses they ask for; addresses, too. Needs CAP_NET_BIND_SERVICE.',
    }),
    dns: list(
      'IPv6 addresses',
      0,
      readServer,
      formatIpv6,
      {
        default: '[]',
        doc: 'DNS servers that the machines on the LAN are told of, by router advertisements (RDNSS) and DHCPv6; eight at most.',
      },
      8,
    ),
    table: whole(256, 8_000, {
      default: '2096',
      doc: 'Routing table for what comes from and goes to the delegated prefix; its number times four is the first of its two rule priorities.',
    }),
  },
  state: {
    directory: text(
      {
        default: '"/var/lib/enf-agent"',
        doc: 'The only folder the agent writes to; created with mode 0700 if it is missing.',
      },
      absolute,
    ),
  },
  metrics: {
    listen: loopback({
      default: '""',
      doc: 'Loopback address and port for Prometheus, such as `"127.0.0.1:9464"`; empty: only on the control socket.',
    }),
  },
  control: {
    socket: text(
      {
        default: '"/run/enf-agent/control.sock"',
        doc: 'Unix socket on which the agent answers `enf-agent status`.',
      },
      (value) => absolute(value) ?? (value.length <= 100 ? undefined : 'a path of at most 100 characters'),
    ),
  },
};

/** The checked configuration; `tunnel-port` is `tunnelPort`, durations are milliseconds. */
export type Config = Settings<typeof SCHEMA>;

export const DEFAULT_PATH = '/etc/enf/agent.toml';
export const MANUAL = 'docs/config.md';

/**
 * Reads the configuration's text. `path` is named in failures.
 * @throws Failure `config.bad-toml`, `config.unknown-key`, `config.missing-key`, `config.bad-value`
 */
export function parseConfig(source: string, path: string): Config {
  const config = readSettings(SCHEMA, source, { path, manual: MANUAL });
  if (config.identity.mode === 'software' && config.identity.credentialDir === '') {
    throw missingKey(
      { path, manual: MANUAL },
      'identity.credential-dir',
      'is required when identity.mode is "software"',
    );
  }
  const { mode, certificate, key, estServer } = config.identity;
  if (mode === 'pki' && (certificate === '') !== (key === '')) {
    const absent = certificate === '' ? 'identity.certificate' : 'identity.key';
    throw missingKey({ path, manual: MANUAL }, absent, 'is required with the other of the two');
  }
  if (certificate !== '' && estServer !== undefined) {
    throw new Failure(
      'config.bad-value',
      'operator',
      `${path}: identity.est-server and identity.certificate exclude each other`,
      { action: 'Leave out est-server if the certificate comes in a file, else certificate and key.' },
    );
  }
  return config;
}

/** The effective configuration as TOML: what `check-config` prints. */
export const renderConfig = (config: Config): string => writeSettings(SCHEMA, config);

/** True if the certificate of this device comes from an EST server. */
export const isEnrolled = ({ identity }: Pick<Config, 'identity'>): boolean =>
  identity.mode === 'pki' && identity.certificate === '';

/** True if keys of this device may be in the TPM. */
export const mayUseTpm = (config: Pick<Config, 'identity'>): boolean =>
  config.identity.mode === 'tpm' || (isEnrolled(config) && config.identity.keyIn !== 'file');

function isAddress(value: string): boolean {
  try {
    return formatIpv6(parseIpv6(value)) !== '::';
  } catch {
    return false;
  }
}
