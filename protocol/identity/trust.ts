import { fromHex, toHex } from '../bytes.ts';
import { Failure } from '../failure.ts';
import { parseRootCertificate } from '../xtt/certificate.ts';
import { decodeBase64 } from './base64.ts';
import { readChildren, TAG } from './der.ts';

/** What a device trusts: the fabric's `init` writes it, the factory burns it into devices. */
export interface Trust {
  /** XTT root certificate, 81 bytes. */
  readonly xttRoot: Uint8Array;
  /** PEM text of the CA certificate(s) that signed the tunnel routers' certificates. */
  readonly tlsRoot: string;
}

const FORMAT = 'enf-trust-1';
const PEM_BLOCK = /-----BEGINCERTIFICATE-----([A-Za-z0-9+/=]+)-----ENDCERTIFICATE-----/g;

/** Longer bundles than this are refused unread. */
const MAX_TEXT = 65_536;

/** The bundle as JSON text. */
export function encodeTrust(trust: Trust): string {
  const { xttRoot, tlsRoot } = trust;
  return `${JSON.stringify({ format: FORMAT, xttRoot: toHex(xttRoot), tlsRoot }, null, 2)}\n`;
}

/** Parses a trust bundle. @throws Failure `trust.bad-bundle` */
export function parseTrust(text: string): Trust {
  if (text.length > MAX_TEXT) throw bad(`more than ${MAX_TEXT} characters`);
  let value: unknown;
  try {
    // Editors of some systems write a byte order mark.
    value = JSON.parse(text.replace(/^\ufeff/, ''));
  } catch (cause) {
    throw bad('text that is no JSON', cause);
  }
  const { format, xttRoot, tlsRoot } = (value ?? {}) as Record<string, unknown>;
  if (format !== FORMAT) throw bad(`format ${JSON.stringify(format)?.slice(0, 40)}`);
  if (typeof tlsRoot !== 'string' || !isPem(tlsRoot)) throw bad('a tlsRoot that is no PEM certificate');
  if (typeof xttRoot !== 'string') throw bad('no xttRoot');
  try {
    const root = fromHex(xttRoot);
    parseRootCertificate(root);
    return { xttRoot: root, tlsRoot };
  } catch (cause) {
    throw bad('an xttRoot that is no root certificate', cause);
  }
}

/** One or more certificates and nothing else; white space does not matter. */
function isPem(text: string): boolean {
  const compact = text.replaceAll(/\s+/g, '');
  const blocks = [...compact.matchAll(PEM_BLOCK)];
  if (blocks.length === 0 || blocks.map(([whole]) => whole).join('') !== compact) return false;
  return blocks.every(([, body]) => {
    const der = decodeBase64(body!);
    return der !== undefined && readChildren(der, TAG.sequence) !== undefined;
  });
}

function bad(got: string, cause?: unknown): Failure {
  return new Failure(
    'trust.bad-bundle',
    'operator',
    `trust bundle: expected JSON of format ${FORMAT} with xttRoot (hex) and tlsRoot (PEM), got ${got}`,
    { action: "Take the trust.json that 'enf-fabric init' wrote into its data folder.", cause },
  );
}
