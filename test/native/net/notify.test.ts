import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { addon } from '../../../native/index.ts';
import { outcome } from '../child.ts';

const folder = mkdtempSync(join(tmpdir(), 'enf-notify-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A service manager's end: prints what one datagram held. Node has no Unix datagram sockets, perl is on every Debian. */
async function receiver(path: string) {
  const name = path.startsWith('@') ? `"\\0" . "${path.slice(1)}"` : `"${path}"`;
  const child = spawn(
    'perl',
    [
      '-MSocket',
      '-e',
      `$| = 1; socket(S, AF_UNIX, SOCK_DGRAM, 0) or die; bind(S, pack_sockaddr_un(${name})) or die;
       print STDERR "ready"; alarm 20; recv(S, $text, 8192, 0); print $text;`,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const ended = outcome(child);
  await once(child.stderr!, 'data');
  return { ended };
}

test.each([
  ['a path', join(folder, 'notify')],
  ['an abstract name', `@enf-notify-${process.pid}`],
])('a state reaches %s', async (_, path) => {
  const { ended } = await receiver(path);
  const state = 'READY=1\nSTATUS=online as fd00::1 – ünïcode';
  addon().notifySend(path, state);
  expect((await ended).stdout).toBe(state);
});

test('a missing reader is an error with its reason', () => {
  expect(() => addon().notifySend(join(folder, 'nobody'), 'READY=1')).toThrow(
    expect.objectContaining({ code: 'ENOENT' }),
  );
  expect(() => addon().notifySend('@enf-nobody', 'READY=1')).toThrow(
    expect.objectContaining({ code: 'ECONNREFUSED' }),
  );
});
