import type { FastifyInstance } from 'fastify';
import { notForThisCaller, type SignedIn } from '../account/operation.ts';
import type { PasskeysView } from '../account/views.ts';
import { checker, objectOf } from '../operations/contract/input.ts';
import { ACCOUNT_ROUTES, type AccountRoute } from './account-table.ts';
import { addressOf, type Callers } from './callers.ts';
import { addOpenIdRoutes } from './openid-routes.ts';
import { type ApiOptions, ask, type Caller } from './options.ts';
import { type Credential, passkeys } from './passkeys.ts';
import { inputOf } from './request-input.ts';
import { API_PREFIX, patternOf } from './routes.ts';
import type { Streams } from './streams.ts';
import type { Handler } from './visit.ts';

/** The console asks on its own behalf: for somebody who has not signed in yet. */
const CONSOLE: Caller = {};

/** Adds the routes of signing in and of what a person does for itself. */
export function addAccountRoutes(
  app: FastifyInstance,
  options: ApiOptions,
  callers: Callers,
  events: Streams,
): void {
  const handlers = accountHandlers(options, callers, events, addOpenIdRoutes(app, options, callers));
  for (const route of ACCOUNT_ROUTES) {
    const check = checker(objectOf(route.fields));
    const handle = handlers[route.name] ?? plain(route, options);
    app.route({
      method: route.method,
      url: `${API_PREFIX}${patternOf(route.path)}`,
      async handler(request, reply) {
        reply.header('cache-control', 'no-store');
        if (route.who === 'anyone') callers.site.check(request);
        const caller = route.who === 'anyone' ? CONSOLE : callers.of(request);
        if (route.who === 'person' || route.who === 'fresh') personOf(caller);
        const input = check(inputOf(route, request)) as Record<string, unknown>;
        return handle({ request, reply, caller, input });
      },
    });
  }
}

/** Asks the fabric, and shows what it answers. */
const plain =
  ({ name }: AccountRoute, options: ApiOptions): Handler =>
  ({ caller, input }) =>
    ask(options, name, caller, input);

function accountHandlers(
  options: ApiOptions,
  callers: Callers,
  events: Streams,
  openIdHandlers: Readonly<Record<string, Handler>>,
): Readonly<Record<string, Handler>> {
  const enter =
    (name: string): Handler =>
    async ({ request, reply, caller, input }) => {
      const withSource = { ...input, source: addressOf(request) };
      return callers.enter(request, reply, await ask<SignedIn>(options, name, caller, withSource));
    };
  return {
    ...passkeyHandlers(options, callers),
    ...openIdHandlers,
    setup: enter('setup'),
    'sign-in': enter('sign-in'),
    'password-change': enter('password-change'),
    async confirm({ request, caller, input }) {
      await ask(options, 'confirm', caller, { ...input, source: addressOf(request) });
      callers.confirm(request);
      return {};
    },
    events: ({ request, reply, caller }) => events.begin(request, reply, caller),
    async 'sign-out'({ request, reply }) {
      callers.leave(request, reply);
      return {};
    },
    async 'sign-out-everywhere'({ request, reply, caller }) {
      await ask(options, 'sign-out-everywhere', caller, {});
      callers.leaveEverywhere(request, reply);
      return {};
    },
  };
}

function passkeyHandlers(options: ApiOptions, callers: Callers): Readonly<Record<string, Handler>> {
  const keys = passkeys(callers.site, options.now ?? Date.now);
  const find = (credential: string) =>
    ask<Pick<Credential, 'publicKey' | 'counter'> | null>(options, 'passkey-find', CONSOLE, { credential });
  return {
    'passkey-sign-in-options': ({ request }) => keys.signIn(request),
    async 'passkey-sign-in'({ request, reply, input }) {
      const signed = await keys.signedIn(request, input.response, find);
      const withSource = { ...signed, source: addressOf(request) };
      return callers.enter(
        request,
        reply,
        await ask<SignedIn>(options, 'passkey-sign-in', CONSOLE, withSource),
      );
    },
    async 'passkey-confirm-options'({ request, caller }) {
      const { rows } = await ask<PasskeysView>(options, 'passkey-list', caller, {});
      const own = rows.map(({ credential }) => credential);
      return keys.signIn(request, { person: personOf(caller).id, own });
    },
    async 'passkey-confirm'({ request, caller, input }) {
      const signed = await keys.signedIn(request, input.response, find, personOf(caller).id);
      await ask(options, 'passkey-confirm', caller, signed);
      callers.confirm(request);
      return {};
    },
    async 'passkey-options'({ request, caller }) {
      const { id } = personOf(caller);
      const { name, existing } = await ask<{ name: string; existing: readonly string[] }>(
        options,
        'passkey-begin',
        caller,
        {},
      );
      return keys.creation(request, { id, name }, existing);
    },
    async 'passkey-add'({ request, caller, input: { name, response } }) {
      const made = await keys.created(request, personOf(caller).id, response);
      return ask(options, 'passkey-add', caller, { name, ...made });
    },
  };
}

/** The person on whose behalf it is. @throws Failure `access.forbidden` */
function personOf({ person }: Caller): NonNullable<Caller['person']> {
  if (person !== undefined) return person;
  throw notForThisCaller();
}
