import { createSecureContext } from 'node:tls';
import { readBounded } from '../../../os/files/read.ts';
import type { Log } from '../../../os/service/log.ts';
import { decodeUtf8 } from '../../../protocol/utf8.ts';
import type { Config } from '../../config/config.ts';

/** The certificate of the console and its key, PEM. */
export interface ConsoleTls {
  readonly certificate: string;
  readonly key: string;
}

/** How often the files are looked at: whoever renews them, certbot for instance, need not know of the console. */
const LOOK_MS = 30_000;

/** What the configuration names; undefined without TLS. @throws Failure `os.…` */
export async function readTls({ certificate, key }: Config['console']): Promise<ConsoleTls | undefined> {
  if (certificate === '') return undefined;
  const text = async (path: string, what: string): Promise<string> =>
    decodeUtf8(await readBounded(path, what)) ?? '';
  return { certificate: await text(certificate, 'certificate'), key: await text(key, 'private key') };
}

/**
 * Calls `replace` when the files have another certificate with its key, and logs once that they have something else: then the former one
 * stays. Returns a function that ends that.
 */
export function followTls(
  settings: Config['console'],
  begin: ConsoleTls,
  replace: (tls: ConsoleTls) => void,
  log: Log,
  everyMs = LOOK_MS,
): () => void {
  let current = begin;
  let complained = '';
  const look = async (): Promise<void> => {
    try {
      const next = await readTls(settings);
      if (next === undefined || (next.certificate === current.certificate && next.key === current.key))
        return;
      // Half of a renewal, a certificate whose key is still to come, fails here.
      createSecureContext({ cert: next.certificate, key: next.key });
      replace(next);
      current = next;
      complained = '';
      log('notice', `the console shows the new certificate in ${settings.certificate} from now on`);
    } catch (error) {
      const { message } = error as Error;
      if (message !== complained)
        log('warning', `the console keeps its certificate, ${settings.certificate} is of no use: ${message}`);
      complained = message;
    }
  };
  const timer = setInterval(() => void look(), everyMs);
  return () => clearInterval(timer);
}
