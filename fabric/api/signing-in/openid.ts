import { createHash, randomBytes } from 'node:crypto';
import type { Configuration, CustomFetchOptions, IDToken } from 'openid-client';
import { sourceOf } from '../../../os/net/peer.ts';
import { Failure, isFailure } from '../../../protocol/failure.ts';
import type { OpenId } from '../../access/openid.ts';
import { challenges } from './challenges.ts';

/** How long the issuer may take for one answer, and how large that may be. */
const TIMEOUT_MS = 10_000;
const LARGEST_ANSWER = 262_144;
/** How long its description is believed. */
const DISCOVERED_MS = 3_600_000;
/** People who may come back from it at the same moment, in all and of one source: whoever waits for a slow issuer keeps nobody else out. */
const AT_ONCE = { all: 16, source: 4 } as const;
/** How far the issuer's clock may be behind ours. */
const CLOCKS_MS = 30_000;

/**
 * What somebody goes to the issuer for: to sign in here; to show that it is still there, by signing in anew; or to let it sign in by that account from
 * then on. The last two are of a person, and of the session that asked.
 */
export type Errand =
  | { readonly to: 'enter' }
  | {
      readonly to: 'confirm' | 'add';
      readonly person: number;
      readonly generation: number;
      readonly proved: number;
      readonly session: string;
      /** When it left; milliseconds since 1970. */
      readonly left: number;
    };

/** An account of which the issuer has told, and when its owner has signed in there (milliseconds since 1970), if it says that. */
export interface Verified {
  readonly issuer: string;
  readonly subject: string;
  readonly login: string;
  /** Of the person, to call it by. */
  readonly name: string;
  /** May it come in without an invite? */
  readonly isOfDomain: boolean;
  readonly signedInAt?: number;
}

/** Signing in by accounts elsewhere (OpenID Connect, authorization code with PKCE). */
export interface OpenIdSignIn {
  /** Where the browser goes, and the text of a cookie that it keeps meanwhile. @throws Failure `access.no-issuer` */
  begin(errand: Errand): Promise<{ readonly address: string; readonly cookie: string }>;
  /**
   * What the issuer sends the browser back with: `url` with its query, and the cookie. Each holds once, for five minutes. `address` is the browser's.
   * @throws Failure `access.bad-account`, `access.unverified-email`, `access.no-issuer`, `access.busy`
   */
  end(
    url: URL,
    cookie: string,
    address: string,
  ): Promise<{ readonly errand: Errand; readonly account: Verified }>;
  /** What a browser with this cookie says that it went for: for words to it, and nothing else. */
  toOf(cookie: string): Errand['to'] | undefined;
}

/** `callback` is the address at which the issuer sends browsers back. */
export function openIdSignIn(settings: OpenId, callback: string, now: () => number): OpenIdSignIn {
  const open = challenges(now);
  let found: { readonly at: number; readonly configuration: Promise<Configuration> } | undefined;
  const counted = bounded(AT_ONCE.all, AT_ONCE.source);

  /** What the issuer says of itself; asked for once, by however many. */
  function configuration(): Promise<Configuration> {
    if (found === undefined || now() - found.at >= DISCOVERED_MS) {
      const asked = { at: now(), configuration: discover(settings) };
      asked.configuration.catch(() => {
        if (found === asked) found = undefined;
      });
      found = asked;
    }
    return found.configuration;
  }

  async function exchanged(url: URL, cookie: string, errand: Errand): Promise<Verified> {
    const { authorizationCodeGrant } = await import('openid-client');
    const tokens = await authorizationCodeGrant(await configuration(), url, {
      expectedState: url.searchParams.get('state')!,
      expectedNonce: derived('nonce', cookie),
      pkceCodeVerifier: derived('verifier', cookie),
      idTokenExpected: true,
    });
    const account = accountOf(settings, tokens.claims()!);
    if (errand.to === 'confirm' && !((account.signedInAt ?? 0) >= errand.left - CLOCKS_MS))
      throw new Error('the issuer does not say that somebody has signed in anew');
    return account;
  }

  return {
    begin: (errand) =>
      refusing(async () => {
        const { buildAuthorizationUrl } = await import('openid-client');
        const cookie = `${randomBytes(32).toString('base64url')}.${packed(errand)}`;
        const url = buildAuthorizationUrl(await configuration(), {
          redirect_uri: callback,
          scope: settings.claim === 'email' ? 'openid email profile' : 'openid profile',
          state: open.issue(purposeOf(cookie)),
          nonce: derived('nonce', cookie),
          code_challenge: createHash('sha256').update(derived('verifier', cookie)).digest('base64url'),
          code_challenge_method: 'S256',
          ...(errand.to === 'confirm' && { prompt: 'login', max_age: '0' }),
        });
        return { address: url.href, cookie };
      }),
    end: (url, cookie, address) =>
      refusing(async () => {
        const errand = unpacked(cookie);
        const states = url.searchParams.getAll('state');
        if (errand === undefined || states.length !== 1 || !open.isOpen(states[0]!, purposeOf(cookie)))
          throw new Error('the answer belongs to no sign-in that has begun in this browser');
        const account = await counted(sourceOf(address), () => exchanged(url, cookie, errand));
        // Only what the issuer has answered is remembered as used: nobody else can make us forget what was begun.
        if (!open.use(states[0]!, purposeOf(cookie))) throw new Error('the answer was used before');
        return { errand, account };
      }),
    toOf: (cookie) => unpacked(cookie)?.to,
  };
}

