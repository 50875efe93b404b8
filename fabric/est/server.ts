import type { Broken, WholeAnswer } from '../../os/net/broken-request.ts';
import type { SmallAnswer, SmallRequest } from '../../os/net/https.ts';
import { prefixesOf, sourceOf } from '../../os/net/peer.ts';
import { tokenBuckets } from '../../os/service/token-buckets.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { decodeBase64, encodeBase64 } from '../../protocol/identity/base64.ts';
import { backoff } from '../access/backoff.ts';
import { codeHash } from '../access/codes.ts';
import { certsOnly } from '../pki/certs-only.ts';
import { noCode } from './makers.ts';
import type { Authority, ShownProof } from './messages.ts';

/** The server of RFC 7030: what clients ask over HTTP, and what they are told. */

/** Bytes of a body: a request in base64. */
export const LARGEST_BODY = 16_384;
/** Requests of one source, and at once; each wider prefix may send so many times as many. */
const RATE = { burst: 20, periodMs: 500 };
const WIDER = 4;
/** Clients that wait for the fabric at a time. */
const MOST_WAITING = 32;
const BUSY_S = 5;

const PATH = /^\/\.well-known\/est\/(?:(\d{1,15})\/)?([a-z]{1,20})$/;
const METHODS: Readonly<Record<string, string>> = {
  cacerts: 'GET',
  csrattrs: 'GET',
  simpleenroll: 'POST',
  simplereenroll: 'POST',
};

const TEXT = { 'content-type': 'text/plain; charset=utf-8' };
const BASE64 = { 'content-transfer-encoding': 'base64' };

/** Answers requests. `now`: milliseconds, on a clock that never runs backwards. */
export function estHandler(
  authority: Authority,
  now: () => number = () => performance.now(),
): (request: SmallRequest) => Promise<SmallAnswer> {
  const guesses = backoff(now);
  const mayAsk = rates(now);
  let waiting = 0;

  const ask: Authority = async (asked) => {
    if (waiting >= MOST_WAITING) throw busy();
    waiting++;
    try {
      return await authority(asked);
    } finally {
      waiting--;
    }
  };

  /** The code that a request carries; undefined: it carries none. @throws Failure `pki.bad-code`, `pki.too-many-guesses` */
  function codeOf({ authorization, source }: SmallRequest): Uint8Array | undefined {
    if (authorization === undefined) return undefined;
    const waitMs = guesses.waitMs(sourceOf(source));
    if (waitMs > 0) throw tooManyGuesses(waitMs);
    const hash = codeHash(passwordIn(authorization) ?? '');
    if (hash === undefined) throw mistyped();
    return hash;
  }

  async function answer(request: SmallRequest): Promise<SmallAnswer> {
    const [, label, operation = ''] = PATH.exec(request.path.split('?')[0]!) ?? [];
    const method = Object.hasOwn(METHODS, operation) ? METHODS[operation] : undefined;
    if (method === undefined) throw noOperation('there is nothing here');
    if (request.method !== method)
      return text(405, wordsOf(noOperation(`${operation} takes ${method}`)), { allow: method });
    if (operation === 'csrattrs') return { status: 204, body: '', headers: {} };
    const anchor = label === undefined ? {} : { anchor: Number(label) };
    const code = codeOf(request);
    const { certificate, chain, source } = request;
    if (operation === 'cacerts') {
      const proof = code === undefined ? certificate && { certificate } : { code };
      return certs(
        await ask({ kind: 'issuers', ...(proof && { proof }), ...anchor }),
        'application/pkcs7-mime',
      );
    }
    // Whoever shows nothing is told so before it has sent a request.
    const proof =
      operation === 'simpleenroll' ? firstProof(code, certificate, chain) : requireCertificate(certificate);
    const body = await requestIn(request);
    const issued = await ask({ kind: 'certificate', proof, ...anchor, request: body, source });
    if (code !== undefined) guesses.succeeded(sourceOf(source));
    return certs(issued, 'application/pkcs7-mime; smime-type=certs-only');
  }

  return async (request) => {
    try {
      const waitMs = mayAsk(request.source);
      if (waitMs > 0) throw tooOften(waitMs);
      return await answer(request);
    } catch (error) {
      // One of the fabric is in its log.
      if (!isFailure(error)) return text(500, TROUBLE);
      if (error.code === 'pki.bad-code' && request.authorization !== undefined)
        guesses.failed(sourceOf(request.source));
      return refusal(error);
    }
  };
}

