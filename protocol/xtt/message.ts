import { concat, equal, readU16, u16 } from '../bytes.ts';
import { isSuiteSpec, type SuiteSpec } from '../crypto/suite.ts';
import { Failure } from '../failure.ts';

/** Bytes before the body of every message: type, length, version. */
export const HEADER_LENGTH = 4;

/** Whole lengths in bytes, header and tag included; every message has exactly one. */
export const MESSAGE_LENGTH = {
  clientInit: 70,
  serverInitAndAttest: 417,
  identityClientAttest: 750,
  identityServerFinished: 103,
  error: 4,
} as const;

/** The four messages of a handshake. */
export type MessageKind = Exclude<keyof typeof MESSAGE_LENGTH, 'error'>;

const TYPE: Record<MessageKind | 'error', number> = {
  clientInit: 0x01,
  serverInitAndAttest: 0x02,
  identityClientAttest: 0x11,
  identityServerFinished: 0x13,
  error: 0x41,
};

const KINDS = Object.keys(TYPE) as (MessageKind | 'error')[];
const VERSION = 0x01;

/** Bytes of the fields (xtt-protocol.md §2.4). */
export const FIELD_LENGTH = {
  nonce: 32,
  share: 32,
  cookie: 130,
  certificate: 169,
  signature: 64,
  publicKey: 65,
  gid: 32,
  identity: 16,
  daaSignature: 421,
  pseudonym: 65,
  tag: 16,
} as const;

/**
 *   0      1        3         4
 *   +------+--------+---------+
 *   | type | length | version |    Error, all of it: 41 00 04 01. No reason code, not authenticated.
 *   +------+--------+---------+
 */
export const ERROR_MESSAGE: Uint8Array = header('error');

/** The headers of all messages, 4 bytes each, back to back: whatever else a connection begins with is not XTT. */
export const KNOWN_HEADERS: Uint8Array = concat(...KINDS.map((kind) => header(kind)));

/** True if `message` is exactly an Error message. */
export function isErrorMessage(message: Uint8Array): boolean {
  return equal(message, ERROR_MESSAGE);
}

/**
 * The whole length in bytes of the message that starts with this 4-byte header, for loops that read from a socket:
 * read 4, ask here, read the rest. Type, version and the one length that the type may have are all checked, so that
 * nobody can make a reader wait for more than it would accept.
 * @throws Failure `xtt.bad-header`
 */
export function announcedLength(header: Uint8Array): number {
  if (header.length !== HEADER_LENGTH) {
    throw new Error(`a message header has ${HEADER_LENGTH} bytes, not ${header.length}`);
  }
  const [type, length, version] = [header[0]!, readU16(header, 1), header[3]!];
  const kind = KINDS.find((kind) => TYPE[kind] === type);
  if (kind === undefined || length !== MESSAGE_LENGTH[kind] || version !== VERSION) {
    throw new Failure(
      'xtt.bad-header',
      'retry',
      `message header: expected a known type with its length and version ${VERSION}, ` +
        `got type 0x${type.toString(16)}, length ${length}, version ${version}`,
      { action: 'Check that the other side speaks XTT version 1 on this port.' },
    );
  }
  return length;
}

/** The last message but one has who the device is: what ends a handshake there is mostly the owner's will. An Error has no room for a reason. */
const REFUSED_IDENTITY =
  'The fabric knows why, its owner sees it at Handshakes: the batch is not admitted, suspended or full, the country is not one of the batch, or the device is banned or retired.';

/**
 * The first check on every message, before anything else is looked at: version, suite, type and length of the clear
 * header. `suite` is the negotiated one; without it any known suite will do.
 * @throws Failure `xtt.error-received`, `xtt.bad-version`, `xtt.bad-type`, `xtt.bad-length`, `xtt.unknown-suite`,
 * `xtt.wrong-suite`
 */
