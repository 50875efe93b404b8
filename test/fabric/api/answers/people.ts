import { expect } from 'vitest';
import type { OpenId } from '../../../../fabric/access/openid.ts';
import { ACCOUNT_ROUTES } from '../../../../fabric/api/account-table.ts';
import { authenticator } from '../authenticator.ts';
import { browser, served, traveller } from '../console.ts';
import { CLIENT, issuer } from '../issuer.ts';

import { api, look, PAGE, PASSWORD, registry, run } from './place.ts';

export async function signingIn(): Promise<void> {
  const there = browser(api);
  const send = async (name: string, body?: object, path?: string): Promise<Record<string, unknown>> => {
    const route = ACCOUNT_ROUTES.find((each) => each.name === name)!;
    const answer = await there.send(route.method, path ?? route.path, body);
    expect([name, answer.status, answer.status === 200 ? '' : answer.body]).toEqual([name, 200, '']);
    look(name, answer.body);
    return answer.body;
  };
  const enter = async (name: string): Promise<void> => {
    const { invite } = await run('person-invite', { role: 'operator', hours: 1 });
    await send('setup', { invite, name, password: PASSWORD });
  };
  await enter('Eve');
  await run('person-invite', { role: 'operator', hours: 1 });
  await run('person-invite', { role: 'host', hours: 1, login: 'eve@example.org' });
  const { rows: open } = await run('invite-list', PAGE);
  await run('invite-list', { limit: 1 });
  await run('invite-withdraw', { id: open[0]!.id });
  await run('person-role', { person: 'Eve', role: 'auditor' });
  await run('person-remove', { person: 'Eve' });
  await enter('Anna');
  await send('me');
  await send('password-change', { current: PASSWORD, password: `${PASSWORD} 2` });
  await send('recovery-codes', {});
  await send('recovery-codes-left');
  const key = authenticator();
  const options = await send('passkey-options', {});
  await send('passkey-add', { name: 'laptop', response: key.create(options, there.origin) });
  await send('confirm', { password: `${PASSWORD} 2` });
  const again = await send('passkey-confirm-options', {});
  await send('passkey-confirm', { response: key.get(again, there.origin) });
  await send('sign-out');
  const asked = await send('passkey-sign-in-options', {});
  await send('passkey-sign-in', { response: key.get(asked, there.origin) });
  const { rows } = await send('passkey-list');
  await run('person-role', { person: 'Anna', role: 'owner' });
  await send('sign-in', { name: 'Anna', password: `${PASSWORD} 2` });
  await send('passkey-remove', undefined, `/passkeys/${(rows as { id: number }[])[0]!.id}`);
  await run('person-list', { limit: 1 });
  await run('person-list', PAGE);
  await send('sign-out-everywhere');
}

export async function accounts(): Promise<void> {
  const at = await issuer();
  const login = 'berta@example.org';
  at.claims = { sub: 'u-1', email: login, email_verified: true, name: 'Berta' };
  const origin = 'http://localhost:8480';
  const openid: OpenId = {
    ...{ issuer: new URL(at.url), clientId: CLIENT.id, secret: CLIENT.secret, name: 'Example' },
    ...{ claim: 'email', domains: [], role: 'auditor' },
  };
  const elsewhere = await served(registry, { openid, origin });
  const there = traveller(elsewhere);
  const send = async (name: string, body?: object): Promise<void> => {
    const { method, path } = ACCOUNT_ROUTES.find((each) => each.name === name)!;
    const answer = await there.send(method, path, body);
    expect([name, answer.status, answer.status === 200 ? '' : answer.body]).toEqual([name, 200, '']);
    look(name, answer.body);
  };
  await run('person-invite', { role: 'operator', hours: 1, login });
  await send('sign-in-ways');
  await send('account-sign-in', {});
  expect(await there.signIn()).toBe('/');
  await send('account-confirm', {});
  expect(await there.comeBack(await there.travel('/session/confirm/account'))).toBe('/');
  await send('account-list');
  await send('account-add', {});
  await send('password-change', { password: PASSWORD });
  await send('account-remove', { issuer: at.url });
}

export async function owners(): Promise<void> {
  await run('owner-add', { name: 'acme' });
  await run('owner-lend', { owner: 'acme', prefix: 'fd00:8::/48' });
  await run('owner-lend', { owner: 'acme', prefix: 'fd00:9::/48' });
  await run('owner-take-back', { owner: 'acme', prefix: 'fd00:9::/48' });
  // The host's networks are the first owner's.
  await run('owner-lend', { owner: 'default', prefix: 'fd00:7::/48' });
  await run('prefix-list', {});
  await run('owner-take-back', { owner: 'default', prefix: 'fd00:7::/48' });
  await run('owner-rename', { owner: 'acme', name: 'umbra' });
  await run('owner-member', { owner: 'umbra', person: 'Anna', role: 'auditor' });
  await run('owner-list', { limit: 1 });
  await run('owner-list', PAGE);
  await run('owner-close', { owner: 'umbra' });
}
