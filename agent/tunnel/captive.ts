import { Failure, isFailure } from '../../protocol/failure.ts';

/**
 * Another server answered instead of the router: a captive portal, a proxy that inspects TLS, or a host at a wrong address. Other
 * failures are returned as they are.
 */
export function namedCaptive(failure: Failure): Failure {
  if (!isFailure(failure, 'tls.untrusted-server')) return failure;
  return new Failure(
    'net.captive',
    'retry',
    `a captive portal, a proxy or another server answers instead of the fabric: ${failure.message}`,
    {
      action:
        'If this network has a login page, log in there; if a proxy inspects TLS, exempt the fabric; else check remote.hosts and the TLS root. "enf-agent netcheck" shows which server answers.',
      cause: failure,
    },
  );
}
