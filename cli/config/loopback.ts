import type { Key, Meaning } from './key-types.ts';
import { refuse } from './refusal.ts';

/** A loopback address with a port, or empty text for none. */
export function loopback(meaning: Meaning): Key<Loopback | undefined> {
  const expected = 'a loopback address and port such as "127.0.0.1:9464" or "[::1]:9464"';
  return {
    type: 'text',
    toml: 'text',
    default: meaning.default,
    doc: meaning.doc,
    read(value) {
      if (value === '') return undefined;
      const match = typeof value === 'string' ? LOOPBACK.exec(value) : null;
      const port = Number(match?.[3]);
      if (!match || port < 1 || port > 65_535) return refuse(expected);
      return { host: match[1] ?? match[2]!, port };
    },
    write: (value) =>
      JSON.stringify(
        value === undefined ? '' : `${value.host === '::1' ? '[::1]' : value.host}:${value.port}`,
      ),
  };
}

const LOOPBACK = /^(?:(127(?:\.\d{1,3}){3})|\[(::1)\]):(\d{1,5})$/;

interface Loopback {
  readonly host: string;
  readonly port: number;
}