/** How long a source has to wait, itself or as one of a crowd; 0: it may ask. */
function rates(now: () => number): (source: string) => number {
  const buckets = [1, WIDER, WIDER ** 2, WIDER ** 3].map((times) =>
    tokenBuckets({ burst: RATE.burst * times, periodMs: RATE.periodMs / times }, now),
  );
  return (source) => {
    for (const [i, prefix] of prefixesOf(source).reverse().entries()) {
      const waitMs = buckets[i]!.take(prefix);
      if (waitMs > 0) return waitMs;
    }
    return 0;
  };
}

/** What is behind the first colon of HTTP Basic (RFC 7617); the name before it does not count. */
function passwordIn(header: string): string | undefined {
  const [, base64] = /^basic +([\w+/=]{1,400})$/i.exec(header) ?? [];
  const bytes = base64 === undefined ? undefined : decodeBase64(base64);
  const decoded = bytes && Buffer.from(bytes).toString('latin1');
  const colon = decoded?.indexOf(':') ?? -1;
  return colon < 0 ? undefined : decoded!.slice(colon + 1);
}

/** A code counts more than a certificate, which a client may show for any server. */
function firstProof(
  code: Uint8Array | undefined,
  maker: Uint8Array | undefined,
  chain: readonly Uint8Array[],
): ShownProof {
  if (code !== undefined) return { code };
  if (maker !== undefined) return { maker, chain };
  throw noCode();
}

function requireCertificate(certificate: Uint8Array | undefined): ShownProof {
  if (certificate !== undefined) return { certificate };
  throw new Failure('pki.not-issued', 'operator', 'the TLS handshake has shown no certificate', {
    action:
      'Show the certificate that is to be renewed as that of the TLS client; the first one is got by simpleenroll.',
  });
}

const ARMOUR = /-----(?:BEGIN|END) (?:NEW )?CERTIFICATE REQUEST-----/g;

/** Base64, also within the lines of PEM. @throws Failure `pki.bad-request-type`, `pki.request-too-large`, `pki.bad-request` */
async function requestIn({ contentType, body }: SmallRequest): Promise<Uint8Array> {
  const [type] = (contentType ?? '').split(';');
  if (type!.trim().toLowerCase() !== 'application/pkcs10') {
    throw new Failure('pki.bad-request-type', 'operator', 'the body is not application/pkcs10', {
      action: 'Send "Content-Type: application/pkcs10" and the base64 of PKCS#10 in DER.',
    });
  }
  const sent = await body();
  if (sent === undefined) {
    throw new Failure('pki.request-too-large', 'operator', `a body has at most ${LARGEST_BODY} bytes`, {
      action: 'Send a request with fewer attributes.',
    });
  }
  const der = decodeBase64(Buffer.from(sent).toString('latin1').replace(ARMOUR, '').replace(/\s+/g, ''));
  if (der !== undefined) return der;
  throw new Failure('pki.bad-request', 'operator', 'the body is no base64', {
    action: 'Send the base64 of PKCS#10 in DER.',
  });
}

function certs(certificates: readonly Uint8Array[], type: string): SmallAnswer {
  const body = encodeBase64(certsOnly(certificates)).replace(/.{1,64}/g, '$&\n');
  return { status: 200, body, headers: { 'content-type': type, ...BASE64 } };
}

const noOperation = (what: string): Failure =>
  new Failure('pki.no-operation', 'operator', what, {
    action: 'See cacerts, simpleenroll, simplereenroll and csrattrs below /.well-known/est/ (RFC 7030).',
  });

