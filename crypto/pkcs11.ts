import { addon } from '../native/index.ts';
import type { Pkcs11Answer, Pkcs11Face } from '../native/pkcs11/pkcs11.ts';

export type { Pkcs11Answer, Pkcs11Key } from '../native/pkcs11/pkcs11.ts';

/** Loads a key that OpenSSL's provider finds in a token, as the addon's face says. */
export const loadPkcs11 = (...request: Parameters<Pkcs11Face['pkcs11Load']>): Promise<Pkcs11Answer> =>
  addon().pkcs11Load(...request);
