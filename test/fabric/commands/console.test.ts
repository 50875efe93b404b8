import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { authenticator } from '../api/authenticator.ts';
import { browser, traveller } from '../api/console.ts';
import { CLIENT, issuer } from '../api/issuer.ts';
import { scratch } from '../place.ts';
import { fabricProgram } from './program.ts';

const fabric = fabricProgram();

test('whoever was invited signs in, and is signed out when the host removes it', async () => {
  const data = join(scratch(), 'fabric');
  await fabric.json('init', '--data', data);
  const serving = await fabric.serve(data);
  const { url, stop } = await fabric.console(data);
  const port = Number(new URL(url).port);
  const there = browser({ port });
  await vi.waitFor(async () => {
    const { address } = await fabric.json<{ address: string }>('console', 'invite', '--data', data);
    expect(address).toContain(`http://localhost:${port}/#/setup/`);
  }, 20_000);
  for (const name of ['Anna', 'Bob']) {
    const { invite } = await fabric.json<{ invite: string }>('console', 'invite', '--data', data);
    const made = await there.send('POST', '/setup', { invite, name, password: 'correct horse battery' });
    expect(made).toMatchObject({ status: 200, body: { name, role: 'owner' } });
  }
  expect(await there.send('POST', '/networks', { prefix: 'fd00:7::/64', name: 'plant' })).toMatchObject({
    status: 200,
    body: { effect: 'in force' },
  });
  expect(await fabric.json('audit', '--limit', '1', '--data', data)).toMatchObject({
    newest: [{ actor: 'Bob (person 2)', action: 'network.add' }],
  });
  const key = authenticator();
  const made = key.create((await there.send('POST', '/passkeys/options', {})).body, there.origin);
  expect(await there.send('POST', '/passkeys', { name: 'phone', response: made })).toMatchObject({
    status: 200,
  });
  const answer = key.get((await there.send('POST', '/session/passkey/options', {})).body, there.origin);
  expect(await there.send('POST', '/session/passkey', { response: answer })).toMatchObject({ status: 200 });
  await fabric.run('person', 'remove', 'bob', '--yes', '--data', data);
  expect(await there.send('GET', '/me')).toMatchObject({
    status: 401,
    body: { code: 'access.not-signed-in' },
  });
  expect(await stop()).toBe(0);
  expect(await serving.stop()).toBe(0);
});

test('an origin is scheme, name and port, and with TLS beyond this machine', async () => {
  const serve = (origin: string) =>
    fabric.refusal('console', 'serve', '--origin', origin, '--data', scratch());
  for (const origin of [
    'console.example',
    'http://console.example',
    'https://c.example/x',
    'ftp://c.example',
    'https://u@c.example',
  ])
    expect(await serve(origin), origin).toMatchObject({ code: 'cli.bad-option' });
});

test('whoever was invited by its login signs in at the issuer of the configuration', async () => {
  const at = await issuer();
  at.claims = { email: 'anna@example.org', email_verified: true, name: 'Anna' };
  const folder = scratch();
  const [data, config, secret] = ['fabric', 'fabric.toml', 'secret'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const [origin, lines] = ['http://localhost:8480', `issuer = "${at.url}"\nsecret-file = "${secret}"\n`];
  writeFileSync(config, `[console]\norigin = "${origin}"\n[openid]\n${lines}client-id = "${CLIENT.id}"\n`);
  expect(await fabric.refusal('check-config', '--config', config)).toMatchObject({
    code: expect.stringMatching(/^os\./),
  });
  writeFileSync(secret, `${CLIENT.secret}\n`);
  expect(await fabric.json('check-config', '--config', config)).toMatchObject({
    openid: { issuer: at.url, claim: 'email', role: 'auditor' },
  });
  await fabric.json('init', '--data', data);
  const serving = await fabric.serve(data);
  await fabric.json('console', 'invite', '--login', 'anna@example.org', '--data', data);
  const { url, stop } = await fabric.console(data, '--config', config);
  const there = traveller({ port: Number(new URL(url).port) }, origin);
  expect(await there.signIn()).toBe('/');
  expect(await there.send('GET', '/me')).toMatchObject({
    status: 200,
    body: { name: 'Anna', role: 'owner' },
  });
  const invite = () => there.send('POST', '/people/invites', { role: 'auditor', hours: 1 });
  expect(await invite()).toMatchObject({ status: 403, body: { code: 'access.fresh-sign-in' } });
  expect(await there.comeBack(await there.travel('/session/confirm/account'))).toBe('/');
  expect(await invite()).toMatchObject({ status: 200 });
  expect(await stop()).toBe(0);
  expect(await serving.stop()).toBe(0);
  writeFileSync(config, `[openid]\n${lines}`);
  expect(await fabric.refusal('check-config', '--config', config)).toMatchObject({
    code: 'config.bad-openid',
  });
});
