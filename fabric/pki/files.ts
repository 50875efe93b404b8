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

/** The path of the registry, the control socket or the trust bundle in a data folder. */
export function pathOf(data: string, file: 'registry' | 'control' | 'trust'): string {
  return join(data, FILES[file]);
}
