import { type HttpsServer, serveHttps } from '../../os/net/https.ts';
import { prefixesOf } from '../../os/net/peer.ts';
import { stderrLog } from '../../os/service/log.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import { tokenBuckets } from '../../os/service/token-buckets.ts';
import { Failure } from '../../protocol/failure.ts';
import { deserializeFailure, serializeFailure } from '../../protocol/failure-message.ts';
import type { Authority, FromEst, ToEst } from './messages.ts';
import { estHandler, LARGEST_BODY, notUnderstood } from './server.ts';

const CONNECTIONS = 256;
const REQUEST_MS = 10_000;
/** TLS handshakes of one source: each costs a millisecond. */
const HANDSHAKES = { burst: 60, periodMs: 200 };

/**
 * The main function of the process that speaks EST: whoever comes costs the fabric nothing before it has shown a code or a certificate. It ends with
 * the fabric. @throws Failure `fabric.not-by-hand`
 */
export function runEstProcess(): Promise<number> {
  if (process.send === undefined) {
    throw new Failure('fabric.not-by-hand', 'operator', 'this is a part of "enf-fabric serve"', {
      action: 'Run "enf-fabric serve" with an address in the section [est] of its configuration.',
    });
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  const send = (message: FromEst): void => {
    if (process.connected) process.send?.(message);
  };
  const { authority, receive } = remoteAuthority(send);
  let server: Promise<HttpsServer> | undefined;
  process.on('message', (message: ToEst) => {
    if (message.kind === 'answer') receive(message);
    else if (message.kind === 'tls') {
      const { tls } = message;
      server?.then((running) => running.replaceTls(tls)).catch(() => {});
    } else {
      server = serve(message, authority);
      server.then(
        ({ port }) => send({ kind: 'listening', port }),
        (error: unknown) => send({ kind: 'failed', failure: serializeFailure(error) }),
      );
    }
  });
  return new Promise((resolve) => process.on('disconnect', () => resolve(0)));
}

/** Asks the main process. */
function remoteAuthority(send: (message: FromEst) => void): {
  readonly authority: Authority;
  receive(answer: Extract<ToEst, { readonly kind: 'answer' }>): void;
} {
  const waiting = new Map<
    number,
    Parameters<ConstructorParameters<typeof Promise<readonly Uint8Array[]>>[0]>
  >();
  let last = 0;
  return {
    authority: (asked) =>
      new Promise((resolve, reject) => {
        const id = ++last;
        waiting.set(id, [resolve, reject]);
        send({ kind: 'asked', id, asked });
      }),
    receive(answer) {
      const [resolve, reject] = waiting.get(answer.id)!;
      waiting.delete(answer.id);
      if ('failure' in answer) reject(deserializeFailure(answer.failure));
      else resolve(answer.certificates);
    },
  };
}

function serve(
  { listen, tls }: Extract<ToEst, { readonly kind: 'config' }>,
  authority: Authority,
): Promise<HttpsServer> {
  const failed = repeatedLine(stderrLog(), 'error', { each: 3, subjects: 1 });
  const handshakes = tokenBuckets(HANDSHAKES);
  return serveHttps({
    ...{ what: 'the EST server', ...tls, address: listen },
    ...{ minVersion: 'TLSv1.2', clientCertificates: true },
    ...{ connections: CONNECTIONS, bodyBytes: LARGEST_BODY, broken: notUnderstood, requestMs: REQUEST_MS },
    crowdsOf: prefixesOf,
    admits: (address) => handshakes.take(prefixesOf(address).at(-1)!) === 0,
    handle: estHandler(authority),
    onError: (error) => failed('', `EST: ${(error as Error).stack}`),
  });
}
