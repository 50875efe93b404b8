import { stderrLog } from '../../os/service/log.ts';
import { Failure } from '../../protocol/failure.ts';
import { packQuestions, unpackAnswers } from './codec.ts';
import { failureText, LISTENER_DESCRIPTOR, type Orders, type ToFabric, type ToProcess } from './messages.ts';
import { type RemoteBooks, remoteBooks } from './remote-registry.ts';
import { type IdentityServer, startIdentityServer } from './server.ts';

/**
 * The life of an identity process: it serves handshakes on the fabric's listening socket until it is told to drain, or
 * until the fabric is gone. Signals are the fabric's business: a Ctrl-C goes to all processes of a terminal.
 * @throws Failure `fabric.not-by-hand`
 */
export function runIdentityProcess(): Promise<number> {
  if (process.send === undefined) {
    throw new Failure('fabric.not-by-hand', 'operator', 'this is a part of "enf-fabric serve --processes"', {
      action: 'Run "enf-fabric serve --processes N".',
    });
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  const tell = (message: ToFabric): void => {
    if (process.connected) process.send?.(message);
  };
  const books = remoteBooks((questions) => tell({ kind: 'questions', questions: packQuestions(questions) }));
  let server: Promise<IdentityServer> | undefined;
  return new Promise((resolve) => {
    process.on('message', (message: ToProcess) => {
      if (message.kind === 'answers') books.receive(unpackAnswers(message.answers));
      else if (message.kind === 'forget') books.forget();
      else if (message.kind === 'orders') {
        server = begin(message.orders, books);
        server.then(
          ({ native }) => tell({ kind: 'ready', native }),
          (error: unknown) => tell({ kind: 'failed', failure: failureText(error) }),
        );
      } else {
        void server
          ?.then((running) => running.close(message.graceMs))
          .catch(() => {})
          .then(() => tell({ kind: 'drained' }));
      }
    });
    // The fabric ended, in order or not: nothing can be admitted any more.
    process.on('disconnect', () => resolve(0));
  });
}

function begin({ certificate, key, limits, deadlines }: Orders, books: RemoteBooks): Promise<IdentityServer> {
  return startIdentityServer({
    listen: { descriptor: LISTENER_DESCRIPTOR },
    certificate,
    key,
    registry: books,
    log: stderrLog(),
    limits,
    deadlines,
  });
}
