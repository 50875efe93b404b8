import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { runParts } from '../parts.ts';

const native = fileURLToPath(new URL('../../../native', import.meta.url));
const parts = ['ecdaa', 'fp256bn', 'fp256bn/lanes'].flatMap((folder) =>
  readdirSync(`${native}/${folder}`)
    .filter((name) => name.endsWith('.c') && !/^(napi|host_arithmetic)\.c$/.test(name))
    .map((name) => `${folder}/${name.slice(0, -2)}`),
);

it('[H-B9] making a point, issuing and signing leave nothing secret on the stack', async () => {
  const more = ['-O2', '-Wno-deprecated-declarations', '-l:libcrypto.so.3'];
  expect(await runParts('ecdaa/stack_parts', parts, '', more)).toMatchObject({
    stdout: 'nothing left\n',
    stderr: '',
    code: 0,
  });
}, 120_000);
