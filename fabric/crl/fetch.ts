import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { parseWebAddress, resolveOutbound } from '../../os/net/outbound.ts';
import { revocationListIn } from '../../protocol/identity/revocation-list.ts';

/** How lists of revoked certificates are fetched. */
export interface FetchOptions {
  /** They may be in private networks, and on this host. */
  readonly allowPrivate: boolean;
  /** What is under way ends when it aborts. */
  readonly signal?: AbortSignal;
  /** PEM of roots beside those of the system. */
  readonly ca?: string;
  /** For all of it, redirects included. */
  readonly timeoutMs?: number;
  /** Finds where a name leads; a test brings its own. */
  readonly resolve?: typeof resolveOutbound;
}

const TIMEOUT_MS = 20_000;
/** Some 14,000 certificates. */
export const LARGEST_LIST = 512 * 1024;
const MOST_REDIRECTS = 3;

/**
 * Fetches a list of revoked certificates, DER. It is signed: whoever is on the way can keep it back, and nothing else; so `http:` will do, and
 * redirects are followed, each to where it may lead. @throws Error with why there is none
 */
export async function fetchList(address: string, options: FetchOptions): Promise<Uint8Array> {
  const { timeoutMs = TIMEOUT_MS, signal } = options;
  const timeout = AbortSignal.timeout(timeoutMs);
  const ended = signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
  try {
    const file = await follow(address, options, ended);
    const list = revocationListIn(file);
    if (list === undefined)
      throw new Error(`what is there is no list of revoked certificates: ${begin(file)}`);
    return list;
  } catch (error) {
    if (timeout.aborted) throw new Error(`not all of it came within ${timeoutMs / 1_000} s`);
    throw error;
  }
}

async function follow(address: string, options: FetchOptions, signal: AbortSignal): Promise<Uint8Array> {
  let url = urlOf(address);
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
    const answer = await get(url, options, signal);
    if (answer instanceof Uint8Array) return answer;
    url = urlOf(answer.location, url);
  }
  throw new Error(`more than ${MOST_REDIRECTS} redirects`);
}

function urlOf(address: string, base?: URL): URL {
  const whole = URL.canParse(address, base?.href) ? new URL(address, base).href : address;
  const read = parseWebAddress(whole);
  if ('wrong' in read) throw new Error(read.wrong);
  return read.url;
}

/** What is there, or where else it is. */
async function get(
  url: URL,
  { allowPrivate, ca, resolve: find = resolveOutbound }: FetchOptions,
  signal: AbortSignal,
): Promise<Uint8Array | { readonly location: string }> {
  const { lookup } = await find(url, allowPrivate);
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const headers = { accept: 'application/pkix-crl, */*;q=0.1', 'user-agent': 'enf-fabric' };
  return new Promise((resolve, reject) => {
    const request = send(url, {
      ...{ headers, lookup, agent: false, signal },
      ...(ca !== undefined && { ca }),
    });
    request.on('error', reject);
    request.on('response', (response) => {
      const { statusCode = 0 } = response;
      const { location } = response.headers;
      if (statusCode === 200) return void bodyOf(response).then(resolve, reject);
      response.destroy();
      if (statusCode > 300 && statusCode < 309 && location !== undefined) resolve({ location });
      else reject(new Error(`HTTP ${statusCode}`));
    });
    request.end();
  });
}

async function bodyOf(response: IncomingMessage): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let length = 0;
  // Leaving the loop ends the connection.
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > LARGEST_LIST) throw new Error(`it is larger than ${LARGEST_LIST / 1_024} KB`);
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}

const SHOWN = 24;

/** How a file begins, for a person. */
const begin = (file: Uint8Array): string =>
  file.length === 0
    ? 'nothing'
    : JSON.stringify(new TextDecoder('latin1').decode(file.subarray(0, SHOWN)).replaceAll(/[^ -~]+/g, '.'));
