import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { runParts } from '../parts.ts';

const CASES = fileURLToPath(new URL('../../vectors/backlog.txt', import.meta.url));

describe('[H-A2] the backlog of connections that have proved nothing', () => {
  it('lets the most crowded prefix pay, as the one in TypeScript does', async () => {
    const done = await runParts(
      'backlog/backlog_parts',
      ['backlog/backlog'],
      'address,undefined',
      [],
      [CASES],
    );
    expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
  });
});
