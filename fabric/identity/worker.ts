import { stderrLog } from '../../os/service/log.ts';
import { Failure } from '../../protocol/failure.ts';
import { serializeFailure } from '../../protocol/failure-message.ts';
import { packRequests, unpackResponses } from './codec.ts';
import { type FromWorker, LISTENER_DESCRIPTOR, type ToWorker, type WorkerConfig } from './messages.ts';
import { type RemoteRegistry, remoteRegistry } from './remote-registry.ts';
import { type IdentityServer, startIdentityServer } from './server.ts';

/**
 * The main function of an identity process: it serves handshakes on the fabric's listening socket until it is told to drain,
 * or until the main process has ended. Signals are left to that one: a Ctrl-C goes to all processes of a terminal.
 * @throws Failure `fabric.not-by-hand`
 */
export function runIdentityProcess(): Promise<number> {
  if (process.send === undefined) {
    throw new Failure('fabric.not-by-hand', 'operator', 'this is a part of "enf-fabric serve --processes"', {
      action: 'Run "enf-fabric serve --processes N".',
    });
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  const send = (message: FromWorker): void => {
    if (process.connected) process.send?.(message);
  };
  const registry = remoteRegistry((requests) => send({ kind: 'requests', requests: packRequests(requests) }));
  let server: Promise<IdentityServer> | undefined;
  return new Promise((resolve) => {
    process.on('message', (message: ToWorker) => {
      if (message.kind === 'responses') registry.receive(unpackResponses(message.responses));
      else if (message.kind === 'forget-groups') registry.forgetGroups();
      else if (message.kind === 'keys') {
        const { keys } = message;
        server?.then((running) => running.replaceKeys(keys)).catch(() => {});
      } else if (message.kind === 'config') {
        server = startServer(message.config, registry);
        server.then(
          ({ native }) => send({ kind: 'ready', native }),
          (error: unknown) => send({ kind: 'failed', failure: serializeFailure(error) }),
        );
      } else {
        void server
          ?.then((running) => running.close(message.graceMs))
          .catch(() => {})
          .then(() => send({ kind: 'drained' }));
      }
    });
    // The main process ended, in order or not: nothing can be admitted any more.
    process.on('disconnect', () => resolve(0));
  });
}

function startServer(
  { keys, limits, deadlines }: WorkerConfig,
  registry: RemoteRegistry,
): Promise<IdentityServer> {
  return startIdentityServer({
    listen: { descriptor: LISTENER_DESCRIPTOR },
    keys,
    registry,
    log: stderrLog(),
    limits,
    deadlines,
  });
}