const text = (
  status: number,
  words: string,
  headers: Readonly<Record<string, string>> = {},
): WholeAnswer => ({
  status,
  body: `${words}\n`,
  headers: { ...TEXT, ...headers },
});

/** The answer to what is no request. */
export function notUnderstood(what: Broken): WholeAnswer {
  const [status, why] = NOT_UNDERSTOOD[what];
  const failure = new Failure('pki.not-http', 'operator', `the request cannot be understood: ${why}`, {
    action: 'Speak HTTP/1.1 as RFC 7030 has it.',
  });
  return text(status, wordsOf(failure));
}

const NOT_UNDERSTOOD: Readonly<Record<Broken, readonly [status: number, why: string]>> = {
  malformed: [400, 'it is no HTTP/1.1, or names no host'],
  'headers-too-large': [431, 'its headers are too large'],
  'too-slow': [408, 'it did not come in time'],
  expectation: [417, 'nothing but "Expect: 100-continue" is done'],
  connect: [405, 'this is no proxy'],
};

const wordsOf = ({ code, message, action }: Failure): string => `${code}: ${message}\n${action}`;

const STATUS: Readonly<Record<string, number>> = {
  'pki.bad-request': 400,
  'pki.other-subject': 400,
  'pki.bad-code': 401,
  'pki.not-issued': 403,
  'pki.not-vouched': 403,
  'pki.revoked': 403,
  'pki.evicted': 403,
  'fabric.device-banned': 403,
  'fabric.device-retired': 403,
  'fabric.group-suspended': 403,
  'fabric.country-unexpected': 403,
  'fabric.not-resident': 403,
  'fabric.unknown-owner': 403,
  'pki.no-operation': 404,
  'pki.which-ca': 404,
  'pki.unknown-ca': 404,
  'pki.not-issuing': 404,
  'pki.no-issuer': 409,
  'pki.address-not-free': 409,
  'pki.too-many-valid': 409,
  'fabric.group-full': 409,
  'fabric.name-exists': 409,
  'fabric.network-full': 409,
  'fabric.unknown-device': 409,
  'pki.request-too-large': 413,
  'pki.bad-request-type': 415,
  'pki.too-many-guesses': 429,
  'pki.too-often': 429,
};

const TROUBLE = 'internal: the fabric cannot issue certificates at the moment';

function refusal(failure: Failure): SmallAnswer {
  const { code, remedy } = failure;
  const status = STATUS[code] ?? (remedy === 'retry' ? 503 : 500);
  const seconds = failure instanceof Waiting ? failure.seconds : BUSY_S;
  const headers = {
    ...(status === 401 && { 'www-authenticate': 'Basic realm="enf"' }),
    ...((status === 429 || status === 503) && { 'retry-after': String(seconds) }),
  };
  // What went wrong in the fabric itself concerns nobody outside.
  if (status === 500) return text(500, TROUBLE);
  return text(status, wordsOf(failure), headers);
}

/** A refusal that says for how long. */
class Waiting extends Failure {
  readonly seconds: number;
  constructor(failure: Failure, waitMs: number) {
    super(failure.code, failure.remedy, failure.message, { action: failure.action! });
    this.seconds = Math.ceil(waitMs / 1_000);
  }
}

const tooOften = (waitMs: number): Failure =>
  new Waiting(
    new Failure('pki.too-often', 'retry', 'too many requests come from this address, or from its network', {
      action: 'Ask less often.',
    }),
    waitMs,
  );

const tooManyGuesses = (waitMs: number): Failure =>
  new Waiting(
    new Failure('pki.too-many-guesses', 'retry', 'too many wrong codes have come from this address', {
      action: 'Wait some minutes, and check the code.',
    }),
    waitMs,
  );

const mistyped = (): Failure =>
  new Failure('pki.bad-code', 'operator', 'the password of HTTP Basic has not the form of a code', {
    action: 'Send a code as "enf-fabric code add" has printed it: four groups of four letters and digits.',
  });

const busy = (): Failure =>
  new Failure('pki.busy', 'retry', 'too many ask for certificates at this moment', {
    action: 'Ask again in a few seconds.',
  });
