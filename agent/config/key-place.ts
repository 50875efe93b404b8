/** Where the key of a certificate is. */
export type KeyPlace = 'tpm' | 'file' | 'token';

/** In words. */
export const KEY_PLACES: Readonly<Record<KeyPlace, string>> = {
  tpm: 'the TPM',
  file: 'a file',
  token: 'a PKCS#11 token',
};
