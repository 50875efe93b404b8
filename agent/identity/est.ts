import { type Guidance, hostChoice, hostsInOrder, judged } from '../../os/net/choice.ts';
import { requestTrusted, type TrustedAnswer, type TrustedRequest } from '../../os/net/https-client.ts';
import type { Lookup } from '../../os/net/lookup.ts';
import type { HttpProxy } from '../../os/net/proxy.ts';
import { ascii } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { encodeBase64 } from '../../protocol/identity/base64.ts';
import { decodeBody, parseCertsOnly } from '../../protocol/identity/certs-only.ts';
import { hasUnprintable } from '../../protocol/text.ts';
import { decodeUtf8 } from '../../protocol/utf8.ts';
import type { Config } from '../config/config.ts';
import { EST_PATH, EST_PORT } from '../config/est-url.ts';
import { ANY_NAME, routerTrust } from './tls-root.ts';

/** What a device proves itself with over TLS: PEM. */
export type ClientIdentity = NonNullable<TrustedRequest['client']>;

/** A server for Enrollment over Secure Transport (RFC 7030): certificates in DER; the request is a PKCS #10. */
export interface EstClient {
  /** The CAs that sign for whoever proves himself so. @throws Failure `est.…`, `net.…`, `tls.…`, `agent.no-tls-root` */
  cacerts(proof: Proof): Promise<readonly Uint8Array[]>;
  /** A certificate: the first one with a code, the next one with the present; that not before the time that the server has named. @throws as `cacerts` */
  certify(request: Uint8Array, proof: Proof): Promise<readonly Uint8Array[]>;
}

/** A one-time code, or the certificate that there is. */
export type Proof = { readonly code: string } | { readonly present: ClientIdentity };

export interface EstOptions {
  readonly config: Config;
  readonly lookup: Lookup;
  readonly proxy: HttpProxy | undefined;
  /** Firewall mark of the connection; 0: none. */
  readonly mark: number;
  readonly stopping: AbortSignal;
  /** A monotonic clock in milliseconds. */
  readonly steadyMs: () => number;
}

/** A certificate has a few hundred bytes; a chain of large RSA keys, and lists that nobody asked for, a few thousand. */
const ANSWER_BYTES = 65_536;
/** The user's name counts for nothing (RFC 7030 §3.2.3): the code says it all. */
const USER = 'enf-agent';
const LONGEST_WAIT_S = 86_400;

export function estClient({ config, lookup, proxy, mark, stopping, steadyMs }: EstOptions): EstClient {
  /** By the steady clock: the server has asked to be left alone until then. */
  let heldUntilMs = 0;
  const { hosts, path, port, trust } = serverOf(config);
  const timeoutMs = config.remote.connectTimeout;
  const choosing = { hosts, port, everywhere: true, lookup, timeoutMs };
  const choice = hostChoice({ ...choosing, clock: steadyMs, chance: Math.random });

  const ask = async (
    operation: string,
    proof: Proof,
    what: Pick<TrustedRequest, 'method' | 'body'> & { readonly headers?: Readonly<Record<string, string>> },
  ): Promise<TrustedAnswer> => {
    const server = { hosts: (await choice.next()).map(({ host }) => host), port, ...(await trust()) };
    const request = {
      ...{ ...server, lookup, proxy, mark, signal: stopping, timeoutMs, answerBytes: ANSWER_BYTES },
      ...what,
      headers: { ...what.headers, ...('code' in proof && { authorization: basic(proof.code) }) },
      ...('present' in proof && { client: proof.present }),
      path: `${path}/${operation}`,
    };
    const once = (guidance: Guidance) => requestTrusted({ ...request, ...guidance });
    const answer = await judged(choice, once, () => !stopping.aborted);
    if (answer.status === 401 && 'code' in proof) throw wrongCode(answer);
    return answer;
  };

  return {
    cacerts: async (proof) => certificatesIn(await ask('cacerts', proof, { method: 'GET' }), 'cacerts'),
    async certify(request, proof) {
      const leftMs = heldUntilMs - steadyMs();
      // A person who asks again knows why.
      if ('present' in proof && leftMs > 0) throw tryLater(Math.ceil(leftMs / 1_000), '');
      const operation = 'code' in proof ? 'simpleenroll' : 'simplereenroll';
      const answer = await ask(operation, proof, {
        ...{ method: 'POST', body: linesOf(encodeBase64(request)) },
        headers: { 'content-type': 'application/pkcs10', 'content-transfer-encoding': 'base64' },
      });
      heldUntilMs = steadyMs() + 1_000 * (secondsOf(answer.retryAfter) ?? 0);
      return certificatesIn(answer, operation);
    },
  };
}

