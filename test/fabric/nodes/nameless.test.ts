import { expect, test } from 'vitest';
import { keepNode } from '../../../fabric/nodes/keep.ts';
import { warnOfNodes } from '../../../fabric/nodes/nameless.ts';
import { opened, registryFile, scratch } from '../place.ts';

test('a fabric without a name is warned of nodes that serve its registry, and of no others', async () => {
  const registry = opened(registryFile());
  const lines: string[] = [];
  const warned = async (): Promise<string[]> => {
    await warnOfNodes(registry, (level, message) => lines.push(`${level} ${message}`));
    return lines.splice(0);
  };
  expect(await warned()).toEqual([]);
  const keeper = await keepNode(registry, { name: 'a' }, { data: scratch(), log: () => {} });
  expect(await warned()).toEqual([expect.stringMatching(/^warning node a serves this registry, too/)]);
  await keeper.close();
  expect(await warned()).toEqual([]);
});
