import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { namesOf, openNames } from '../../../agent/network/names.ts';
import { systemdResolved } from '../../../os/linux/resolved.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';

const OWN = parseIpv6('fd00:8f80:8000:1:a::7');
const SERVER = 'fd00:8f80:8000:1::1';
const DOMAINS = '~plant.internal ~1.0.0.0.0.0.0.8.0.8.f.8.0.0.d.f.ip6.arpa';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'enf-resolved-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
});

/** A `resolvectl` that keeps what it is told of a link in files, and notes each call. */
function fake(broken = ''): void {
  const program = join(folder, 'resolvectl');
  writeFileSync(
    program,
    `#!/bin/sh
cd ${folder}
echo "$*" >>calls
${broken}
[ "$1 $2" = "--no-ask-password --no-pager" ] || exit 9
shift 2
what=$1 link=$2
shift 2
case $what in
  revert) rm -f dns domain ;;
  *) if [ $# -gt 0 ]; then echo "$*" >$what; else echo "Link 5 ($link): $(cat $what 2>/dev/null)"; fi ;;
esac
`,
  );
  chmodSync(program, 0o755);
}

const kept = (what: string): string | undefined =>
  existsSync(join(folder, what)) ? readFileSync(join(folder, what), 'utf8').trim() : undefined;
const calls = (): string[] =>
  (kept('calls') ?? '').split('\n').map((line) => line.replace(/^(?:--\S+ )+/, ''));

/** Of an agent with the domain, which looks often. */
function names(zone = 'plant.internal') {
  const lines: string[] = [];
  const failures: unknown[] = [];
  const path = `${folder}:/usr/bin:/bin`;
  const opened = openNames(
    { zone, device: 'enf0', lookMs: 50, resolved: systemdResolved(path) },
    (level, line) => void lines.push(`${level} ${line}`),
    (failure) => void failures.push(failure),
  );
  return { ...opened, lines, failures };
}

test('the host of the own network is asked for names in its domain and its addresses, and for no others', async () => {
  fake();
  const { attached, stop, failures } = names('plant.internal.');
  expect(namesOf(OWN, 'plant.internal.').servers).toEqual([SERVER]);
  attached(OWN);
  await expect.poll(() => [kept('dns'), kept('domain')]).toEqual([SERVER, DOMAINS]);
  expect(calls().slice(0, 4)).toEqual([
    'dns enf0',
    'domain enf0',
    `dns enf0 ${SERVER}`,
    `domain enf0 ${DOMAINS}`,
  ]);
  // It looks, and changes nothing that is as it should be.
  await expect.poll(() => calls().length).toBeGreaterThan(6);
  expect(
    calls()
      .slice(4)
      .every((line) => /^(?:dns|domain) enf0$/.test(line)),
  ).toBe(true);
  await stop();
  expect([kept('dns'), kept('domain')]).toEqual([undefined, undefined]);
  expect(calls().at(-1)).toBe('revert enf0');
  expect(failures).toEqual([]);
});

test('a resolver that has forgotten it, or was told otherwise, is told again', async () => {
  fake();
  const { attached, stop } = names();
  attached(OWN);
  await expect.poll(() => kept('domain')).toBe(DOMAINS);
  rmSync(join(folder, 'dns'));
  rmSync(join(folder, 'domain'));
  await expect.poll(() => [kept('dns'), kept('domain')]).toEqual([SERVER, DOMAINS]);
  writeFileSync(join(folder, 'domain'), '~elsewhere.example\n');
  await expect.poll(() => kept('domain')).toBe(DOMAINS);
  await stop();
});

test('nothing is told without a domain, nor before there is an interface', async () => {
  fake();
  const none = names('');
  none.attached(OWN);
  await none.stop();
  const early = names();
  await early.stop();
  expect(calls()).toEqual(['']);
});

test.each([
  ['is not there', undefined, 'os.no-resolved'],
  [
    'does not let the agent',
    'echo "Failed to set DNS: Interactive authentication required." >&2; exit 1',
    'os.resolved-refused',
  ],
])('a resolver that %s is told of once, until it does', async (_what, broken, code) => {
  if (broken !== undefined) fake(broken);
  const { attached, stop, lines, failures } = names();
  attached(OWN);
  await expect.poll(() => failures.length).toBeGreaterThan(2);
  expect(failures.every((failure) => isFailure(failure, code))).toBe(true);
  expect(lines).toEqual([expect.stringMatching(new RegExp(`^warning names in plant.internal.*${code}`))]);
  fake();
  await expect.poll(() => kept('domain')).toBe(DOMAINS);
  await stop();
  expect(kept('domain')).toBeUndefined();
});

test('an answer without an end is not waited for', async () => {
  fake('while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done');
  const { attached, stop, failures } = names();
  attached(OWN);
  await expect.poll(() => failures.length, { timeout: 10_000 }).toBeGreaterThan(0);
  expect(failures[0]).toMatchObject({ code: 'os.resolved-refused' });
  await stop();
});
