import type { Key, Meaning } from '../../cli/config/key-types.ts';
import { isRefusal, refuse } from '../../cli/config/refusal.ts';
import { readHost } from './host.ts';
import { REDACTED } from './redact.ts';

/** An HTTP proxy, from a URL such as "http://user:password@proxy.example:3128". User and password are never printed. */
export class ProxyUrl {
  readonly host: string;
  readonly port: number;
  /** `user:password`, if the URL has it. */
  readonly login: string | undefined;

  constructor(host: string, port: number, login: string | undefined) {
    this.host = host;
    this.port = port;
    Object.defineProperty(this, 'login', { value: login, enumerable: false });
  }

  toString(): string {
    const host = this.host.includes(':') ? `[${this.host}]` : this.host;
    return `http://${this.login === undefined ? '' : `${REDACTED}@`}${host}:${this.port}`;
  }

  toJSON(): string {
    return this.toString();
  }
}

/** A URL of a proxy, or empty text for none. */
export function proxyUrl(meaning: Meaning): Key<ProxyUrl | undefined> {
  const expected = 'a URL such as "http://proxy.example:3128" or "http://user:password@proxy.example:3128"';
  return {
    type: 'text',
    toml: 'text',
    default: meaning.default,
    doc: meaning.doc,
    secret: true,
    read(value) {
      if (value === '') return undefined;
      const match = typeof value === 'string' ? PROXY.exec(value) : null;
      const port = Number(match?.[4]);
      if (!match || port < 1 || port > 65_535) return refuse(expected);
      const host = readHost(match[2] ?? match[3]!);
      if (isRefusal(host)) return host;
      try {
        return new ProxyUrl(host, port, match[1] && decodeURIComponent(match[1]));
      } catch {
        return refuse(`${expected}, with %25 for a % in a password`);
      }
    },
    write: (value) => JSON.stringify(value === undefined ? '' : String(value)),
  };
}

const PROXY =
  /^http:\/\/(?:([^\s@/:]+:[^\s@/]*)@)?(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]{1,253})):(\d{1,5})\/?$/;
