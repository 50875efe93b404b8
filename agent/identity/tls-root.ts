import { readBounded } from '../../os/files/read.ts';
import { domainOf } from '../../os/net/service.ts';
import { equal } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import type { RootSet } from '../../protocol/identity/root-update.ts';
import { isFabricRoot, parseRoots, type TlsRoots, toPem } from '../../protocol/identity/roots.ts';
import type { Config } from '../config/config.ts';

/** What a router's certificate has to be. */
export interface RouterTrust {
  /** PEM of the roots it may lead to. */
  readonly ca: string;
  /**
   * Names and addresses of which it has to have one, and then serverAuth among its usages. Empty: no name is checked, because the root
   * signs routers and nothing else.
   */
  readonly names: readonly string[];
}

/**
 * The configured root, else the credential's. The credential's own root signs routers only, and so does any root that `enf-fabric init`
 * has made; of whatever else is configured, an enterprise's CA for instance, the name is checked, too. `credentials` is asked only where
 * that is not known without. `learned`: what the fabric has told of takes the place of the credential's own, and is beside a configured one. @throws Failure `agent.no-tls-root`, `tls.bad-root`, `os.no-file`, …
 */
export async function routerTrust(
  config: Pick<Config, 'remote'>,
  credentials: () => Promise<Uint8Array | undefined>,
  learned?: RootSet,
): Promise<RouterTrust> {
  const told = (learned?.roots ?? []).map(({ tlsRoot }) => toPem(tlsRoot)).join('');
  const { tlsRoot: path, tlsName, hosts } = config.remote;
  const named = tlsName === ANY_NAME ? [] : [tlsName];
  if (path !== '') {
    const { pem, certificates } = await readRoots(path);
    const ca = pem + told;
    if (tlsName !== '') return { ca, names: named };
    const unknown = certificates.filter((each) => !isFabricRoot(each));
    const own = unknown.length === 0 ? [] : await credentialRoots(credentials);
    const known = unknown.every((each) => own.some((other) => equal(each, other)));
    return { ca, names: known ? [] : hosts.map(domainOf) };
  }
  const root = await credentials();
  if (root !== undefined) {
    const { pem } = parseRoots(root, 'the TLS root of the credential');
    return { ca: told || pem, names: tlsName === '' ? [] : named };
  }
  throw new Failure('agent.no-tls-root', 'operator', 'the credential of this device has no TLS root', {
    action: 'Set remote.tls-root to the PEM file of the fabric, or personalise the device again.',
  });
}

/** As `remote.tls-name`: whoever the root has signed is a router. */
export const ANY_NAME = '*';

/** The configured file. @throws Failure `tls.bad-root`, `os.no-file`, … */
export async function readRoots(path: string): Promise<TlsRoots> {
  return parseRoots(await readBounded(path, 'TLS root'), path);
}

/** None if the credential has none that can be read: then the name is checked. */
async function credentialRoots(
  credentials: () => Promise<Uint8Array | undefined>,
): Promise<readonly Uint8Array[]> {
  try {
    const root = await credentials();
    return root === undefined ? [] : parseRoots(root, 'the TLS root of the credential').certificates;
  } catch (error) {
    if (!isFailure(error)) throw error;
    return [];
  }
}