export function checkClearHeader(message: Uint8Array, kind: MessageKind, suite?: SuiteSpec): SuiteSpec {
  if (isErrorMessage(message)) {
    throw new Failure('xtt.error-received', 'retry', `expected ${kind}, got an Error message`, {
      action:
        kind === 'identityServerFinished'
          ? REFUSED_IDENTITY
          : 'The other side refused without a reason; see its log or audit trail.',
    });
  }
  const expected = MESSAGE_LENGTH[kind];
  const wrongLength = (got: string): Failure =>
    new Failure('xtt.bad-length', 'retry', `${kind}: expected ${expected} bytes, got ${got}`, {
      action: 'Check that the other side speaks XTT version 1 on this port.',
    });
  if (message.length < HEADER_LENGTH + 2) throw wrongLength(`${message.length}`);
  const version = message[3]!;
  if (version !== VERSION) {
    throw new Failure('xtt.bad-version', 'retry', `${kind}: expected version ${VERSION}, got ${version}`, {
      action: 'Use software on both sides that speaks XTT version 1.',
    });
  }
  const spec = readU16(message, HEADER_LENGTH);
  if (!isSuiteSpec(spec)) {
    throw new Failure('xtt.unknown-suite', 'retry', `${kind}: expected suite 1 to 4, got ${spec}`, {
      action: 'Check which suites this version and the other side support.',
    });
  }
  if (suite !== undefined && spec !== suite) {
    throw new Failure('xtt.wrong-suite', 'retry', `${kind}: expected suite ${suite}, got ${spec}`, {
      action: 'The other side changed the suite during the handshake; check its software.',
    });
  }
  if (message[0] !== TYPE[kind]) {
    const [want, got] = [TYPE[kind].toString(16), message[0]!.toString(16)];
    throw new Failure('xtt.bad-type', 'retry', `expected ${kind} (type 0x${want}), got type 0x${got}`, {
      action: 'Check that the other side speaks XTT in the opposite role.',
    });
  }
  if (readU16(message, 1) !== expected) throw wrongLength(`a length field of ${readU16(message, 1)}`);
  if (message.length !== expected) throw wrongLength(`${message.length}`);
  return spec;
}

export interface ClientInit {
  readonly suite: SuiteSpec;
  readonly nonce: Uint8Array;
  readonly share: Uint8Array;
}

/**
 *   0    1        3         4       6               38             70
 *   +----+--------+---------+-------+---------------+--------------+
 *   | 01 | 00 46  | version | suite | signing nonce | client share |     ClientInit, all clear
 *   +----+--------+---------+-------+---------------+--------------+
 */
export function encodeClientInit(fields: ClientInit): Uint8Array {
  return concat(
    header('clientInit'),
    u16(fields.suite),
    field('nonce', fields.nonce),
    field('share', fields.share),
  );
}

/** The fields of a 70-byte ClientInit, copied. @throws Failure as {@link checkClearHeader} */
export function decodeClientInit(message: Uint8Array): ClientInit {
  const suite = checkClearHeader(message, 'clientInit');
  const bytes = new Uint8Array(message);
  return { suite, nonce: bytes.subarray(6, 38), share: bytes.subarray(38) };
}

/** What of a sealed message can be seen from outside. `clear` is also its AAD. */
export interface Envelope {
  readonly clear: Uint8Array;
  /** ciphertext ‖ 16-byte tag */
  readonly sealed: Uint8Array;
}

export interface ServerInit {
  readonly suite: SuiteSpec;
  readonly share: Uint8Array;
  readonly cookie: Uint8Array;
}

/**
 *   0    1        3         4       6              38       168                       401   417
 *   +----+--------+---------+-------+--------------+--------+-------------------------+-----+
 *   | 02 | 01 A1  | version | suite | server share | cookie | sealed ServerAttest 233 | tag |  ServerInitAndAttest
 *   +----+--------+---------+-------+--------------+--------+-------------------------+-----+
 *   |<------------------- clear, AAD, 168 ----------------->|
 */
export function encodeServerInit(fields: ServerInit): Uint8Array {
  return concat(
    header('serverInitAndAttest'),
    u16(fields.suite),
    field('share', fields.share),
    field('cookie', fields.cookie),
  );
}

/** The clear fields of a 417-byte ServerInitAndAttest, copied. @throws Failure as {@link checkClearHeader} */
export function decodeServerInit(message: Uint8Array, suite?: SuiteSpec): ServerInit & Envelope {
  const spec = checkClearHeader(message, 'serverInitAndAttest', suite);
  const bytes = new Uint8Array(message);
  return {
    suite: spec,
    share: bytes.subarray(6, 38),
    cookie: bytes.subarray(38, 168),
    clear: bytes.subarray(0, 168),
    sealed: bytes.subarray(168),
  };
}

