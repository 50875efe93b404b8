import { deflateSync } from 'node:zlib';

/** Data in the format of zlib (RFC 1950), as PNG and PDF have it. */
export const deflate = (bytes: Uint8Array): Uint8Array => new Uint8Array(deflateSync(bytes));
