import { readFileSync } from 'node:fs';
import { onTestFinished } from 'vitest';
import { EVERYTHING } from '../../../../fabric/access/scope.ts';
import { addCompat } from '../../../../fabric/api/compat/routes.ts';
import type { ApiOptions } from '../../../../fabric/api/options.ts';
import { startApi } from '../../../../fabric/api/server.ts';
import type { Actor } from '../../../../fabric/operations/contract/operation.ts';
import { perform } from '../../../../fabric/operations/perform.ts';
import { parsePrefix } from '../../../../protocol/ipv6.ts';
import { opened, registryFile, type WholeRegistry } from '../../place.ts';
import { fabricOf } from '../console.ts';

/** What an existing client sends, and what the answer is like. */
export interface Exchange {
  readonly call: string;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly open?: true;
  readonly status: number;
  readonly answer: Shape;
  readonly keep?: Readonly<Record<string, string>>;
}

export type Shape = string | number | null | readonly Shape[] | { readonly [name: string]: Shape };

export const { exchanges } = JSON.parse(
  readFileSync(new URL('../../../vectors/enf-rest-api.json', import.meta.url), 'utf8'),
) as { readonly exchanges: readonly Exchange[] };

export const DOMAIN = 'fd00:8f80:8000::/48';
export const PASSWORD = 'correct horse battery';

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Headers;
}

export interface Client {
  readonly port: number;
  send(
    method: string,
    path: string,
    of?: {
      readonly body?: unknown;
      readonly token?: string | undefined;
      readonly headers?: Record<string, string>;
    },
  ): Promise<Answer>;
  /** A token of `POST …/xauth`. */
  signIn(name?: string, password?: string): Promise<string>;
}

/** Serves the requests of existing clients beside the API of a registry, until the test has finished. */
export async function servedCompat(
  registry: WholeRegistry,
  options: Partial<ApiOptions> = {},
  extensions = [addCompat],
): Promise<Client> {
  const api = await startApi(
    {
      listen: { host: '127.0.0.1', port: 0 },
      ...fabricOf(registry, options.now),
      version: '1.2.3',
      log: () => {},
      ...options,
    },
    ...extensions,
  );
  onTestFinished(() => api.close());
  const send: Client['send'] = async (method, path, { body, token, headers = {} } = {}) => {
    const response = await fetch(`http://127.0.0.1:${api.port}${path}`, {
      method,
      headers: {
        accept: 'application/json',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json(), headers: response.headers };
  };
  return {
    port: api.port,
    send,
    async signIn(username = 'Anna', password = PASSWORD) {
      const { body } = await send('POST', '/api/xcr/v2/xauth', { body: { username, token: password } });
      return (body as { data: { token: string }[] }).data[0]!.token;
    },
  };
}

/** A fabric whose first owner was lent a domain, with Anna, who is an owner there. */
export async function fabricWithAnna(now: () => number = Date.now): Promise<WholeRegistry> {
  const registry = opened(registryFile(), { now });
  await registry.lendPrefix('root', 'default', parsePrefix(DOMAIN));
  await join(registry, 'Anna', 'owner', now);
  return registry;
}

const ROOT: Actor = { name: 'root', role: 'host', via: 'operator', scope: EVERYTHING };

/** Somebody comes in by an invite, at an owner if one is named. */
export async function join(
  registry: WholeRegistry,
  name: string,
  role: string,
  now: () => number = Date.now,
  owner?: string,
): Promise<void> {
  const { call } = fabricOf(registry, now);
  const made = await call('person-invite', owner === undefined ? {} : { owner }, { role, hours: 1 });
  const { invite } = made!.view as { invite: string };
  await call('setup', {}, { invite, name, password: PASSWORD, source: '192.0.2.1' });
}

/** What the host does. */
export const asRoot = (registry: WholeRegistry, name: string, input: object): Promise<unknown> =>
  perform(
    name,
    ROOT,
    { registry, running: { notify: async () => 'in force', presence: async () => undefined }, now: Date.now },
    input,
  ).then((done) => done!.view);
