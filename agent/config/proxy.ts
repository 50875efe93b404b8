import { readBounded } from '../../os/files/read.ts';
import type { HttpProxy } from '../../os/net/proxy.ts';
import { Failure } from '../../protocol/failure.ts';
import type { Config } from './config.ts';

const LONGEST = 1_024;

/** The configured proxy, with the user and password of the file if one is named, else of the URL. */
export function proxyOf({ remote }: Pick<Config, 'remote'>): HttpProxy | undefined {
  const { proxy, proxyLoginFile: path } = remote;
  if (proxy === undefined) return undefined;
  const { host, port, login } = proxy;
  return { host, port, login: async () => (path === '' ? login : loginIn(path)) };
}

/** @throws Failure `agent.bad-proxy-login`, `os.no-file`, `os.not-readable`, `os.file-too-large` */
async function loginIn(path: string): Promise<string> {
  const text = new TextDecoder().decode(await readBounded(path, 'proxy login', LONGEST)).trim();
  if (/^[^:\s]+:[^\r\n]*$/.test(text)) return text;
  throw new Failure('agent.bad-proxy-login', 'operator', `${path} does not hold one line "user:password"`, {
    action: 'Write the user, a colon and the password into it, and nothing else.',
  });
}