/** The cookie and the state that goes by the issuer belong together. */
const purposeOf = (cookie: string): string => `openid ${cookie}`;

/** What only whoever has the cookie can tell. */
const derived = (what: 'nonce' | 'verifier', cookie: string): string =>
  createHash('sha256').update(`${what} ${cookie}`).digest('base64url');

const packed = (errand: Errand): string => Buffer.from(JSON.stringify(errand)).toString('base64url');

/** The state vouches for the whole cookie: what is not of ours never gets further. */
function unpacked(cookie: string): Errand | undefined {
  try {
    return JSON.parse(Buffer.from(cookie.split('.')[1] ?? '', 'base64url').toString()) as Errand;
  } catch {
    return undefined;
  }
}

async function discover({ issuer, clientId, secret }: OpenId): Promise<Configuration> {
  const {
    allowInsecureRequests,
    ClientSecretPost,
    customFetch,
    discovery,
    enableNonRepudiationChecks,
    None,
  } = await import('openid-client');
  return discovery(issuer, clientId, undefined, secret === undefined ? None() : ClientSecretPost(secret), {
    [customFetch]: boundedFetch,
    timeout: TIMEOUT_MS / 1_000,
    // The signature of an id token counts, not only by which connection it came.
    // The configuration lets http lead to this machine alone.
    execute: [enableNonRepudiationChecks, ...(issuer.protocol === 'http:' ? [allowInsecureRequests] : [])],
  });
}

/** As `fetch`, with a deadline for the whole answer and a bound of its size; the issuer sends us nowhere else. */
async function boundedFetch(url: string, options: CustomFetchOptions): Promise<Response> {
  const response = await fetch(url, {
    ...(options as RequestInit),
    redirect: 'manual',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > LARGEST_ANSWER) throw new Error(`the issuer answers with more than ${LARGEST_ANSWER} bytes`);
    chunks.push(chunk);
  }
  const { status, headers } = response;
  return new Response(status === 204 || status === 304 ? null : Buffer.concat(chunks), { status, headers });
}

/** The account that verified claims tell of. @throws Failure `access.unverified-email`, Error if a claim is missing */
function accountOf({ claim, domains, domainClaim }: OpenId, claims: IDToken): Verified {
  const { iss: issuer, sub: subject, auth_time: signedIn } = claims;
  const login = claims[claim];
  if (typeof login !== 'string' || login === '' || login.length > 254)
    throw new Error(`the issuer does not tell the claim ${claim}`);
  if (claim === 'email' && claims.email_verified !== true) throw unverifiedEmail();
  const domain = login.slice(login.lastIndexOf('@') + 1).toLowerCase();
  return {
    ...{ issuer, subject, login, name: nameOf(claims.name, login) },
    isOfDomain:
      login.includes('@') &&
      domains.includes(domain) &&
      (domainClaim === undefined || (domains as readonly unknown[]).includes(claims[domainClaim])),
    ...(typeof signedIn === 'number' && { signedInAt: signedIn * 1_000 }),
  };
}

/** What to call somebody: by its name, else by its login. */
function nameOf(name: unknown, login: string): string {
  const given = typeof name === 'string' ? name.replace(/\p{C}/gu, '').trim() : '';
  // Not half of a character.
  return (given === '' ? login : given).slice(0, 60).replace(/[\ud800-\udbff]$/, '');
}

/** Runs the work of a source while no more than `all` run, and `each` of one source. */
function bounded(all: number, each: number) {
  const running: string[] = [];
  return async <T>(source: string, work: () => Promise<T>): Promise<T> => {
    if (running.length >= all || running.filter((other) => other === source).length >= each) throw busy();
    running.push(source);
    try {
      return await work();
    } finally {
      running.splice(running.indexOf(source), 1);
    }
  };
}

/** What the work resolves to; whatever the library finds wrong is one failure, but for an issuer that does not answer. */
async function refusing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isFailure(error)) throw error;
    throw isUnreachable(error as Error) ? noIssuer(error as Error) : badAccount(error as Error);
  }
}

/** Did the issuer give no answer, or none that can be read? */
function isUnreachable({ name, code, cause }: Error & { readonly code?: string }): boolean {
  const reason = cause as Error | undefined;
  const own =
    ['TimeoutError', 'AbortError'].includes(name) || ['OAUTH_TIMEOUT', 'OAUTH_ABORT'].includes(code ?? '');
  return own || (name === 'TypeError' && reason !== undefined && code === undefined) || isServerError(cause);
}

/** An answer of the kind "not now". */
const isServerError = (cause: unknown): boolean => cause instanceof Response && cause.status >= 500;

const noIssuer = (cause: Error): Failure =>
  new Failure('access.no-issuer', 'retry', 'the OpenID issuer does not answer', {
    action: 'Try again, or sign in by password or passkey.',
    cause,
  });

const badAccount = (cause: Error): Failure =>
  new Failure(
    'access.bad-account',
    'operator',
    'what the OpenID issuer says is not right, or came too late',
    {
      action: 'Try again; if it stays so, see the log of the console.',
      cause,
    },
  );

const unverifiedEmail = (): Failure =>
  new Failure(
    'access.unverified-email',
    'operator',
    'the OpenID issuer has not verified your e-mail address',
    {
      action: 'Confirm the address at the issuer, and sign in again.',
    },
  );

const busy = (): Failure =>
  new Failure('access.busy', 'retry', 'too many people come back from the issuer at this moment', {
    action: 'Try again in a few seconds.',
  });
