import { hasNativeAcceptor } from '../../os/net/acceptor.ts';
import type { ListenAddress } from '../../os/net/listen.ts';
import type { Log } from '../../os/service/log.ts';
import { descriptorLimit } from '../../os/service/process.ts';
import { Failure } from '../../protocol/failure.ts';
import type { ServerKey } from '../../protocol/xtt/stateless.ts';
import type { Registry } from '../registry/registry.ts';
import { openListeningSocket } from './acceptor.ts';
import { DEADLINES, LIMITS, type Limits } from './limits.ts';
import { type IdentityServer, startIdentityServer } from './server.ts';
import { startWorkerPool } from './workers.ts';

/** Files and sockets beside the connections of devices that provision: registry, logs, control socket, tunnels. */
const RESERVED_DESCRIPTORS = 512;

export interface StartOptions {
  readonly listen: ListenAddress;
  /** At least one; the first is for devices that do not say which root they trust. */
  readonly keys: readonly ServerKey[];
  readonly registry: Registry;
  readonly log: Log;
  /** How many processes serve handshakes; 1: this one does. */
  readonly processes: number;
  /** Connections that devices may have open; as many as the system allows, up to 16,384, if undefined. */
  readonly maxConnections: number | undefined;
}

/** The identity server, in this process or in others. */
export async function startIdentity(
  options: StartOptions,
): Promise<Pick<IdentityServer, 'port' | 'native' | 'replaceKeys' | 'close'>> {
  const { listen, keys, registry, log, processes, maxConnections } = options;
  const limits = connectionLimits(maxConnections, processes);
  if (processes === 1) return startIdentityServer({ listen, keys, registry, log, limits });
  if (!hasNativeAcceptor()) throw needsAddon();
  const { descriptor, port } = openListeningSocket(listen);
  const config = { keys, limits, deadlines: DEADLINES };
  const pool = await startWorkerPool({ processes, descriptor, config, registry, log });
  const unsubscribe = registry.subscribe((change) => {
    if (change.kind === 'group' || change.kind === 'everything') pool.forgetGroups();
  });
  return {
    port,
    native: pool.native,
    replaceKeys: pool.replaceKeys,
    close(graceMs) {
      unsubscribe();
      return pool.close(graceMs);
    },
  };
}

/**
 * How many connections each process accepts. The number asked for has to be possible: each connection needs a descriptor, and
 * so do the registry, the tunnels and the log. @throws Failure `fabric.too-few-descriptors`
 */
export function connectionLimits(
  asked: number | undefined,
  processes: number,
  descriptors = descriptorLimit(),
): Limits {
  const possible = Math.max(1, descriptors - RESERVED_DESCRIPTORS);
  const each = Math.ceil((asked ?? Math.min(LIMITS.total, possible * processes)) / processes);
  if (each > possible) {
    throw new Failure(
      'fabric.too-few-descriptors',
      'operator',
      `${each} connections for each process need ${each + RESERVED_DESCRIPTORS} open files, the limit is ${descriptors}`,
      { action: 'Raise LimitNOFILE= of the service (ulimit -n), or ask for fewer with --max-connections.' },
    );
  }
  return { total: each, perSource: LIMITS.perSource };
}

function needsAddon(): Failure {
  return new Failure(
    'fabric.needs-addon',
    'operator',
    'several processes need the addon, which was not built',
    {
      action: 'Build it with "npm run build", or serve with one process.',
    },
  );
}
