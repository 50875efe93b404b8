import { expect, onTestFinished, test } from 'vitest';
import { scopeOf } from '../../../../fabric/access/scope.ts';
import { addCompat } from '../../../../fabric/api/compat/routes.ts';
import { startApi } from '../../../../fabric/api/server.ts';
import type { Actor } from '../../../../fabric/operations/contract/operation.ts';
import { perform } from '../../../../fabric/operations/perform.ts';
import { ABSENT, type Named, type Planted, plantedFabric, stateOf } from '../../operations/owners.ts';
import { fabricOf } from '../console.ts';
import { exchanges } from './client.ts';

/*
 * Two owners of one fabric: by the calls of existing clients, too, what is of the other is as if it were not there.
 */

async function servedOwners() {
  const planted = await plantedFabric();
  const { on } = planted;
  const options = { listen: { host: '127.0.0.1', port: 0 }, ...fabricOf(on.registry, on.now) };
  const api = await startApi({ ...options, version: '1.2.3', log: () => {} }, addCompat);
  onTestFinished(() => api.close());
  const tokenFor = async (owner: Planted): Promise<string> => {
    const scope = scopeOf(owner.id, false);
    const actor: Actor = { name: owner.person, role: 'owner', scope, owner: owner.name, via: 'operator' };
    const made = await perform('token-create', actor, on, { name: 'api', role: 'owner', days: 1 });
    return (made!.view as { token: string }).token;
  };
  const ask = async (token: string, method: string, path: string, body?: unknown): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${api.port}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return `${response.status} ${await response.text()}`;
  };
  return { ...planted, ask, tokenFor };
}

const spaceOf = (prefix: string): string => prefix.replace(/:1::\/64$/, '::/48');

/** The recorded calls with the names of an owner's things in them; what they change has no effect on what is not there. */
const callsFor = (of: Named & { readonly number: number }) =>
  exchanges
    .filter(({ path, open }) => !open && !path.endsWith('/reset'))
    .map(({ method, path, body }) => {
      const fill = (text: string): string =>
        text
          .replaceAll('fd00:8f80:8000::/48', spaceOf(of.prefix))
          .replaceAll('{domainId}', String(of.number))
          .replaceAll('{network}', of.prefix)
          .replaceAll('{endpoint}', of.address)
          .replaceAll('{rule}', `00000000-0000-4000-8000-${of.ids.rule.toString(16).padStart(12, '0')}`)
          .replaceAll('{user}', of.personId)
          .replaceAll('user@acme.example', `new@${of.network.split(' ')[0]}.example`);
      return {
        method,
        path: fill(path),
        body: body === undefined ? undefined : JSON.parse(fill(JSON.stringify(body))),
      };
    });

/** What names nothing: it lists, or adds to what is one's own. */
const NAMELESS = /^\/api\/xcr\/v2\/domains$/;

test('what is of another owner is answered as what is of nobody, and stays as it is', async () => {
  const { on, one, other, ask, tokenFor } = await servedOwners();
  const token = await tokenFor(one);
  const before = await stateOf(on.registry, other.id);
  const [theirs, nobodys] = [
    callsFor({ ...other, number: other.id }),
    callsFor({ ...ABSENT, number: 909_099 }),
  ];
  for (const [i, { method, path, body }] of theirs.entries()) {
    if (NAMELESS.test(path)) continue;
    const of = `${method} ${path} ${JSON.stringify(body)}`;
    const [found, absent] = [
      await ask(token, method, path, body),
      await ask(token, nobodys[i]!.method, nobodys[i]!.path, nobodys[i]!.body),
    ];
    expect(found.slice(0, 3), of).toBe(absent.slice(0, 3));
    expect(found, of).toMatch(/^(?:404|501)/);
    const said = `${path} ${JSON.stringify(body)}`;
    expect(
      other.secrets.filter((each) => found.includes(each) && !said.includes(each)),
      of,
    ).toEqual([]);
  }
  expect(await stateOf(on.registry, other.id)).toEqual(before);
}, 60_000);

test('each owner sees its own domain, networks, users and invites', async () => {
  const { one, other, ask, tokenFor } = await servedOwners();
  const token = await tokenFor(one);
  expect(await ask(token, 'GET', '/api/xcr/v2/domains')).toBe(
    `200 {"data":[{"name":"acme","network":"${spaceOf(one.prefix)}","status":"ACTIVE"}],"page":{"curr":-1,"next":-1,"prev":-1}}`,
  );
  for (const part of ['nws', 'users', 'invites']) {
    const answer = await ask(token, 'GET', `/api/xcr/v2/domains/${one.id}/${part}`);
    expect(answer).toMatch(/^200 \{"data":\[\{/);
    expect(answer).toContain({ nws: one.prefix, users: one.person, invites: 'new@acme.example' }[part]!);
    expect(other.secrets.filter((each) => answer.includes(each))).toEqual([]);
  }
});

test('whoever runs the host sees the domains of all, and adds to each what is its owner’s', async () => {
  const { on, one, other, ask } = await servedOwners();
  const host: Actor = { name: 'root', role: 'host', via: 'operator', scope: { owner: 0, everything: true } };
  const made = await perform('token-create', host, on, { name: 'host', role: 'host', days: 1 });
  const { token } = made!.view as { token: string };
  const listed = await ask(token, 'GET', '/api/xcr/v2/domains');
  for (const { prefix } of [one, other]) expect(listed).toContain(spaceOf(prefix));
  const added = await ask(token, 'POST', `/api/xcr/v2/domains/${spaceOf(other.prefix)}/nws`, {
    name: 'annex',
  });
  expect(added).toMatch(/^200/);
  const theirs = await on.registry.of(scopeOf(other.id, false)).networks({ limit: 9 });
  expect(theirs.rows.map(({ name }) => name)).toEqual(['umbra plant', 'annex']);
  const users = await ask(token, 'GET', `/api/xcr/v2/domains/${spaceOf(other.prefix)}/users`);
  expect(users).toContain(other.person);
  expect(users).not.toContain(one.person);
});
