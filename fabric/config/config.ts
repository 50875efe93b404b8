import { isIP } from 'node:net';
import { choice, type Key, list, span, spanOr, text, whole, yesNo } from '../../cli/config/key-types.ts';
import { loopback } from '../../cli/config/loopback.ts';
import { isRefusal, type Refusal, refuse } from '../../cli/config/refusal.ts';
import { readSettings, type Settings, writeSettings } from '../../cli/config/settings.ts';
import { formatListen, type ListenAddress, parseListen } from '../../os/net/listen.ts';
import { isFailure } from '../../protocol/failure.ts';
import type { Beats } from '../../protocol/tunnel/beats.ts';
import { BEATS_LEAST_PERIOD, BEATS_LEAST_TIMEOUT } from '../../protocol/tunnel/wire.ts';
import { OWNER_ROLES } from '../access/roles.ts';
import { formatServices, type HostServices, NO_SERVICES, parseServices } from '../host/services.ts';
import { DUTIES, type Duty, isNodeName } from '../registry/nodes.ts';
import { issuerOf, originOf } from './origin.ts';

/** The configuration of a fabric and of its console: one table from which the checks, `check-config`, the man page and docs/fabric-config.md follow. */

const MOST_PROCESSES = 64;
const MOST_THREADS = 16;
const MOST_CONNECTIONS = 1_000_000;

const MOST_TABLE = 4_294_967_295;
/** default, main and local. */
const TAKEN_TABLES: readonly number[] = [253, 254, 255];
/** Those that the kernel and routing daemons use (linux/rtnetlink.h, /etc/iproute2/rt_protos). */
const TAKEN_PROTOCOLS: readonly number[] = [
  ...Array.from({ length: 18 }, (_, i) => i + 1),
  ...[42, 84, 99, 186, 187, 188, 189, 192],
];

/** A whole number, but for those that are taken. */
function number(
  from: number,
  to: number,
  taken: readonly number[],
  meaning: { readonly default: string; readonly doc: string },
): Key<number> {
  const key = whole(from, to, meaning);
  return {
    ...key,
    read(value) {
      const read = key.read(value);
      return typeof read === 'number' && taken.includes(read)
        ? refuse(`a whole number from ${from} to ${to} that nothing else uses, which ${read} is not`)
        : read;
    },
  };
}

/** What `parse` makes of a text, or `expected` if it refuses it. */
function tried<T>(parse: () => T, expected: string): T | Refusal {
  try {
    return parse();
  } catch (error) {
    if (!isFailure(error)) throw error;
    return refuse(expected);
  }
}

/** An address and a port to listen on. */
function listening(meaning: { readonly default: string; readonly doc: string }): Key<ListenAddress> {
  const expected = 'an address and a port such as "[::]:444" or "192.0.2.1:444"';
  return {
    type: 'address and port',
    toml: 'text',
    ...meaning,
    read: (value) =>
      typeof value === 'string' ? tried(() => parseListen(value), expected) : refuse(expected),
    write: (value) => JSON.stringify(formatListen(value)),
  };
}

/** The same, or empty text for nowhere. */
function perhapsListening(meaning: {
  readonly default: string;
  readonly doc: string;
}): Key<ListenAddress | undefined> {
  const key = listening(meaning);
  return {
    ...{ type: 'text', toml: 'text', ...meaning },
    read: (value) => (value === '' ? undefined : key.read(value)),
    write: (value) => (value === undefined ? '""' : key.write(value)),
  };
}

const SERVICES = list('services', 0, (value) => value, String, {
  default: '[]',
  doc: 'What devices may use of this host: `"tcp/22"`, `"udp/53"`, `"tcp/8000-8010"`, `"icmp"`, or only `"all"`.',
});

/** Services of this host; `all` stands alone. */
const services: Key<HostServices> = {
  ...SERVICES,
  read(value) {
    const words = SERVICES.read(value);
    if (isRefusal(words)) return words;
    return tried(
      () => (words.length === 0 ? NO_SERVICES : parseServices(words)),
      'services such as "tcp/22", "udp/53", "tcp/8000-8010" or "icmp", or only "all"',
    );
  },
  write: (value) => {
    const words = formatServices(value);
    return JSON.stringify(words === 'none' ? [] : words.split(','));
  },
};

const DUTY_WORDS = 'the words "identity", "tunnels" and "console"';

const SERVED = list(
  'duties',
  1,
  (word) => DUTIES.find((duty) => duty === word) ?? refuse(DUTY_WORDS),
  String,
  {
    default: '["identity", "tunnels", "console"]',
    doc: 'What this host serves: `"identity"` (handshakes, EST), `"tunnels"` (the router and its TUN device), `"console"` (console, API, alarms); less than all takes a `node.name` (nodes.md).',
  },
);

