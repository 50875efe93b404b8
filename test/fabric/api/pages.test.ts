import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { opened, registryFile, scratch } from '../place.ts';
import { served } from './console.ts';

const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "require-trusted-types-for 'script'",
];

const SCRIPT = 'console.log("a script that is long enough to be compressed")';

/** A built console. */
function pages(): string {
  const folder = join(scratch(), 'console');
  mkdirSync(join(folder, 'maps'), { recursive: true });
  const files = {
    'index.html': '<!doctype html>',
    'main-ABCDEF23.js': SCRIPT,
    'icon.svg': '<svg/>',
    'maps/world.svg': '<svg/>',
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  writeFileSync(join(folder, 'main-ABCDEF23.js.br'), brotliCompressSync(SCRIPT));
  writeFileSync(join(folder, '..', 'secret'), 'a secret');
  return folder;
}

async function at(files: string) {
  const { port } = await served(opened(registryFile()), { files });
  return (path: string, init: RequestInit = {}) => fetch(`http://127.0.0.1:${port}${path}`, init);
}

test('the files of the console are served at their names, and kept as long as they stay the same', async () => {
  const get = await at(pages());
  for (const [path, type, cache] of [
    ['/', 'text/html', 'no-store'],
    ['/index.html', 'text/html', 'no-store'],
    ['/main-ABCDEF23.js', 'javascript', 'public, max-age=31536000, immutable'],
    ['/icon.svg', 'image/svg+xml', 'no-cache'],
    ['/maps/world.svg', 'image/svg+xml', 'no-cache'],
  ] as const) {
    const { status, headers } = await get(path, { headers: { accept: 'text/html' } });
    expect(status, path).toBe(200);
    expect(headers.get('content-type'), path).toContain(type);
    expect(headers.get('cache-control'), path).toBe(cache);
    expect(headers.get('content-security-policy')?.split(';').sort(), path).toEqual(POLICY.sort());
  }
  const compressed = await get('/main-ABCDEF23.js', { headers: { 'accept-encoding': 'br' } });
  expect(compressed.headers.get('content-encoding')).toBe('br');
  expect(compressed.headers.get('cache-control')).toContain('immutable');
  expect(await compressed.text()).toBe(SCRIPT);
});

test('nothing else is', async () => {
  const get = await at(pages());
  for (const path of [
    '/secret',
    '/..%2fsecret',
    '/%2e%2e/secret',
    '/maps',
    '/maps/',
    '/nothing',
    '/index.html/',
  ]) {
    const answer = await get(path, { headers: { accept: 'text/html' } });
    expect(answer.status, path).toBe(404);
    expect(answer.headers.get('content-type'), path).toContain('text/plain');
    expect(await answer.text(), path).not.toContain('a secret');
  }
  expect((await get('/', { method: 'POST' })).status).toBe(404);
});

test('without the files there is the API, and a page that says so', async () => {
  const get = await at(join(scratch(), 'console'));
  const page = await get('/', { headers: { accept: 'text/html,*/*' } });
  expect([page.status, page.headers.get('content-type')]).toEqual([404, 'text/plain; charset=utf-8']);
  expect(await page.text()).toContain('/api/v1');
  expect(
    (await get('/api/v1/nothing', { headers: { accept: 'text/html' } })).headers.get('content-type'),
  ).toContain('application/problem+json');
  expect((await get('/api/v1/openapi.json')).status).toBe(200);
});

test('every answer has the headers that guard a browser', async () => {
  const get = await at(pages());
  for (const path of ['/', '/main-ABCDEF23.js', '/nothing', '/api/v1/me', '/api/v1/openapi.json']) {
    const { headers } = await get(path);
    expect(Object.fromEntries(headers), path).toMatchObject({
      'content-security-policy': expect.stringContaining("default-src 'none'"),
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'permissions-policy': expect.stringMatching(/^camera=\(self\),.*geolocation=\(\)/),
    });
  }
});
