import { isIP } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { peerAddress, sourceOf } from '../../os/net/peer.ts';
import { toHex } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { backoff } from '../access/backoff.ts';
import { secretHash } from '../access/secrets.ts';
import type { SignedIn } from '../account/operation.ts';
import { OWNER_HEADER } from './client.ts';
import type { ApiOptions, Caller, FabricBehind } from './options.ts';
import { API_PREFIX } from './routes.ts';
import { heldTokens } from './signing-in/held-tokens.ts';
import { LONGEST_MS, type Session, sessions } from './signing-in/sessions.ts';
import { type Site, siteOf } from './site.ts';

/** Whoever sends requests: with a token, or by the cookie of a session. */
export interface Callers {
  readonly site: Site;
  /**
   * On whose behalf a request is.
   * @throws Failure `access.bad-token`, `access.not-signed-in`, `access.cross-site`, `access.too-many-attempts`
   */
  of(request: FastifyRequest): Caller;
  /** The session begins: the browser gets its cookie, and is shown who it is. `proved` is when its person has shown that it is there, if not now. */
  enter(request: FastifyRequest, reply: FastifyReply, signedIn: SignedIn, proved?: number): SignedIn['me'];
  /** The person of the session has shown that it is there. */
  confirm(request: FastifyRequest): void;
  /** The same for a session whose person goes away and comes back by another site, which its cookie does not: see `Sessions`. */
  sessionOf(request: FastifyRequest): string;
  /** @throws Failure `access.not-signed-in` if it is over */
  requireSession(session: string): void;
  /** @throws Failure `access.not-signed-in` if it is over */
  confirmSession(session: string, proved: number): void;
  /** The session of the request ends, or all of its person. */
  leave(request: FastifyRequest, reply: FastifyReply): void;
  leaveEverywhere(request: FastifyRequest, reply: FastifyReply): void;
  /** Calls `listener` when somebody has signed out. */
  onLeave(listener: () => void): void;
  /** Does the session of the request hold still, if it is by one? */
  holds(request: FastifyRequest): boolean;
  /** For the rate of requests: one token that the fabric has accepted, one session or one source. */
  keyOf(request: FastifyRequest): string;
  /** The same fabric; which tokens it accepts is known from then on. */
  watched(call: FabricBehind['call']): FabricBehind['call'];
}

/** For limits of what a caller has open at once: its token or its session. */
export const callerKey = (callers: Callers, request: FastifyRequest, { token }: Caller): string =>
  token ?? callers.sessionOf(request);

export function callers(options: Pick<ApiOptions, 'origin' | 'tls' | 'now'>): Callers {
  const now = options.now ?? Date.now;
  const guesses = backoff(now);
  const open = sessions(now);
  const held = heldTokens();
  const site = siteOf(options);
  const cookie = site.isSecure ? '__Host-enf' : 'enf';
  const cookieOptions = { path: '/', httpOnly: true, secure: site.isSecure, sameSite: 'strict' } as const;

  const listeners = new Set<() => void>();

  const textOf = (request: FastifyRequest): string => request.cookies[cookie] ?? '';

  const keyOf = (request: FastifyRequest): string => open.keyOf(textOf(request)) ?? '';

  /** The hash of the token that a request carries. */
  function bearer(request: FastifyRequest, header: string): string {
    const source = sourceOf(request.ip);
    if (guesses.waitMs(source) > 0) throw tooManyAttempts();
    const hash = tokenHash(header);
    if (hash !== undefined) return hash;
    guesses.failed(source);
    throw badToken();
  }

  function signedIn(request: FastifyRequest): Session {
    const session = open.find(textOf(request));
    if (session === undefined) throw notSignedIn();
    if (!SAFE.has(request.method)) site.check(request);
    return session;
  }

  const leave: Callers['leave'] = (request, reply) => {
    open.end(textOf(request));
    reply.clearCookie(cookie, cookieOptions);
    for (const listener of listeners) listener();
  };

  return {
    site,
    of(request) {
      const { authorization } = request.headers;
      const owner = ownerOf(request);
      if (authorization !== undefined) return { token: bearer(request, authorization), owner };
      const { id, generation, proved } = signedIn(request);
      return { person: { id, generation, proved }, owner };
    },
    enter(request, reply, { session, me }, proved) {
      open.end(textOf(request));
      reply.setCookie(cookie, open.begin({ ...session, proved }), {
        ...cookieOptions,
        maxAge: LONGEST_MS / 1_000,
      });
      return me;
    },
    confirm: (request) => void open.confirm(keyOf(request)),
    sessionOf: keyOf,
    requireSession(session) {
      if (!open.isOpen(session)) throw notSignedIn();
    },
    confirmSession(session, proved) {
      if (!open.confirm(session, proved)) throw notSignedIn();
    },
    leave,
    onLeave: (listener) => void listeners.add(listener),
    holds: (request) => request.headers.authorization !== undefined || open.holds(textOf(request)),
    leaveEverywhere(request, reply) {
      const session = open.find(textOf(request));
      if (session !== undefined) open.endAll(session.id);
      leave(request, reply);
    },
    keyOf(request) {
      const { authorization } = request.headers;
      const source = sourceOf(request.ip);
      if (authorization === undefined)
        return open.find(textOf(request)) === undefined ? source : keyOf(request);
      const hash = tokenHash(authorization);
      return hash !== undefined && held.has(hash) ? hash : source;
    },
    watched: (call) => async (name, caller, input) => {
      const { token } = caller;
      if (token === undefined) return call(name, caller, input);
      try {
        const done = await call(name, caller, input);
        if (done !== undefined) held.accepted(token);
        return done;
      } catch (error) {
        if (isFailure(error, 'access.bad-token')) held.refused(token);
        throw error;
      }
    },
  };
}

/** The hash of the token of "Bearer TOKEN", in hex; undefined if it is anything else, also if more follows. */
function tokenHash(header: string): string | undefined {
  const [scheme = '', text = '', ...more] = header.split(' ');
  const hash = scheme.toLowerCase() === 'bearer' && more.length === 0 ? secretHash('token', text) : undefined;
  return hash === undefined ? undefined : toHex(hash);
}

const EVENTS = `${API_PREFIX}/events`;

/** For whom a request is: a header says it, or the query of a stream, to which a browser adds none. */
function ownerOf({ headers, query, routeOptions }: FastifyRequest): string | undefined {
  const { owner, format } = query as { owner?: unknown; format?: unknown };
  // Links and streams of events have no headers.
  const asked = routeOptions.url === EVENTS || format !== undefined ? owner : undefined;
  const given = headers[OWNER_HEADER] ?? asked;
  return typeof given === 'string' && given !== '' ? given : undefined;
}

/** Methods that change nothing. */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Where a request comes from, for the audit trail. */
export function addressOf(request: FastifyRequest): string {
  const address = peerAddress(request.ip);
  return isIP(address) === 0 ? 'unknown' : address;
}

const badToken = (): Failure =>
  new Failure('access.bad-token', 'operator', 'the request carries no token, or one that was mistyped', {
    action: 'Send "Authorization: Bearer TOKEN" with a token of "enf-fabric token create".',
  });

const notSignedIn = (): Failure =>
  new Failure('access.not-signed-in', 'operator', 'nobody has signed in here, or not lately', {
    action: 'Sign in at the console, or send a token.',
  });

const tooManyAttempts = (): Failure =>
  new Failure('access.too-many-attempts', 'retry', 'too many wrong tokens have come from this address', {
    action: 'Wait some minutes, and check the token.',
  });
