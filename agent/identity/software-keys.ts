import { ecdsaSigner, generateP256, primitives } from '../../crypto/primitives.ts';
import { readBounded, readExact, readIfThere } from '../../os/files/read.ts';
import { fromHex, toHex, wipe } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { encodeBase64 } from '../../protocol/identity/base64.ts';
import { encodeEcPrivateKey } from '../../protocol/identity/key-file.ts';
import { parseEcPrivateKey } from '../../protocol/identity/key-pair.ts';
import { type KeyStore, modeChanged } from './key-store.ts';

/**
 * Keys in files, for machines without a TPM: the folder that `enf-factory device personalise --software` wrote,
 * under the file names of the C tools. Longterm keys are kept in the agent's own state.
 */
export function openSoftwareKeys(folder: string): KeyStore {
  return {
    async credential() {
      const basename = await readBounded(`${folder}/basename.bin`, 'basename');
      if (basename.length < 1 || basename.length > 64) {
        throw new Failure(
          'keys.bad-basename',
          'operator',
          `${folder}/basename.bin: expected 1 to 64 bytes, got ${basename.length}`,
          { action: 'Personalise the device again with enf-factory.' },
        );
      }
      return {
        gpk: await readExact(`${folder}/daa_gpk.bin`, 'group public key', 258),
        credential: await readExact(`${folder}/daa_cred.bin`, 'credential', 260),
        basename,
        xttRoot: await readExact(`${folder}/root_cert.bin`, 'XTT root certificate', 81),
      };
    },
    tlsRoot: () => readIfThere(`${folder}/tls_root.pem`, 'TLS root'),
    async daaKey() {
      const { softwareDaaKey } = await import('../../protocol/crypto/member.ts');
      const secret = await readExact(`${folder}/daa_secretkey.bin`, 'DAA secret key', 32);
      return { ...softwareDaaKey(primitives, secret), resident: false };
    },
    async create() {
      const { secret, publicKey } = generateP256();
      const der = encodeEcPrivateKey(secret, publicKey);
      const saved = { kind: 'software', der: toHex(der) } as const;
      wipe(secret, der);
      return saved;
    },
    async load(saved) {
      if (saved.kind !== 'software') throw modeChanged(saved);
      const der = fromHex(saved.der);
      const { secret, publicKey } = parseEcPrivateKey(der);
      const sign = ecdsaSigner(secret);
      wipe(secret);
      return {
        publicKey,
        sign,
        tlsKey: () => pem('EC PRIVATE KEY', der),
        close: async () => {},
      };
    },
    close: async () => {},
  };
}

function pem(label: string, der: Uint8Array): string {
  const lines = encodeBase64(der).match(/.{1,64}/g)!;
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
