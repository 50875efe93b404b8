import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { AcceptorFace } from './acceptor/acceptor.ts';
import type { DataplaneFace } from './client/client.ts';
import type { CurvesFace } from './crypto/curves.ts';
import type { EcdaaFace } from './ecdaa/ecdaa.ts';
import type { FilesFace } from './files/files.ts';
import type { Icmp6Face } from './net/icmp6.ts';
import type { NetFace } from './net/net.ts';
import type { NetlinkFace } from './net/netlink.ts';
import type { RoutesFace } from './net/routes.ts';
import type { Pkcs11Face } from './pkcs11/pkcs11.ts';
import type { PkiFace } from './pki/pki.ts';
import type { RouterFace } from './router/router.ts';
import type { TssFace } from './tpm/tss.ts';
import type { XttFace } from './xtt/xtt.ts';

/** Everything the addon offers; a bad argument is a TypeError, never a crash. One built with ECDAA=0 has no ECDAA. */
export type Addon = TssFace &
  NetFace &
  FilesFace &
  AcceptorFace &
  NetlinkFace &
  RoutesFace &
  Icmp6Face &
  DataplaneFace &
  RouterFace &
  PkiFace &
  Pkcs11Face &
  CurvesFace &
  XttFace &
  Partial<EcdaaFace>;

let loaded: Addon | undefined;

/**
 * The addon, loaded at first use: beside the bundle, or in dist/ when running from source. ENF_ADDON names another
 * one (the sanitizer build in tests). @throws Error if it was not built (`npm run build`)
 */
export function addon(): Addon {
  if (loaded === undefined) {
    const candidates = [
      new URL('./enf.node', import.meta.url),
      new URL('../dist/enf.node', import.meta.url),
    ].map((url) => fileURLToPath(url));
    const path = process.env.ENF_ADDON ?? candidates.find((candidate) => existsSync(candidate));
    if (path === undefined)
      throw new Error(`the addon is not at ${candidates.join(' or ')}: run "npm run build"`);
    loaded = createRequire(import.meta.url)(path) as Addon;
  }
  return loaded;
}
