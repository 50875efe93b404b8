import { Failure } from '../../protocol/failure.ts';
import type { LibconfigGroup, LibconfigValue } from './libconfig.ts';

type Setting = string | number | boolean | readonly string[];
type Settings = Readonly<Record<string, Readonly<Record<string, Setting>>>>;

/** An enftun configuration in our terms. */
export interface Translation {
  readonly settings: Settings;
  readonly files: { readonly certificate: string; readonly key: string; readonly root: string };
  readonly notes: readonly string[];
}

/** Something in the configuration has no counterpart here. */
export function cannotImport(what: string, why: string): Failure {
  return new Failure('enftun.cannot-take-over', 'operator', `${what} ${why}`, {
    action:
      'Change that in a copy of the configuration and import the copy, or write /etc/enf/agent.toml yourself.',
  });
}

/** enftun's defaults (enftun.md §9) where they are not ours. */
const DEFAULTS = {
  hosts: ['23.147.128.112'],
  root: '/etc/enftun/enf.cacert.pem',
  heartbeatPeriod: 300_000,
  heartbeatTimeout: 10_000,
  fwmark: 363,
  prefixes: ['default'],
  raPeriod: 600_000,
};
const LOCKDOWN = ['default', '::/0'];

/**
 * Translates an enftun configuration. Unknown keys are ignored, as enftun does.
 * @throws Failure `enftun.cannot-take-over`
 */
export function translate(root: LibconfigGroup): Translation {
  const [tun, remote, route, identity] = ['tun', 'remote', 'route', 'identity'].map((name) =>
    group(root, name),
  ) as [Section, Section, Section, Section];
  const notes: string[] = [];
  const prefixes = route.texts('prefixes') ?? DEFAULTS.prefixes;
  const lockdown = prefixes.some((prefix) => LOCKDOWN.includes(prefix));
  const bridged = tun.truth('ip_set') === false;
  if (lockdown) {
    notes.push('"default" among the prefixes is lockdown here: docs/routes.md lists what stays exempt');
    if (prefixes.length > 1) notes.push('in lockdown the other prefixes have no meaning');
  }
  if (identity.text('ip_file') !== undefined) {
    notes.push('identity.ip_file is not written any more: "enf-agent status --json" shows the address');
  }
  const node = tun.text('dev_node');
  if (node !== undefined && node !== '/dev/net/tun')
    throw cannotImport(`tun.dev_node "${node}"`, 'is always /dev/net/tun here');
  const lan: Settings = bridged
    ? {
        lan: {
          enabled: true,
          'default-route': lockdown,
          'advertise-period': `${route.number('ra_period') ?? DEFAULTS.raPeriod}ms`,
        },
      }
    : {};
  const xtt = identity.group('xtt');
  return {
    settings: {
      remote: {
        hosts: remote.texts('hosts') ?? DEFAULTS.hosts,
        // As enftun does.
        order: 'listed',
        ...some('tunnel-port', port(remote, 'port')),
        ...some('identity-port', xtt && port(xtt, 'remote_port')),
      },
      identity: some('basename', xtt?.text('basename')),
      ...tpm(identity, notes),
      tunnel: {
        ...some('device', tun.text('dev')),
        'heartbeat-period': `${remote.number('heartbeat_period') ?? DEFAULTS.heartbeatPeriod}ms`,
        'heartbeat-timeout': `${remote.number('heartbeat_timeout') ?? DEFAULTS.heartbeatTimeout}ms`,
        fwmark: route.number('fwmark') ?? DEFAULTS.fwmark,
        ...(bridged && { 'assign-address': false }),
      },
      route: {
        ...(lockdown ? { mode: 'lockdown' } : { prefixes: prefixes.map(asPrefix) }),
        ...some('table', route.number('table')),
        ...some('trusted-interfaces', route.texts('trusted_interfaces')),
        ...some('allow-ipv4', route.truth('allow_ipv4')),
      },
      ...lan,
    },
    files: {
      certificate: required(identity, 'cert_file'),
      key: required(identity, 'key_file'),
      root: remote.text('ca_cert_file') ?? DEFAULTS.root,
    },
    notes,
  };
}

