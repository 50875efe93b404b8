import { createCipheriv, createHmac } from 'node:crypto';
import { concat, u16 } from '../../protocol/bytes.ts';

/** TLS 1.3 records as no library writes them: of any type, with any content. */
export interface RecordWriter {
  /** A record. After the content of a key update, the next one has the new key. */
  seal(type: number, content: Uint8Array): Uint8Array;
  /** Goes on with the next key, as after a key update whose message was sealed in pieces. */
  nextKey(): void;
}

export const HANDSHAKE = 22;
export const APPLICATION_DATA = 23;
/** The message that announces the sender's next key, and does not ask for the receiver's. */
export const KEY_UPDATE = Uint8Array.of(24, 0, 0, 1, 0);

/** The suite whose keys these are, for `ciphers` of node:tls. */
export const SUITE = 'TLS_AES_128_GCM_SHA256';

/** Writes what follows the handshake, by a traffic secret from the key log. Nothing may have been sent with it before. */
export function recordWriter(trafficSecret: Uint8Array): RecordWriter {
  let secret = trafficSecret;
  let sequence = 0;
  const nextKey = (): void => {
    secret = expand(secret, 'traffic upd', 32);
    sequence = 0;
  };
  return {
    nextKey,
    seal(type, content) {
      const header = concat(Uint8Array.of(APPLICATION_DATA, 3, 3), u16(content.length + 1 + 16));
      const nonce = expand(secret, 'iv', 12);
      new DataView(nonce.buffer).setUint32(8, new DataView(nonce.buffer).getUint32(8) ^ sequence++);
      const cipher = createCipheriv('aes-128-gcm', expand(secret, 'key', 16), nonce).setAAD(header);
      const body = cipher.update(concat(content, Uint8Array.of(type)));
      cipher.final();
      if (type === HANDSHAKE && Buffer.compare(content, KEY_UPDATE) === 0) nextKey();
      return concat(header, body, cipher.getAuthTag());
    },
  };
}

/** HKDF-Expand-Label (RFC 8446 §7.1) with an empty context; at most 32 bytes. */
function expand(secret: Uint8Array, label: string, length: number): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode(`tls13 ${label}`);
  const info = concat(u16(length), Uint8Array.of(name.length), name, Uint8Array.of(0, 1));
  return Uint8Array.from(createHmac('sha256', secret).update(info).digest().subarray(0, length));
}
