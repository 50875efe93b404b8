import type { FastifyRequest } from 'fastify';
import { toHex } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { secretHash } from '../../access/secrets.ts';
import type { SignedIn } from '../../account/operation.ts';
import type { Me } from '../../account/views.ts';
import type { Callers } from '../callers.ts';
import { OWNER_HEADER } from '../client.ts';
import type { Caller } from '../options.ts';
import { sessions } from '../signing-in/sessions.ts';
import { type Call, domainId, seenBy } from './call.ts';
import { firstPrefix } from './domains.ts';
import { credentials } from './quirks.ts';

/** Who calls, by the header `Authorization` alone: no browser adds that by itself. */
export interface CompatCallers {
  /**
   * By a token of the API, or by one that `signIn` has given.
   * @throws Failure `access.bad-token`, `access.not-signed-in`, `access.too-many-attempts`
   */
  of(request: FastifyRequest): Caller;
  /**
   * By the name and the password of a person, which begins a session as that of a browser; or by a token of the API in place of the password.
   * @throws Failure `access.wrong-password`, `access.bad-token`, `access.too-many-attempts`, `access.busy`
   */
  signIn(call: Call, enter: (caller: Caller) => Call): Promise<object>;
}

export function compatCallers(callers: Callers, now: () => number): CompatCallers {
  const open = sessions(now);

  function sessionOf(text: string): Caller {
    const session = open.find(text);
    if (session === undefined) throw signedOut();
    const { id, generation, proved } = session;
    return { person: { id, generation, proved } };
  }

  return {
    of(request) {
      const { authorization } = request.headers;
      if (authorization === undefined) throw signedOut();
      const text = /^bearer (\S+)$/i.exec(authorization)?.[1] ?? '';
      if (secretHash('session', text) === undefined) return callers.of(request);
      const owner = request.headers[OWNER_HEADER];
      return { ...sessionOf(text), ...(typeof owner === 'string' && { owner }) };
    },
    async signIn(call, enter) {
      const { username, token: secret } = call.body as { username: string; token: string };
      const hash = secretHash('token', secret);
      if (hash !== undefined) {
        const caller = enter({ token: toHex(hash) });
        const { role } = await caller.account<Me>('me', {});
        return answer(caller, { username, token: secret, person: undefined, role });
      }
      const given = { name: username, password: secret, source: call.source };
      const { session, me } = await call.account<SignedIn>('sign-in', given);
      const token = open.begin(session);
      const { name, role } = me;
      return answer(enter(sessionOf(token)), { username: name, token, person: session.id, role });
    },
  };
}

async function answer(
  call: Call,
  of: Pick<Parameters<typeof credentials>[0], 'username' | 'token' | 'person' | 'role'>,
): Promise<object> {
  const [domain, network] = [domainId(await seenBy(call)), await firstPrefix(call)];
  return credentials({ ...of, domain, network });
}

const signedOut = (): Failure =>
  new Failure('access.not-signed-in', 'operator', 'the request carries no token, or one that has ended', {
    action: 'Sign in (POST /api/xcr/v2/xauth), and send "Authorization: Bearer TOKEN".',
  });