const basic = (code: string): string => `Basic ${encodeBase64(ascii(`${USER}:${code}`))}`;

/** The configured server, else that of the fabric, and what its certificate has to be. */
function serverOf({ identity, remote }: Config) {
  const { estServer } = identity;
  const none = async (): Promise<undefined> => undefined;
  if (estServer === undefined) {
    const hosts = hostsInOrder(remote.hosts, remote.order, Math.random);
    return { hosts, port: EST_PORT, path: EST_PATH, trust: () => routerTrust({ remote }, none) };
  }
  const { host, port, path } = estServer;
  // remote.tls-name is the name of a router; this is another server.
  const tlsName = remote.tlsName === ANY_NAME ? ANY_NAME : '';
  const trust = () => routerTrust({ remote: { ...remote, hosts: [host], tlsName } }, none);
  return { hosts: [host], port, path, trust };
}

/** Lines of 64 characters, as MIME has them. */
const linesOf = (base64: string): string => `${base64.match(/.{1,64}/g)!.join('\n')}\n`;

/** Retry-After in seconds, a day at most; undefined: none that is understood. */
function secondsOf(retryAfter: string | undefined): number | undefined {
  if (retryAfter === undefined) return undefined;
  const seconds = /^\d{1,9}$/.test(retryAfter)
    ? Number(retryAfter)
    : Math.ceil((Date.parse(retryAfter) - Date.now()) / 1_000);
  return seconds > 0 ? Math.min(seconds, LONGEST_WAIT_S) : undefined;
}

/** @throws Failure `est.try-later`, `est.refused`, `est.bad-answer` */
function certificatesIn(answer: TrustedAnswer, operation: string): readonly Uint8Array[] {
  const { status, retryAfter, body } = answer;
  if (status === 202 || status === 429 || status >= 500)
    throw tryLater(secondsOf(retryAfter), ` (${status}${wordsOf(answer)})`);
  if (status >= 400) throw refused(operation, answer);
  if (status !== 200) throw badAnswer(operation, `status ${status}`);
  const message = decodeBody(body);
  const certificates = message && parseCertsOnly(message);
  if (certificates === undefined) throw badAnswer(operation, 'something else');
  return certificates;
}

/** What the server says, as one line that can be shown; empty if it says nothing of the kind. */
function wordsOf({ type, body }: TrustedAnswer): string {
  if (!/^text\/plain\b/i.test(type)) return '';
  const text = decodeUtf8(body.subarray(0, 400))?.trim().split(/\r?\n/)[0] ?? '';
  return text === '' || hasUnprintable(text) ? '' : `: ${text.slice(0, 200)}`;
}

function tryLater(seconds: number | undefined, why: string): Failure {
  const when = seconds === undefined ? 'later' : `in ${seconds} s`;
  return new Failure(
    'est.try-later',
    'retry',
    `the EST server asks this device to come again ${when}${why}`,
    {
      action: `Try again ${when}. A renewal is tried again by itself. If this lasts, see the log of the server.`,
    },
  );
}

const wrongCode = (answer: TrustedAnswer): Failure =>
  new Failure(
    'est.wrong-code',
    'operator',
    `the EST server does not take this code (401${wordsOf(answer)})`,
    {
      action:
        'Compare it with the one that was given out. A code counts once, and for a limited time: ask the owner of the network for another one if it was used, or has expired.',
    },
  );

const refused = (operation: string, answer: TrustedAnswer): Failure =>
  new Failure(
    'est.refused',
    'operator',
    `the EST server refuses ${operation} (${answer.status}${wordsOf(answer)})`,
    {
      action:
        operation === 'simplereenroll'
          ? 'Ask the owner of the network whether this device was revoked or evicted. If it may come back, or its certificate has expired, it needs a new code: enf-agent enroll --force.'
          : 'Check identity.est-server, and ask the owner of the network.',
    },
  );

const badAnswer = (operation: string, got: string): Failure =>
  new Failure(
    'est.bad-answer',
    'retry',
    `${operation}: expected certificates (a certs-only PKCS #7 in base64) of the EST server, got ${got}`,
    { action: 'Check identity.est-server: is it an EST server, and is the path right?' },
  );
