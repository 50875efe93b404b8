import { SCHEMA as AGENT } from '../agent/config/config.ts';
import type { Key } from '../cli/config/key-types.ts';
import { SCHEMA as FABRIC } from '../fabric/config/config.ts';

/** What the man pages of a program say beside its commands. */
export interface About {
  readonly files: readonly Term[];
  readonly environment: readonly Term[];
  /** Other pages, as `name(section)`. */
  readonly seeAlso: readonly string[];
  /** Its configuration file, if it has one. */
  readonly configuration?: {
    readonly path: string;
    readonly schema: Schema;
    readonly example: readonly string[];
  };
}

/** A term and its explanation. */
export type Term = readonly [string, string];

export type Schema = Readonly<
  Record<string, Readonly<Record<string, Pick<Key<unknown>, 'type' | 'default' | 'doc'>>>>
>;

const NOTIFY: Term = [
  'NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID',
  'Set by systemd: where and how often the program reports that it is ready and alive.',
];

/** By the name of the program. */
export const ABOUT: Readonly<Record<string, About>> = {
  'enf-agent': {
    files: [
      ['/etc/enf/agent.toml', 'The configuration, see enf-agent.toml(5).'],
      [
        '/var/lib/enf-agent',
        'The identity: the certificate, and the key as a blob that only this TPM can load.',
      ],
      [
        '/run/enf-agent/control.sock',
        'The control socket that "enf-agent status" uses; for root and the group enf.',
      ],
      [
        '/run/enf-agent/online, /run/enf-agent/offline',
        'Exactly one of them exists; systemd starts enf-online.target or enf-offline.target accordingly.',
      ],
      ['/etc/enf/NAME.toml', 'The configuration of the additional instance enf-agent@NAME.service.'],
    ],
    environment: [NOTIFY, ['RUNTIME_DIRECTORY', 'Set by systemd: where the files online and offline are.']],
    seeAlso: ['enf-agent.toml(5)', 'systemctl(1)', 'journalctl(1)'],
    configuration: {
      path: '/etc/enf/agent.toml',
      schema: AGENT,
      example: ['[remote]', 'hosts = ["enf.example.net", "203.0.113.7"]'],
    },
  },
  'enf-fabric': {
    files: [
      ['/etc/enf/fabric.toml', 'The configuration, see enf-fabric.toml(5).'],
      [
        '/var/lib/enf-fabric',
        'The keys and certificates of the fabric, and its registry; for the user enf-fabric. Back it up with "enf-fabric backup create".',
      ],
      [
        '/var/lib/enf-fabric/control.sock',
        'The control socket of the running fabric, which all commands use; for root and the group enf-fabric.',
      ],
      [
        '/var/lib/enf-fabric/registry.db-before-upgrade',
        'The registry as it was before an upgrade changed its schema the last time.',
      ],
      ['/var/lib/enf-fabric/trust.json', 'The trust bundle, for enf-factory.'],
    ],
    environment: [NOTIFY],
    seeAlso: ['enf-fabric.toml(5)', 'enf-factory(1)', 'systemctl(1)', 'journalctl(1)'],
    configuration: {
      path: '/etc/enf/fabric.toml',
      schema: FABRIC,
      example: ['[host]', 'services = ["tcp/22", "icmp"]'],
    },
  },
  'enf-factory': {
    files: [
      ['trust.json', 'The trust bundle of the fabric, made by "enf-fabric init".'],
      ['GROUP/journal.jsonl', 'The journal of a batch: one line for each thing that happened to a device.'],
      ['GROUP/manifest', 'The signed manifest of a batch that is closed.'],
    ],
    environment: [],
    seeAlso: ['enf-fabric(1)', 'enf-agent(1)'],
  },
};
