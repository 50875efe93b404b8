import { isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';
import { Failure } from '../../protocol/failure.ts';
import type { ApiOptions } from './options.ts';

/** The one site whose pages may use a browser's session. */
export interface Site {
  /** Its cookies travel with TLS alone. */
  readonly isSecure: boolean;
  /** @throws Failure `access.cross-site` if the request may be another site's doing */
  check(request: Pick<FastifyRequest, 'headers'>): void;
  /** The origin by which the browser that sends the request knows the console. @throws Failure `access.cross-site` */
  originOf(request: Pick<FastifyRequest, 'headers'>): string;
}

/**
 * A browser says from which site a request comes (`Sec-Fetch-Site`, `Origin`), and no form can send the header; each is enough with a browser
 * that keeps to the rules. Without TLS and without a configured origin the console is at a name of this machine: any other name was made to
 * lead here by a stranger (DNS rebinding).
 */
export function siteOf({ origin, tls }: Pick<ApiOptions, 'origin' | 'tls'>): Site {
  const originOf: Site['originOf'] = ({ headers }) => {
    if (origin !== undefined) return origin;
    const url = `${tls === undefined ? 'http' : 'https'}://${headers.host ?? ''}`;
    if (!URL.canParse(url) || (tls === undefined && !isLoopbackName(new URL(url).hostname))) {
      throw crossSite('the console has another name than the one asked for');
    }
    return new URL(url).origin;
  };
  return {
    isSecure: origin === undefined ? tls !== undefined : origin.startsWith('https:'),
    originOf,
    check(request) {
      const { origin: from, 'sec-fetch-site': site, 'x-enf-request': marked } = request.headers;
      const own = originOf(request);
      if (marked !== '1') throw crossSite('the header x-enf-request is missing');
      if (site === undefined ? from !== own : site !== 'same-origin' || (from ?? own) !== own)
        throw crossSite('the request comes from another site');
    },
  };
}

/** A name or address of this machine, as a URL has it. */
function isLoopbackName(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || (isIP(host) === 4 && host.startsWith('127.'));
}

const crossSite = (why: string): Failure =>
  new Failure('access.cross-site', 'operator', why, {
    action:
      'Use the console at its own address ("enf-fabric console serve --origin"), or the API with a token.',
  });
