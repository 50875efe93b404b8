import { join } from 'node:path';

/** The files of a fabric's data folder. Keys and certificates of XTT are byte-compatible with the C tools. */
export const FILES = {
  xttRootKey: 'xtt-root.key',
  xttRoot: 'xtt-root.cert',
  xttServerKey: 'xtt-server.key',
  xttServer: 'xtt-server.cert',
  tlsRootKey: 'tls-root.key',
  tlsRoot: 'tls-root.pem',
  routerKey: 'router.key',
  router: 'router.pem',
  trust: 'trust.json',
  registry: 'registry.db',
  control: 'control.sock',
} as const;

/** The path of a file in a data folder that is no key. */
export function pathOf(data: string, file: 'registry' | 'control' | 'trust' | 'tlsRoot' | 'router'): string {
  return join(data, FILES[file]);
}