export interface ServerAttest {
  readonly certificate: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 *   0                    169                233
 *   +--------------------+------------------+
 *   | server certificate | server signature |     plaintext inside ServerInitAndAttest
 *   +--------------------+------------------+
 */
export function encodeServerAttest(fields: ServerAttest): Uint8Array {
  return concat(field('certificate', fields.certificate), field('signature', fields.signature));
}

/** The fields of the 233-byte plaintext; views of it. */
export function decodeServerAttest(plaintext: Uint8Array): ServerAttest {
  return { certificate: plaintext.subarray(0, 169), signature: plaintext.subarray(169, 233) };
}

export interface ClientAttest {
  readonly suite: SuiteSpec;
  readonly cookie: Uint8Array;
}

/**
 *   0    1        3         4       6        136                           734   750
 *   +----+--------+---------+-------+--------+-----------------------------+-----+
 *   | 11 | 02 EE  | version | suite | cookie | sealed IdentityClaim 598    | tag |   Identity_ClientAttest
 *   +----+--------+---------+-------+--------+-----------------------------+-----+
 *   |<---------- clear, AAD, 136 ----------->|
 */
export function encodeClientAttest(fields: ClientAttest): Uint8Array {
  return concat(header('identityClientAttest'), u16(fields.suite), field('cookie', fields.cookie));
}

/**
 * The clear fields of a 750-byte Identity_ClientAttest, copied. A server without state per half-open client finds
 * its cookie here, redeems it and greets again. @throws Failure as {@link checkClearHeader}
 */
export function decodeClientAttest(message: Uint8Array, suite?: SuiteSpec): ClientAttest & Envelope {
  const spec = checkClearHeader(message, 'identityClientAttest', suite);
  const bytes = new Uint8Array(message);
  return {
    suite: spec,
    cookie: bytes.subarray(6, 136),
    clear: bytes.subarray(0, 136),
    sealed: bytes.subarray(136),
  };
}

export interface IdentityClaim {
  readonly longtermPublicKey: Uint8Array;
  readonly gid: Uint8Array;
  /** All zero: the server chooses. */
  readonly requestedIdentity: Uint8Array;
  readonly longtermSignature: Uint8Array;
  readonly daaSignature: Uint8Array;
}

/**
 *   0                     65    97                   113                  177             598
 *   +---------------------+-----+--------------------+--------------------+---------------+
 *   | longterm public key | GID | requested identity | longterm signature | DAA signature |   plaintext inside
 *   +---------------------+-----+--------------------+--------------------+---------------+   Identity_ClientAttest
 */
export function encodeIdentityClaim(fields: IdentityClaim): Uint8Array {
  return concat(
    field('publicKey', fields.longtermPublicKey),
    field('gid', fields.gid),
    field('identity', fields.requestedIdentity),
    field('signature', fields.longtermSignature),
    field('daaSignature', fields.daaSignature),
  );
}

/** The fields of the 598-byte plaintext; views of it. */
export function decodeIdentityClaim(plaintext: Uint8Array): IdentityClaim {
  return {
    longtermPublicKey: plaintext.subarray(0, 65),
    gid: plaintext.subarray(65, 97),
    requestedIdentity: plaintext.subarray(97, 113),
    longtermSignature: plaintext.subarray(113, 177),
    daaSignature: plaintext.subarray(177, 598),
  };
}

/**
 *   0    1        3         4       6                    87    103
 *   +----+--------+---------+-------+--------------------+-----+
 *   | 13 | 00 67  | version | suite | sealed Assigned 81 | tag |     Identity_ServerFinished
 *   +----+--------+---------+-------+--------------------+-----+
 *   |<------- clear, AAD, 6 ------->|
 */
export function encodeServerFinished(suite: SuiteSpec): Uint8Array {
  return concat(header('identityServerFinished'), u16(suite));
}

/** The envelope of a 103-byte Identity_ServerFinished, copied. @throws Failure as {@link checkClearHeader} */
export function decodeServerFinished(
  message: Uint8Array,
  suite?: SuiteSpec,
): { readonly suite: SuiteSpec } & Envelope {
  const spec = checkClearHeader(message, 'identityServerFinished', suite);
  const bytes = new Uint8Array(message);
  return { suite: spec, clear: bytes.subarray(0, 6), sealed: bytes.subarray(6) };
}

export interface Assigned {
  readonly identity: Uint8Array;
  readonly longtermPublicKey: Uint8Array;
}

/**
 *   0          16                         81
 *   +----------+--------------------------+
 *   | identity | longterm public key echo |     plaintext inside Identity_ServerFinished
 *   +----------+--------------------------+
 */
export function encodeAssigned(fields: Assigned): Uint8Array {
  return concat(field('identity', fields.identity), field('publicKey', fields.longtermPublicKey));
}

/** The fields of the 81-byte plaintext; views of it. */
export function decodeAssigned(plaintext: Uint8Array): Assigned {
  return { identity: plaintext.subarray(0, 16), longtermPublicKey: plaintext.subarray(16, 81) };
}

function header(kind: MessageKind | 'error'): Uint8Array {
  return concat(Uint8Array.of(TYPE[kind]), u16(MESSAGE_LENGTH[kind]), Uint8Array.of(VERSION));
}

/** A field on its way out; a wrong size here is our own mistake, never the peer's. */
function field(name: keyof typeof FIELD_LENGTH, bytes: Uint8Array): Uint8Array {
  if (bytes.length !== FIELD_LENGTH[name]) {
    throw new Error(`${name} has ${FIELD_LENGTH[name]} bytes, not ${bytes.length}`);
  }
  return bytes;
}
