import { Failure, isFailure } from '../../protocol/failure.ts';

/**
 * Somebody else answered in the router's place: a hotel's login page, an inspecting proxy, or a wrong address. Other failures
 * are returned as they are.
 */
export function namedCaptive(failure: Failure): Failure {
  if (!isFailure(failure, 'tls.untrusted-server')) return failure;
  return new Failure(
    'net.captive',
    'retry',
    `something else than the fabric answers in its place: ${failure.message}`,
    {
      action:
        'If this network has a login page, log in there; if a proxy inspects TLS, exempt the fabric; else check remote.hosts and the TLS root. "enf-agent netcheck" shows who answers.',
      cause: failure,
    },
  );
}
