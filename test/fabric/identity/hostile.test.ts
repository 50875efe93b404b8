import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isHostile, XTT_FAILURES } from '../../../fabric/identity/hostile.ts';

const root = new URL('../../..', import.meta.url).pathname;

/** The `xtt` codes in these files or folders. */
function thrownIn(...places: readonly string[]): string[] {
  const files = places.flatMap((place) =>
    place.endsWith('.ts')
      ? [place]
      : readdirSync(join(root, place), { recursive: true, encoding: 'utf8' })
          .filter((name) => name.endsWith('.ts'))
          .map((name) => join(place, name)),
  );
  const codes = files.flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/new Failure\(\s*'(xtt\.[a-z-]+)'/g)].map(
      (match) => match[1]!,
    ),
  );
  return [...new Set(codes)].sort();
}

test('every xtt failure is classified, and no other', () => {
  const thrown = thrownIn('protocol', 'crypto', 'tpm', 'os', 'agent', 'factory', 'fabric');
  expect(Object.keys(XTT_FAILURES).sort()).toEqual(thrown);
});

test('what only clients meet is thrown where no handshake of the server gets', () => {
  const client = Object.keys(XTT_FAILURES).filter((code) => XTT_FAILURES[code] === 'client');
  expect(client.sort()).toEqual(
    thrownIn('protocol/xtt/client.ts', 'protocol/xtt/certificate.ts').filter((code) => client.includes(code)),
  );
  const server = ['protocol/xtt/server.ts', 'protocol/xtt/cookie.ts', 'protocol/xtt/message.ts'];
  const met = thrownIn(...server, 'protocol/xtt/schedule.ts', 'protocol/crypto', 'fabric/identity');
  expect(met.filter((code) => client.includes(code))).toEqual([]);
});

test('forging, replaying and breaking the protocol is hostile; being late or one of too many is not', () => {
  for (const code of ['xtt.bad-group-signature', 'xtt.spent-cookie', 'xtt.bad-header'])
    expect(isHostile(code), code).toBe(true);
  for (const code of ['xtt.expired-cookie', 'xtt.cookie-jar-full', 'xtt.error-received'])
    expect(isHostile(code), code).toBe(false);
  for (const code of ['net.timeout', 'fabric.device-banned', 'internal', 'constructor'])
    expect(isHostile(code), code).toBe(false);
});
