import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';

/** SHA-256, 32 bytes, for those who sign a digest and have no injected primitives (a TPM is handed digests only). */
export function sha256(message: Uint8Array): Uint8Array {
  return nobleSha256(message);
}
