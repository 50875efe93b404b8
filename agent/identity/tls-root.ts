import { readBounded } from '../../os/files/read.ts';
import { Failure } from '../../protocol/failure.ts';
import type { Config } from '../config/config.ts';

/**
 * The root of the router's certificate, PEM: the configured one, else the credential's, which is asked for only then.
 * @throws Failure `agent.no-tls-root`, `os.no-file`, …
 */
export async function tlsRoot(
  config: Config,
  credentials: () => Promise<string | undefined>,
): Promise<string> {
  const path = config.remote.tlsRoot;
  if (path !== '') return new TextDecoder().decode(await readBounded(path, 'TLS root'));
  const root = await credentials();
  if (root !== undefined) return root;
  throw new Failure('agent.no-tls-root', 'operator', 'the credential of this device has no TLS root', {
    action: 'Set remote.tls-root to the PEM file of the fabric, or personalise the device again.',
  });
}
