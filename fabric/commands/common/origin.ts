import { hostname } from 'node:os';
import { formatListen } from '../../../os/net/listen.ts';
import { Failure } from '../../../protocol/failure.ts';
import type { Config } from '../../config/config.ts';
import { isLoopback, originOf } from '../../config/origin.ts';

/** Where browsers find a console: what the configuration says, else where it listens. */
export function consoleAt({ origin, certificate, listen }: Config['console'], port = listen.port): string {
  const { host } = listen;
  const scheme = certificate === '' ? 'http' : 'https';
  // By this name, and not by an address, a browser may have passkeys for it, too.
  const usual = isLoopback(host) ? 'localhost' : isEverywhere(host) ? hostname() : host;
  return originOf(origin) ?? `${scheme}://${formatListen({ host: usual, port })}`;
}

const isEverywhere = (host: string): boolean => host === '::' || host === '0.0.0.0';

/** The address of a console in an option: scheme, name and port alone. @throws Failure `cli.bad-option` */
export function parseOrigin(option: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const origin = originOf(text);
  if (origin !== undefined) return origin;
  throw new Failure(
    'cli.bad-option',
    'operator',
    `--${option}: expected an address such as https://console.example, got ${JSON.stringify(text.slice(0, 100))}`,
    { action: 'Give scheme, name and port alone; http:// is for this machine only.' },
  );
}
