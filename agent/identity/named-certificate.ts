import { isRefusal } from '../../cli/config/refusal.ts';
import { type CertificateFacts, readCertificate } from '../../crypto/certificates.ts';
import type { Pkcs11Key } from '../../crypto/pkcs11.ts';
import { readBounded } from '../../os/files/read.ts';
import { linkPrefixes } from '../../os/linux/links.ts';
import { concat, equal, wipe } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { checkAssigned } from '../../protocol/identity/assignable.ts';
import { parseCertificates } from '../../protocol/identity/roots.ts';
import { formatIpv6, parseIpv6 } from '../../protocol/ipv6.ts';
import type { Config } from '../config/config.ts';
import { isPkcs11, type Pkcs11Uri, readPkcs11 } from '../config/pkcs11-uri.ts';
import { checkPkcs11, pkcs11Keys } from './pkcs11-key.ts';
import type { CertificateView, IdentityOptions, IdentitySession } from './session.ts';
import { routerTrust } from './tls-root.ts';

/** A certificate of a CA, and the address that it is for. */
export interface NamedCertificate {
  /** 16 bytes. */
  readonly address: Uint8Array;
  /** The certificate and its intermediates: DER, one behind the other. */
  readonly chain: Uint8Array;
  /** The certificate alone, DER. */
  readonly own: Uint8Array;
  readonly facts: CertificateFacts;
}

const ADDRESS = 16;

/**
 * Reads `identity.certificate`. Its address is the IPv6 address among its alternative names; `identity.address` for one without, as the list of
 * the fabric's owner has it.
 * @throws Failure `pki.bad-certificate`, `agent.unusable-identity`, `os.no-file`, …
 */
export async function readNamedCertificate({ identity, tunnel }: Config): Promise<NamedCertificate> {
  const { certificate: path, address: configured } = identity;
  const { certificates } = parseCertificates(await readBounded(path, 'certificate'), path, badCertificate);
  const facts = readCertificate(certificates[0]!);
  if (facts === undefined) throw badCertificate(path, 'a certificate that OpenSSL can read');
  const { addresses } = facts;
  if (addresses.length > ADDRESS) throw badCertificate(path, 'one IPv6 address, got several');
  if (addresses.length === 0 && configured === '')
    throw badCertificate(
      path,
      'an IPv6 address among its alternative names, or identity.address in the configuration',
    );
  const address = addresses.length === 0 ? parseIpv6(configured) : addresses;
  if (configured !== '' && !equal(address, parseIpv6(configured)))
    throw badCertificate(path, `the address of identity.address, got ${formatIpv6(address)}`);
  checkAssigned(address, linkPrefixes(tunnel.device));
  return { address, chain: concat(...certificates), own: certificates[0]!, facts };
}

const badCertificate = (path: string, expected: string): Failure =>
  new Failure('pki.bad-certificate', 'operator', `${path}: expected ${expected}`, {
    action:
      'Correct identity.certificate: PEM with the certificate of this machine first, then its intermediates.',
  });

/** The key in a token that `identity.key` names; undefined: it is the path of a file. */
export function tokenOf({ identity: { key } }: Pick<Config, 'identity'>): Pkcs11Uri | undefined {
  const uri = isPkcs11(key) ? readPkcs11(key) : undefined;
  return uri !== undefined && isRefusal(uri) ? undefined : uri;
}

/** Looks at `identity.key`: the file, or what there is of a token without asking it. @throws Failure `pki.bad-key`, `pkcs11.…`, `os.…` */
export async function checkNamedKey(config: Config): Promise<void> {
  const token = tokenOf(config);
  if (token === undefined) await readNamedKey(config);
  else await checkPkcs11(token);
}

/** The text of the file `identity.key`. @throws Failure `pki.bad-key`, `os.no-file`, … */
export async function readNamedKey({ identity: { key: path } }: Config): Promise<string> {
  const bytes = await readBounded(path, 'private key');
  const pem = new TextDecoder().decode(bytes);
  wipe(bytes);
  if (/-----BEGIN (?:EC |RSA )?PRIVATE KEY-----/.test(pem) && !pem.includes('ENCRYPTED')) return pem;
  throw new Failure(
    'pki.bad-key',
    'operator',
    `${path}: expected a private key in PEM that is not encrypted`,
    {
      action: 'Write it with "openssl pkey -in KEY -out FILE", readable by the user of the agent alone.',
    },
  );
}

/** What there is to show of a certificate. */
export const viewOf = (
  { subject, notBefore, notAfter }: CertificateFacts,
  address: string,
  key: CertificateView['key'],
): CertificateView => ({
  ...{ subject, address, key },
  notBefore: new Date(1_000 * notBefore).toISOString(),
  notAfter: new Date(1_000 * notAfter).toISOString(),
});

/** The identity of a machine with a certificate of a CA: files that somebody else renews, or a key in a token. They are read for each connection. */
export function namedIdentity({ config }: Pick<IdentityOptions, 'config'>): IdentitySession {
  /** The address that this run began with, and what was shown last. */
  let began: Uint8Array | undefined;
  let shown: Uint8Array | undefined;
  let view: CertificateView | undefined;
  const token = tokenOf(config);
  const tokens = pkcs11Keys();
  const readKey = async (certificate: Uint8Array): Promise<string | Pkcs11Key> =>
    token === undefined ? readNamedKey(config) : tokens.load(token, certificate);

  async function read(): Promise<NamedCertificate> {
    const named = await readNamedCertificate(config);
    if (began !== undefined && !equal(began, named.address)) {
      throw new Failure(
        'pki.other-address',
        'operator',
        `${config.identity.certificate} is for ${formatIpv6(named.address)}, and no longer for ${formatIpv6(began)}`,
        { action: 'Restart the agent, if the machine is to have that address.' },
      );
    }
    view = viewOf(named.facts, formatIpv6(named.address), token === undefined ? 'file' : 'token');
    return named;
  }

  return {
    async prepare() {
      began = undefined;
      const { address, own } = await read();
      began = address;
      await readKey(own);
      return { kind: 'connect', address: formatIpv6(address) };
    },

    /** There is no handshake: the fabric wants another certificate, which somebody else has to put there. */
    async provision() {
      const { address, chain } = await read();
      if (shown === undefined || !equal(shown, chain)) return formatIpv6(address);
      const path = config.identity.certificate;
      throw new Failure(
        'pki.same-certificate',
        'operator',
        `${path} has the certificate that is in use already`,
        {
          action: 'Put a newer certificate of the CA there; it is taken with the next attempt.',
        },
      );
    },

    async tls() {
      const { address, chain, own } = await read();
      const key = await readKey(own);
      const trust = await routerTrust(config, async () => undefined);
      shown = chain;
      return { address: formatIpv6(address), ...trust, certificate: chain, key };
    },

    // Which roots count says the configuration.
    receive: async () => undefined,
    reload: () => {},
    handshakes: () => 0,
    certificate: () => view,
    close: async () => {},
  };
}
