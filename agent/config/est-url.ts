import type { Key, Meaning } from '../../cli/config/key-types.ts';
import { isRefusal, refuse } from '../../cli/config/refusal.ts';
import { readHost } from './host.ts';

/** Where an EST server is (RFC 7030). */
export interface EstUrl {
  /** A name or a literal address. */
  readonly host: string;
  readonly port: number;
  /** Without a slash at its end: `/.well-known/est`, perhaps with a label behind. */
  readonly path: string;
}

export const EST_PATH = '/.well-known/est';
/** That of a fabric (docs/pki.md). */
export const EST_PORT = 9443;
const HTTPS_PORT = 443;

const URL_FORM =
  /^https:\/\/(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]{1,253}))(?::(\d{1,5}))?((?:\/[\w.~%-]{1,64}){0,8})\/?$/;

/** The URL of an EST server, or empty text for none. */
export function estUrl(meaning: Meaning): Key<EstUrl | undefined> {
  const expected = 'a URL such as "https://fabric.example.org:9443/.well-known/est"';
  return {
    type: 'text',
    toml: 'text',
    default: meaning.default,
    doc: meaning.doc,
    read(value) {
      if (value === '') return undefined;
      const match = typeof value === 'string' ? URL_FORM.exec(value) : null;
      const port = Number(match?.[3] ?? HTTPS_PORT);
      if (!match || port < 1 || port > 65_535) return refuse(expected);
      const host = readHost(match[1] ?? match[2]!);
      return isRefusal(host) ? host : { host, port, path: match[4] || EST_PATH };
    },
    write: (value) => JSON.stringify(value === undefined ? '' : textOf(value)),
  };
}

const textOf = ({ host, port, path }: EstUrl): string =>
  `https://${host.includes(':') ? `[${host}]` : host}:${port}${path}`;
