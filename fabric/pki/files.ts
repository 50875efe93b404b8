import { join } from 'node:path';

/**
 * The files of a fabric's data folder. Keys and certificates of XTT are byte-compatible with the C tools. Those of the first root lie in the
 * folder itself, those of root N in `root-N`, with `crossRoot`. Which roots are in force, `root-update-V` say (protocol/identity/root-update.ts).
 */
export const FILES = {
  xttRootKey: 'xtt-root.key',
  xttRoot: 'xtt-root.cert',
  xttServerKey: 'xtt-server.key',
  xttServer: 'xtt-server.cert',
  tlsRootKey: 'tls-root.key',
  tlsRoot: 'tls-root.pem',
  /** The TLS root, signed by the one before it. */
  crossRoot: 'tls-root-cross.pem',
  routerKey: 'router.key',
  router: 'router.pem',
  trust: 'trust.json',
  registry: 'registry.db',
  control: 'control.sock',
  /** Empty; whoever changes keys beside no fabric locks it. */
  keyLock: '.keys.lock',
} as const;

/** The folder with the keys of issuing CAs, see issuing.ts. */
export const ISSUING = 'issuing';

/** The folder of the jobs that are under way; it is hidden, so that no backup has it. */
export const JOBS = '.jobs';

/** The path of a file in a data folder that is no key. */
export function pathOf(
  data: string,
  file: 'registry' | 'control' | 'trust' | 'tlsRoot' | 'router' | 'keyLock',
): string {
  return join(data, FILES[file]);
}

/** Where the files of a root are. */
export const rootFolder = (data: string, number: number): string =>
  number === 1 ? data : join(data, `root-${number}`);

/** The file of the update to this version of the roots. */
export const updateFile = (data: string, version: number): string => join(data, `root-update-${version}`);
