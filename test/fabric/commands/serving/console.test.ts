import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { expect, test, vi } from 'vitest';
import { generateP256 } from '../../../../crypto/primitives.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { parseIpv6 } from '../../../../protocol/ipv6.ts';
import { authenticator } from '../../api/authenticator.ts';
import { browser, traveller } from '../../api/console.ts';
import { CLIENT, issuer } from '../../api/issuer.ts';
import { identityFiles } from '../../identities.ts';
import { scratch } from '../../place.ts';
import { fabricProgram } from '../program.ts';

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

test('clients of the original API are answered if the configuration says so, and not else', async () => {
  const folder = scratch();
  const [data, config] = [join(folder, 'fabric'), join(folder, 'fabric.toml')];
  await fabric.json('init', '--data', data);
  const serving = await fabric.serve(data);
  const ask = async (url: string, path: string, body: object, token = ''): Promise<[number, unknown]> => {
    const response = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
    return [response.status, await response.json()];
  };
  const nobody = { username: 'nobody', token: 'wrong' };
  const off = await fabric.console(data);
  expect(await ask(off.url, '/api/xcr/v2/xauth', nobody)).toMatchObject([404, { code: 'request.not-found' }]);
  expect(await off.stop()).toBe(0);
  writeFileSync(config, '[console]\ncompat = true\n');
  const { url, stop } = await fabric.console(data, '--config', config);
  expect(await ask(url, '/api/xcr/v2/xauth', nobody)).toMatchObject([
    401,
    { error: { code: 'access.wrong-password' } },
  ]);

  // As enftun-keygen does it, and enftun with what that has made.
  const { invite } = await fabric.json<{ invite: string }>('console', 'invite', '--data', data);
  const there = browser({ port: Number(new URL(url).port) });
  await there.send('POST', '/setup', { invite, name: 'Anna', password: 'correct horse battery' });
  await fabric.json('network', 'add', 'fd00:7::/64', '--name', 'plant', '--data', data);
  const anna = { username: 'Anna', token: 'correct horse battery' };
  const [, signedIn] = await ask(url, '/api/xcr/v2/xauth', anna);
  const { token } = (signedIn as { data: { token: string }[] }).data[0]!;
  const keys = generateP256();
  const key = toHex(keys.publicKey).toUpperCase();
  const request = {
    ecdsa_credential: { type: 'ecdsa_p256', key },
    address_request: { network: 'fd00:7::/64' },
  };
  const [status, endpoint] = await ask(url, '/api/xiam/v1/endpoints', request, token);
  const { address } = endpoint as { address: string };
  expect([status, endpoint]).toMatchObject([200, { active_credentials: { body: [{ key }] } }]);
  const { certificate: cert, key: own } = await identityFiles(parseIpv6(address), keys);
  const tunnel = connect({ port: serving.tunnelPort, cert, key: own, rejectUnauthorized: false });
  tunnel.on('error', () => {});
  await vi.waitFor(async () => {
    const device = await fabric.json('device', 'show', address, '--data', data);
    expect(device).toMatchObject({ kind: 'key', online: true, network: 'fd00:7::/64' });
  }, 20_000);
  tunnel.destroy();
  expect(await fabric.json('audit', '--limit', '1', '--data', data)).toMatchObject({
    newest: [{ actor: 'Anna (person 1)', action: 'device.register', subject: address }],
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