/** Each once, in the order of `DUTIES`. */
const duties: Key<readonly Duty[]> = {
  ...SERVED,
  read(value) {
    const words = SERVED.read(value);
    if (isRefusal(words)) return refuse(`a list of ${DUTY_WORDS}, one or more`);
    return DUTIES.filter((duty) => words.includes(duty));
  },
};

const absolute = (value: string): string | undefined =>
  value === '' || value.startsWith('/') ? undefined : 'an absolute path, or empty text';

const isOrigin = (value: string): string | undefined =>
  value === '' || originOf(value) !== undefined
    ? undefined
    : 'scheme, name and port such as "https://console.example"; http:// for this machine only';

const isIssuer = (value: string): string | undefined =>
  value === '' || issuerOf(value) !== undefined
    ? undefined
    : 'an address such as "https://login.example"; http:// for this machine only';

const CLAIM = /^[\w:/.-]{1,100}$/;
const DOMAIN = /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$/;

/** All keys, by section. */
export const SCHEMA = {
  identity: {
    listen: listening({ default: '"[::]:444"', doc: 'Where devices provision (XTT).' }),
    processes: whole(1, MOST_PROCESSES, {
      default: '1',
      doc: 'How many processes serve handshakes, one for each core.',
    }),
    'max-connections': whole(0, MOST_CONNECTIONS, {
      default: '0',
      doc: 'How many devices may be connected to provision at the same time; 0: what the system allows, up to 16384.',
    }),
  },
  node: {
    name: text(
      {
        default: '""',
        doc: 'Name of this host among several that serve one registry together, such as `"a"` (nodes.md); empty: it serves alone, or on PostgreSQL has the first label of its host\'s name.',
      },
      (value) =>
        value === '' || isNodeName(value)
          ? undefined
          : '1 to 63 lower-case letters, digits and hyphens, none of them a hyphen at an end',
    ),
    address: text(
      {
        default: '""',
        doc: 'Where the other hosts reach this one, an address such as `"2001:db8::1"`; empty: it is not said.',
      },
      (value) => (value === '' || isIP(value) !== 0 ? undefined : 'an IPv6 or IPv4 address, or empty text'),
    ),
    serves: duties,
  },
  tunnel: {
    listen: listening({ default: '"[::]:443"', doc: 'Where tunnels end (TLS).' }),
    threads: whole(0, MOST_THREADS, {
      default: '0',
      doc: 'How many threads carry packets; 0: two, or one on a single core.',
    }),
    'connects-per-second': whole(10, MOST_CONNECTIONS, {
      default: '300',
      doc: 'How many tunnels may begin in a second, with all routers of the fabric together; devices wait so long between their attempts that no more come.',
    }),
    'heartbeat-period': spanOr(['auto', 'off'], BEATS_LEAST_PERIOD, 300_000, {
      default: '"auto"',
      doc: 'Devices are told to send a heartbeat after so much silence, so that they notice soon that this host is gone (scale.md); `"auto"`: 4 s if `node.name` is set, else nothing; `"off"`: nothing. They shorten their own period (25 s), and prolong nothing.',
    }),
    'heartbeat-timeout': span(BEATS_LEAST_TIMEOUT, 60_000, {
      default: '"3s"',
      doc: 'How long they wait for the answer then, before they go to another host.',
    }),
    decommission: yesNo({
      default: 'true',
      doc: 'A device may retire itself over its tunnel, for good (`enf-agent decommission`); false: only its owner may.',
    }),
  },
  est: {
    listen: perhapsListening({
      default: '""',
      doc: 'Where machines get certificates of the CAs whose key the fabric has (EST), such as `"[::]:9443"`; empty: nowhere.',
    }),
  },
  host: {
    tun: text(
      {
        default: '"enf-fabric0"',
        doc: 'TUN device through which this host reaches the devices, or `"none"`.',
      },
      (value) =>
        /^[A-Za-z][A-Za-z0-9._-]{0,14}$/.test(value)
          ? undefined
          : 'an interface name of at most 15 characters, or "none"',
    ),
    services,
  },
  routes: {
    install: yesNo({
      default: 'false',
      doc: 'This host is one of several nodes: the routes of its tunnels are put into a kernel table, from which BIRD tells the others of them (scale.md).',
    }),
    table: number(1, MOST_TABLE, TAKEN_TABLES, {
      default: '100',
      doc: 'That table; nothing else may use it, and it is looked up before the main one.',
    }),
    protocol: number(1, 255, TAKEN_PROTOCOLS, {
      default: '77',
      doc: "The protocol number of these routes (`rtm_protocol`): what has it in that table is the fabric's.",
    }),
    'bird-socket': text(
      {
        default: '"/run/bird/bird.ctl"',
        doc: 'Where BIRD is asked whether other nodes learn of these routes; devices leave a node where they do not (nodes.md). Empty: nobody asks.',
      },
      absolute,
    ),
  },
  dns: {
    serve: yesNo({
      default: 'false',
      doc: 'Answer DNS questions of devices at the address `::1` of each network that has a zone (`enf-fabric network zone`).',
    }),
  },
  places: {
    database: text(
      {
        default: '""',
        doc: 'Database of places (.mmdb) for the handshakes; empty: countries, from the program; `"none"`: no places.',
      },
      (value) =>
        value === 'none' ? undefined : absolute(value) && 'an absolute path, "none", or empty text',
    ),
  },
  geo: {
    'city-file': text(
      {
        default: '""',
        doc: 'Database of cities (.mmdb) beside that one, such as GeoLite2 City or DB-IP; empty: places are countries.',
      },
      absolute,
    ),
    'old-days': whole(0, 3_650, {
      default: '365',
      doc: 'The alarm `places.old` is raised for a database of places that was made so many days ago; 0: never.',
    }),
  },
  hooks: {
    'mail-file': text(
      {
        default: '""',
        doc: 'File that says by which server mail leaves, in two lines: `smtps://USER:PASSWORD@HOST` and the sender; empty: none.',
      },
      absolute,
    ),
    private: yesNo({
      default: 'false',
      doc: 'Hooks, and addresses of lists of revoked certificates, may lead into private networks and to this host.',
    }),
  },
  metrics: {
    listen: loopback({
      default: '""',
      doc: 'Loopback address and port for Prometheus, such as `"127.0.0.1:9465"`; empty: only on the control socket.',
    }),
  },
  console: {
    listen: listening({
      default: '"[::1]:8480"',
      doc: 'Where the console and the API are; without a certificate on loopback only.',
    }),
    certificate: text(
      { default: '""', doc: 'File with the certificate chain of the console, PEM; empty: plain HTTP.' },
      absolute,
    ),
    key: text({ default: '""', doc: 'File with its private key, PEM.' }, absolute),
    origin: text(
      {
        default: '""',
        doc: 'Where browsers find the console, behind a proxy and for passkeys, such as `"https://console.example"`.',
      },
      isOrigin,
    ),
    compat: yesNo({
      default: 'false',
      doc: 'Answer the calls of `enftun-keygen`, go-enf and its Terraform provider, too (compat.md).',
    }),
  },
  openid: {
    issuer: text(
      {
        default: '""',
        doc: 'OpenID issuer at whose accounts people sign in, such as `"https://login.example"`; empty: none.',
      },
      isIssuer,
    ),
    'client-id': text({ default: '""', doc: 'What the issuer knows the console by.' }),
    'secret-file': text(
      { default: '""', doc: 'File with the secret of that client; empty: a public client, with PKCE alone.' },
      absolute,
    ),
    claim: text(
      {
        default: '"email"',
        doc: 'Claim that is the login of a person, which invites name; an `"email"` has to be verified by the issuer.',
      },
      (value) => (CLAIM.test(value) ? undefined : 'the name of a claim'),
    ),
    domains: list(
      'domains',
      0,
      (value) => (DOMAIN.test(value) ? value : refuse('domains in small letters such as "example.org"')),
      String,
      {
        default: '[]',
        doc: 'Whose e-mail address is in one of these comes in without an invite; else nobody does.',
      },
    ),
    'domain-claim': text(
      {
        default: '""',
        doc: 'Claim that names the domain whose account it is, such as `"hd"`, and has to be one of those, too; empty: the address counts alone.',
      },
      (value) => (value === '' || CLAIM.test(value) ? undefined : 'the name of a claim'),
    ),
    role: choice(OWNER_ROLES, {
      default: '"auditor"',
      doc: 'The role of whoever comes in without an invite.',
    }),
    name: text(
      { default: '""', doc: 'How people know the issuer: it stands on the button; empty: its host name.' },
      (value) => (value.length <= 40 ? undefined : 'at most 40 characters'),
    ),
  },
};

