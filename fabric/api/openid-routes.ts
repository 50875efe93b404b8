import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { sourceOf } from '../../os/net/peer.ts';
import { type RepeatedLine, repeatedLine } from '../../os/service/repeats.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import type { SignedIn } from '../account/operation.ts';
import { addressOf, type Callers } from './callers.ts';
import { type ApiOptions, ask, type Caller } from './options.ts';
import { API_PREFIX } from './routes.ts';
import { type Errand, type OpenIdSignIn, openIdSignIn, type Verified } from './signing-in/openid.ts';
import type { Handler } from './visit.ts';

/** Where the issuer sends browsers back to; it is registered there. */
export const CALLBACK_PATH = `${API_PREFIX}/session/account/callback`;
const COOKIE_S = 300;

/** What the console's pages ask for, by name; and the route at which browsers come back from the issuer. */
export function addOpenIdRoutes(
  app: FastifyInstance,
  options: ApiOptions,
  callers: Callers,
): Readonly<Record<string, Handler>> {
  const { openid, origin } = options;
  if (openid === undefined || origin === undefined) return withoutIssuer();
  const now = options.now ?? Date.now;
  const signIn = openIdSignIn(openid, `${origin}${CALLBACK_PATH}`, now);
  const kept = cookieOf(callers);
  // Whoever sends browsers here can cause any number of these.
  const logRefused = repeatedLine(options.log, 'warning');
  app.addHook('onClose', async () => logRefused.close());

  async function begin(reply: FastifyReply, errand: Errand): Promise<{ readonly address: string }> {
    const { address, cookie } = await signIn.begin(errand);
    kept.set(reply, cookie);
    return { address };
  }

  function errandOf(to: 'confirm' | 'add', request: FastifyRequest, { person: who }: Caller): Errand {
    const { id: person, generation, proved = 0 } = who!;
    return { to, person, generation, proved, session: callers.sessionOf(request), left: now() };
  }

  app.get(CALLBACK_PATH, async (request, reply) => {
    const url = new URL(request.url, origin);
    const cookie = kept.of(request);
    kept.clear(reply);
    reply.header('cache-control', 'no-store');
    return reply.redirect(
      await comeBack(request, reply, { signIn, url, cookie, options, callers, logRefused }),
      303,
    );
  });

  return {
    'sign-in-ways': async () => ({ issuer: openid.name }),
    'account-sign-in': ({ reply }) => begin(reply, { to: 'enter' }),
    'account-confirm': ({ request, reply, caller }) => begin(reply, errandOf('confirm', request, caller)),
    async 'account-add'({ request, reply, caller }) {
      await ask(options, 'account-begin', caller, {});
      return begin(reply, errandOf('add', request, caller));
    },
  };
}

function withoutIssuer(): Readonly<Record<string, Handler>> {
  const refuse = async (): Promise<never> => {
    throw new Failure('access.no-accounts', 'operator', 'one does not sign in here by accounts elsewhere', {
      action: 'Sign in by password or passkey; whoever runs the console may configure an issuer ([openid]).',
    });
  };
  return {
    'sign-in-ways': async () => ({ issuer: null }),
    ...{ 'account-sign-in': refuse, 'account-confirm': refuse, 'account-add': refuse },
  };
}

/** The page to which a browser goes that comes from the issuer. */
async function comeBack(
  request: FastifyRequest,
  reply: FastifyReply,
  from: {
    readonly signIn: OpenIdSignIn;
    readonly url: URL;
    readonly cookie: string;
    readonly options: ApiOptions;
    readonly callers: Callers;
    readonly logRefused: RepeatedLine;
  },
): Promise<string> {
  const { signIn, url, cookie, options, callers, logRefused } = from;
  const page = (signIn.toOf(cookie) ?? 'enter') === 'enter' ? '' : 'you';
  try {
    const { errand, account } = await signIn.end(url, cookie, addressOf(request));
    const { issuer, subject, login } = account;
    if (errand.to !== 'enter') {
      const { to, person: id, generation, proved, session } = errand;
      // It may have ended while its person was at the issuer.
      callers.requireSession(session);
      await ask(options, `account-${to}`, { person: { id, generation, proved } }, { issuer, subject, login });
      if (to === 'add') return `/#/${page}`;
      callers.confirmSession(session, account.signedInAt!);
      return '/';
    }
    const signedIn = await ask<SignedIn>(
      options,
      'account-sign-in',
      {},
      {
        ...{ issuer, subject, login, name: account.name, source: addressOf(request) },
        ...(account.isOfDomain && { newcomer: options.openid!.role }),
      },
    );
    callers.enter(request, reply, signedIn, provedBy(account, (options.now ?? Date.now)()));
    return '/';
  } catch (error) {
    if (!isFailure(error)) throw error;
    const address = addressOf(request);
    logRefused(sourceOf(address), `signing in by an account elsewhere from ${address}: ${reasonOf(error)}`);
    return `/#/${page}?problem=${error.code}`;
  }
}

/** When its owner has shown that it is there; long ago if the issuer does not say. */
const provedBy = ({ signedInAt = 0 }: Verified, now: number): number =>
  Math.floor(Math.min(Math.max(signedInAt, 0), now));

/** For the log; what came from outside is cut. */
function reasonOf({ code, message, cause }: Failure): string {
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  return `${code}: ${message}${why}`.replace(/\p{C}/gu, ' ').slice(0, 300);
}

/** The cookie of a browser that is on its way: Lax, because it comes back from another site. */
function cookieOf({ site: { isSecure } }: Callers) {
  const name = isSecure ? '__Host-enf-account' : 'enf-account';
  const how = { path: '/', httpOnly: true, secure: isSecure, sameSite: 'lax' } as const;
  return {
    of: ({ cookies }: FastifyRequest): string => cookies[name] ?? '',
    set: (reply: FastifyReply, text: string) =>
      void reply.setCookie(name, text, { ...how, maxAge: COOKIE_S }),
    clear: (reply: FastifyReply) => void reply.clearCookie(name, how),
  };
}
