import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openRegistry } from '../../../../fabric/open-registry.ts';
import { parsePrefix } from '../../../../protocol/ipv6.ts';
import { anyGroup, scratch, wholeOf } from '../../place.ts';
import { applicant } from '../../registry/contract/place.ts';
import { fabricProgram } from '../program.ts';

const fabric = fabricProgram();

/** The command lines in the page's blocks, each as a shell takes it apart. */
const lines = [
  ...readFileSync(new URL('../../../../docs/rules.md', import.meta.url), 'utf8').matchAll(
    /```sh\n([^`]*)```/g,
  ),
].flatMap(([, block]) => block!.trim().split('\n'));
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!);

test('every command in docs/rules.md does what the page says', async () => {
  const data = join(scratch(), 'fabric');
  await fabric.json('init', '--data', data);
  const registry = wholeOf(await openRegistry(join(data, 'registry.db')));
  for (const [prefix, network, group, name] of [
    ['fd00:1:2:3::/64', 'plant', 'pumps', 'pump-1'],
    ['fd00:1:2:4::/64', 'office', 'desks', 'desk-1'],
  ] as const) {
    await registry.addNetwork('test', parsePrefix(prefix), network);
    if (network === 'plant')
      await registry.addGroup('test', { ...anyGroup('cameras'), network: parsePrefix(prefix) });
    const added = await registry.addGroup('test', { ...anyGroup(group), network: parsePrefix(prefix) });
    await registry.nameDevice('test', await registry.admit(applicant(added)), { name });
  }
  await registry.close();
  await fabric.serve(data);

  expect(lines.length).toBeGreaterThan(8);
  for (const line of lines) {
    const [program, ...words] = wordsOf(line);
    expect(program).toBe('enf-fabric');
    const { code, out, err } = await fabric.run(...words, '--data', data);
    expect([line, code, code === 0 ? '' : err]).toEqual([line, 0, '']);
    if (['add', 'move', 'set', 'remove'].includes(words[1]!)) expect(out).toContain('(in force)');
    if (words[1] === 'list' && words[0] === 'limit')
      expect(out).toMatch(
        /any +1000 +1000000 +1000 +1000000\n.*group:cameras +- +- +- +4000000\n.*device:pump-1 +unlimited +- +unlimited +-/,
      );
    else if (words[1] === 'list')
      expect(out).toMatch(/allow in +any +network:office +tcp\/443 +0 +0 +the office/);
  }
  const test = await fabric.run('rule', 'test', 'desk-1', 'pump-1', 'tcp/22', '--data', data);
  expect([test.code, test.out]).toEqual([
    1,
    expect.stringMatching(/does not pass\.\n.*no rule fits, so it passes\n.*rule \d+/),
  ]);
});
