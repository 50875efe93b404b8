import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scratch } from '../../place.ts';
import { fabricProgram } from '../program.ts';

const fabric = fabricProgram();

/** The command lines in the page's blocks. */
const lines = [
  ...readFileSync(new URL('../../../../docs/backup.md', import.meta.url), 'utf8').matchAll(
    /```sh\n([^`]*)```/g,
  ),
].flatMap(([, block]) => block!.trim().split('\n'));

test('[H-C2] every command in docs/backup.md does what the page says', async () => {
  const folder = scratch();
  const data = join(folder, 'fabric-data');
  mkdirSync(join(folder, 'srv', 'backup'), { recursive: true });
  mkdirSync(join(folder, 'root'));
  writeFileSync(join(folder, 'root', 'backup-passphrase'), 'correct horse\n');
  await fabric.json('init', '--data', data);
  await fabric.json('network', 'add', 'fd00:1:2:3::/64', '--data', data);

  expect(lines.length).toBeGreaterThan(8);
  for (const line of lines) {
    const [program, ...words] = line.split(' ');
    expect(program).toBe('enf-fabric');
    const args = words.map((word) => word.replace(/^\/(?=srv|root)/, `${folder}/`));
    const known = args.includes('--data') || args[1] === 'verify';
    const { code, err } = await fabric.run(...args, ...(known ? [] : ['--data', data]));
    expect([line, code, code === 0 ? '' : err]).toEqual([line, 0, '']);
  }
});
