import { ecdsaSigner, primitives } from '../../crypto/primitives.ts';
import { encodeBase64 } from '../../protocol/identity/base64.ts';
import { identityCertificate } from '../../protocol/identity/certificate.ts';
import { encodeEcPrivateKey } from '../../protocol/identity/key-file.ts';

/** What a device's TLS is given, in PEM: its self-signed identity certificate, as XTT leaves it behind, and the key. */
export interface IdentityFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Of the device with this address, 16 bytes, and this P-256 key. */
export async function identityFiles(
  address: Uint8Array,
  { secret, publicKey }: { readonly secret: Uint8Array; readonly publicKey: Uint8Array },
): Promise<IdentityFiles> {
  const serial = primitives.random(19);
  const der = await identityCertificate(primitives, address, publicKey, ecdsaSigner(secret), serial);
  return {
    certificate: pem('CERTIFICATE', der),
    key: pem('EC PRIVATE KEY', encodeEcPrivateKey(secret, publicKey)),
  };
}

function pem(type: string, der: Uint8Array): string {
  const lines = encodeBase64(der).match(/.{1,64}/g)!;
  return `-----BEGIN ${type}-----\n${lines.join('\n')}\n-----END ${type}-----\n`;
}