/** A prefix without a length is a single address. */
const asPrefix = (prefix: string): string => (prefix.includes('/') ? prefix : `${prefix}/128`);

const some = <T extends Setting>(name: string, value: T | undefined): Record<string, T> =>
  value === undefined ? {} : { [name]: value };

function required(identity: Section, name: string): string {
  const value = identity.text(name);
  if (value === undefined) throw cannotImport(`identity.${name}`, 'is not set, so there is no identity');
  return value;
}

/** Ports are text in enftun; names of services are not imported. */
function port(section: Section, name: string): number | undefined {
  const value = section.textOrNumber(name);
  if (value === undefined) return undefined;
  if (!/^\d{1,5}$/.test(String(value))) throw cannotImport(`the port "${value}"`, 'is not a number');
  return Number(value);
}

/** How to reach the TPM. Its parent key is in the key file. */
function tpm(identity: Section, notes: string[]): Settings {
  const given = identity.group('tpm');
  if (given?.text('password') !== undefined) {
    throw cannotImport('identity.tpm.password', 'has no counterpart: keys with a password are not used here');
  }
  const kind = given?.text('tcti') ?? 'device';
  if (kind === 'socket') {
    const host = given?.text('socket_host') ?? 'localhost';
    return { tpm: { tcti: `mssim:host=${host},port=${given?.text('socket_port') ?? '2321'}` } };
  }
  if (kind !== 'device')
    throw cannotImport(`identity.tpm.tcti "${kind}"`, 'is neither "device" nor "socket"');
  const device = given?.text('device') ?? '/dev/tpm0';
  const managed = device.replace(/^\/dev\/tpm(\d+)$/, '/dev/tpmrm$1');
  if (managed !== device)
    notes.push(`${managed} is used instead of ${device}: several programs can share it`);
  return { tpm: { tcti: `device:${managed}` } };
}

/** A group whose settings are asked for by type; a setting of another type than expected cannot be imported. */
interface Section {
  text(name: string): string | undefined;
  number(name: string): number | undefined;
  truth(name: string): boolean | undefined;
  textOrNumber(name: string): string | number | undefined;
  texts(name: string): readonly string[] | undefined;
  /** Undefined if it is not there. */
  group(name: string): Section | undefined;
}

function group(root: LibconfigGroup, name: string): Section {
  return section(root[name] ?? {}, name);
}

function section(value: LibconfigValue, path: string): Section {
  const fields = isGroup(value) ? value : undefined;
  if (fields === undefined) throw cannotImport(path, 'is not a group');
  const read = <T>(
    name: string,
    what: string,
    is: (given: LibconfigValue) => given is LibconfigValue & T,
  ) => {
    const given = fields[name];
    if (given === undefined) return undefined;
    if (!is(given)) throw cannotImport(`${path}.${name}`, `is not ${what}`);
    return given as T;
  };
  return {
    text: (name) => read(name, 'text', (given): given is string => typeof given === 'string'),
    number: (name) => read(name, 'a number', (given): given is number => typeof given === 'number'),
    truth: (name) => read(name, 'true or false', (given): given is boolean => typeof given === 'boolean'),
    textOrNumber: (name) =>
      read(name, 'text', (given): given is string | number => ['string', 'number'].includes(typeof given)),
    texts: (name) =>
      read(
        name,
        'a list of text',
        (given): given is readonly string[] =>
          Array.isArray(given) && given.every((each) => typeof each === 'string'),
      ),
    group(name) {
      const given = fields[name];
      return given === undefined ? undefined : section(given, `${path}.${name}`);
    },
  };
}

const isGroup = (value: LibconfigValue): value is LibconfigGroup =>
  typeof value === 'object' && !Array.isArray(value);
