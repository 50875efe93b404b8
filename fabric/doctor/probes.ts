import { X509Certificate } from 'node:crypto';
import { stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { readBounded, readFailure } from '../../os/files/read.ts';
import { runCommand } from '../../os/linux/command.ts';
import { readTrimmed } from '../../os/linux/machine.ts';
import { type Interface, kernel, MAIN_TABLE, type Route } from '../../os/linux/network-config.ts';
import { parseListen } from '../../os/net/listen.ts';
import { reach } from '../../os/net/probe.ts';
import { Failure } from '../../protocol/failure.ts';
import { lastBackup } from '../backup/last.ts';
import { type BgpSession, bgpSessions } from '../bgp/birdc.ts';
import { hasRule, ruleOf } from '../host/tunnel-routes.ts';
import { type DatabaseServer, isOnServer, registryServers } from '../open-registry.ts';
import { askServing, type Serving } from '../operations/contract/serving.ts';
import type { NetworkView } from '../operations/views/groups.ts';
import type { AnchorView } from '../operations/views/pki.ts';
import { loadAuthority, newestRoot } from '../pki/authority.ts';
import { FILES, pathOf, rootFolder } from '../pki/files.ts';

/** When a certificate is valid, in milliseconds since 1970. */
export interface Validity {
  readonly file: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** `built`: milliseconds since 1970, as the file says. */
export interface PlaceDatabases {
  readonly databases: readonly { readonly source: string; readonly built: number }[];
  readonly oldDays: number;
}

/** Everything that checks ask of the machine and of the fabric. Each changes nothing, and comes back in a few seconds. */
export interface Probes {
  wallMs(): number;
  /** When the registry was last written, milliseconds since 1970, and whether something synchronises the clock; undefined: that cannot be told. @throws Failure `os.…` */
  clock(): Promise<{ readonly writtenMs: number; readonly synchronised: boolean | undefined }>;
  /** Undefined if no fabric serves the data folder, null if it is about to. @throws Failure `control.…` */
  serving(): Promise<Serving | null | undefined>;
  /** @throws Failure of the fabric or its registry */
  networks(): AsyncIterable<NetworkView>;
  /** Of all owners. @throws Failure of the fabric or its registry */
  cas(): Promise<readonly AnchorView[]>;
  /** @throws Failure `os.…` */
  interfaces(): Promise<readonly Interface[]>;
  /** Those through a device that exists. @throws Failure `os.…` */
  routes(device: string): Promise<readonly Route[]>;
  /** Whether the host looks up the table before its main one. @throws Failure `os.…` */
  hasRule(table: number): Promise<boolean>;
  /** Of BIRD, asked at this socket; undefined if nothing is there. @throws Failure `bgp.no-answer`, `bgp.not-permitted` */
  bgpSessions(socket: string): Promise<readonly BgpSession[] | undefined>;
  /** The database servers of the registry; undefined if it is in a file. @throws Failure `registry.bad-url`, `registry.exposed` */
  databases(): Promise<readonly DatabaseServer[] | undefined>;
  /** A file under /proc/sys, trimmed; undefined if it is not there. */
  sysctl(path: string): Promise<string | undefined>;
  /** Connects to where a fabric listens. @throws Failure `net.…` */
  connect(listen: string): Promise<void>;
  /** Of the newest TLS root and the router. @throws Failure `os.…`, `fabric.bad-authority` */
  certificates(): Promise<readonly Validity[]>;
  /** When the newest backup was made, milliseconds since 1970; undefined if none is known. */
  backupAt(): Promise<number | undefined>;
  /** The databases of places that the configuration names, and after how many days one is old (0: never). @throws Failure `config.…`, `geo.…`, `os.…` */
  places(): Promise<PlaceDatabases>;
  /** Bytes that are free on the disk of the data folder, and those of the registry. @throws Failure `os.…` */
  disk(): Promise<{ readonly free: number; readonly registry: number }>;
}

const PATIENCE_MS = 5_000;

/** The probes of this machine and the fabric in the data folder; what the configuration names is not among them. */
export function machineProbes(
  data: string,
  networks: () => AsyncIterable<NetworkView>,
): Omit<Probes, 'cas' | 'places'> {
  let serving: Promise<Serving | null | undefined> | undefined;
  return {
    wallMs: Date.now,
    clock: async () => ({ writtenMs: await lastWrite(data), synchronised: await isSynchronised() }),
    serving: () => (serving ??= askServing(pathOf(data, 'control'))),
    networks,
    interfaces: kernel.interfaces,
    routes: (device) => kernel.routes(6, MAIN_TABLE, device),
    hasRule: async (table) => hasRule(await kernel.rules(6), ruleOf({ table })),
    bgpSessions,
    databases: () => registryServers(pathOf(data, 'registry')),
    sysctl: (path) => readTrimmed(`/proc/sys/${path}`),
    async connect(listen) {
      const { host, port } = parseListen(listen);
      await reach({ address: ANY[host] ?? host, port, mark: 0, timeoutMs: PATIENCE_MS });
    },
    async certificates() {
      const folder = rootFolder(data, newestRoot(await loadAuthority(data)).number);
      return Promise.all([FILES.tlsRoot, FILES.router].map((file) => validityOf(join(folder, file))));
    },
    backupAt: () => lastBackup(data),
    async disk() {
      const path = pathOf(data, 'registry');
      try {
        const { bavail, bsize } = await statfs(data);
        const registry = isOnServer(path) ? 0 : (await stat(path)).size;
        return { free: bavail * bsize, registry };
      } catch (error) {
        throw readFailure(path, 'registry', error);
      }
    },
  };
}

/** The registry itself is written seldom, what was committed since is in the file beside it. */
async function lastWrite(data: string): Promise<number> {
  const path = pathOf(data, 'registry');
  const times = await Promise.all(
    [path, `${path}-wal`].map((each) =>
      stat(each).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      ),
    ),
  );
  return Math.max(...times);
}

/** As adjtimex(2) says to `timedatectl`; undefined without it. */
async function isSynchronised(): Promise<boolean | undefined> {
  const options = { timeoutMs: PATIENCE_MS, maxBytes: 1_000 };
  const said = await runCommand('timedatectl', ['show', '--property=NTPSynchronized', '--value'], options);
  return said.kind === 'exited' && said.code === 0 ? said.stdout.trim() === 'yes' : undefined;
}

/** How this host reaches itself where a program listens on every address. */
const ANY: Readonly<Record<string, string>> = { '::': '::1', '0.0.0.0': '127.0.0.1' };

async function validityOf(path: string): Promise<Validity> {
  const pem = await readBounded(path, 'certificate');
  try {
    const { validFrom, validTo } = new X509Certificate(pem);
    return { file: path, fromMs: Date.parse(validFrom), toMs: Date.parse(validTo) };
  } catch (cause) {
    throw new Failure('fabric.bad-authority', 'operator', `${path} is no certificate`, {
      action: 'Restore the folder from a backup; do not mix files of two fabrics.',
      cause,
    });
  }
}
