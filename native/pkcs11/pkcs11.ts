declare const pkcs11Key: unique symbol;
/** A private key in a token; it is the process's until the handle is collected. */
export interface Pkcs11Key {
  readonly [pkcs11Key]: true;
}

/** What came of loading a key. */
export type Pkcs11Answer =
  | { readonly key: Pkcs11Key }
  | {
      /**
       * `provider`: OpenSSL does not load it; `token`: none fits, or the module does not answer; `no-pin`: the token asks for a PIN; `pin`: it was
       * given one and gave no key: it is wrong, or the token failed; `key`: none fits; `several`: more than one does; `certificate`: it is the
       * key of another one, or the token has no public key beside it.
       */
      readonly wrong: 'provider' | 'token' | 'no-pin' | 'pin' | 'key' | 'several' | 'certificate';
      /** In the words of the provider, with a return code of PKCS#11; may be empty. */
      readonly text: string;
    };

/** Keys in PKCS#11 tokens (native/pkcs11/key.h). Bad arguments are TypeErrors. */
export interface Pkcs11Face {
  /**
   * Loads the private key that `uri` (RFC 7512) names, in the token that `token` names, on a thread of libuv's pool. `provider`: the path of the provider's shared object;
   * `module`: that of the PKCS#11 module, empty: the provider's choice. Neither may have a line break. `pin`: 0 to 32 bytes, given to the token
   * once at most. `certificate`: DER of the one that the key has to belong to.
   */
  pkcs11Load(
    uri: string,
    token: string,
    provider: string,
    module: string,
    pin: Uint8Array,
    certificate: Uint8Array,
  ): Promise<Pkcs11Answer>;
}