/** The checked configuration; `max-connections` is `maxConnections`. */
export type Config = Settings<typeof SCHEMA>;

export const DEFAULT_PATH = '/etc/enf/fabric.toml';
export const MANUAL = 'docs/fabric-config.md';

/**
 * Reads the configuration's text. `path` is named in failures.
 * @throws Failure `config.bad-toml`, `config.unknown-key`, `config.bad-value`
 */
export const parseConfig = (source: string, path: string): Config =>
  readSettings(SCHEMA, source, { path, manual: MANUAL });

/** The effective configuration as TOML: what `check-config` prints. */
export const renderConfig = (config: Config): string => writeSettings(SCHEMA, config);

/** For one of several hosts: the tunnels of one that is lost are elsewhere within ten seconds. */
const PERIOD_OF_NODE_MS = 4_000;

/** Which heartbeats devices are told of; undefined: none. */
export function heartbeats({ tunnel, node }: Pick<Config, 'tunnel' | 'node'>): Beats | undefined {
  const { heartbeatPeriod: period, heartbeatTimeout: timeoutMs } = tunnel;
  if (period === 'off' || (period === 'auto' && node.name === '')) return undefined;
  return { periodMs: period === 'auto' ? PERIOD_OF_NODE_MS : period, timeoutMs };
}
