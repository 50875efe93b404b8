/** What stands in a PEM file with one block: base64 without lines. Of another text what is left of it, for its reader to refuse. */
export const pemBody = (text: string): string => text.replace(/-----[^-\n]*-----|\s/g, '');

/** A public key (SubjectPublicKeyInfo, base64 of DER) in PEM. */
export const publicKeyPem = (base64: string): string =>
  `-----BEGIN PUBLIC KEY-----\n${base64}\n-----END PUBLIC KEY-----\n`;
