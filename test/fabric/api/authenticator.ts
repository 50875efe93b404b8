import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

/** An authenticator (WebAuthn) in software, with one passkey for ES256; what it answers is as a browser's `toJSON()`. */
export interface Authenticator {
  create(options: object, origin: string, change?: Change): object;
  get(options: object, origin: string, change?: Change): object;
}

/** What a wrong one does differently. */
export interface Change {
  readonly type?: string;
  readonly rpId?: string;
  readonly counter?: number;
  readonly flags?: number;
  readonly fmt?: string;
  readonly attStmt?: Map<string, unknown>;
  readonly id?: Uint8Array;
}

const [PRESENT, VERIFIED, WITH_CREDENTIAL] = [0x01, 0x04, 0x40];

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
const sha256 = (data: string | Uint8Array): Buffer => createHash('sha256').update(data).digest();

export function authenticator(): Authenticator {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const own = randomBytes(32);
  let count = 0;

  const clientData = (type: string, options: object, origin: string): Buffer =>
    Buffer.from(
      JSON.stringify({
        type,
        challenge: (options as { challenge: string }).challenge,
        origin,
        crossOrigin: false,
      }),
    );

  function data(rpId: string, flags: number, counter: number, rest = Buffer.alloc(0)): Buffer {
    const counted = Buffer.alloc(5);
    counted[0] = flags;
    counted.writeUInt32BE(counter, 1);
    return Buffer.concat([sha256(rpId), counted, rest]);
  }

  function coseKey(): Buffer {
    const { x, y } = publicKey.export({ format: 'jwk' }) as { x: string; y: string };
    return cbor(
      new Map<unknown, unknown>([
        [1, 2],
        [3, -7],
        [-1, 1],
        [-2, Buffer.from(x, 'base64url')],
        [-3, Buffer.from(y, 'base64url')],
      ]),
    );
  }

  const answer = (id: Uint8Array, response: object): object => ({
    id: base64url(id),
    rawId: base64url(id),
    type: 'public-key',
    authenticatorAttachment: 'platform',
    clientExtensionResults: { credProps: { rk: true } },
    response,
  });

  return {
    create(options, origin, change = {}) {
      const { rp } = options as { rp: { id: string } };
      const length = Buffer.from([own.length >> 8, own.length & 255]);
      const credential = Buffer.concat([Buffer.alloc(16), length, own, coseKey()]);
      const flags = change.flags ?? PRESENT | VERIFIED | WITH_CREDENTIAL;
      const authData = data(change.rpId ?? rp.id, flags, change.counter ?? count, credential);
      const { fmt = 'none', attStmt = new Map() } = change;
      return answer(own, {
        clientDataJSON: base64url(clientData(change.type ?? 'webauthn.create', options, origin)),
        attestationObject: base64url(
          cbor(
            new Map<unknown, unknown>([
              ['fmt', fmt],
              ['attStmt', attStmt],
              ['authData', authData],
            ]),
          ),
        ),
        transports: ['internal'],
      });
    },
    get(options, origin, change = {}) {
      const { rpId } = options as { rpId: string };
      const client = clientData(change.type ?? 'webauthn.get', options, origin);
      const authData = data(
        change.rpId ?? rpId,
        change.flags ?? PRESENT | VERIFIED,
        change.counter ?? ++count,
      );
      return answer(change.id ?? own, {
        clientDataJSON: base64url(client),
        authenticatorData: base64url(authData),
        signature: base64url(sign('sha256', Buffer.concat([authData, sha256(client)]), privateKey)),
        userHandle: base64url(Buffer.from('person 1')),
      });
    },
  };
}

/** The little of CBOR that authenticators need. */
function cbor(value: unknown): Buffer {
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === 'string')
    return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  if (Array.isArray(value)) return Buffer.concat([head(4, value.length), ...value.map(cbor)]);
  const entries = [...(value as Map<unknown, unknown>)];
  return Buffer.concat([
    head(5, entries.length),
    ...entries.flatMap(([key, each]) => [cbor(key), cbor(each)]),
  ]);
}

function head(major: number, size: number): Buffer {
  if (size < 24) return Buffer.from([(major << 5) | size]);
  return size < 256
    ? Buffer.from([(major << 5) | 24, size])
    : Buffer.from([(major << 5) | 25, size >> 8, size & 255]);
}
