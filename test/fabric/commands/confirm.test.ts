import { expect, test } from 'vitest';
import type { Invocation } from '../../../cli/program.ts';
import { requireYes } from '../../../fabric/commands/common/confirm.ts';

const given = (yes: boolean): Invocation => ({ flag: () => yes }) as Partial<Invocation> as Invocation;

function terminal(answer?: string) {
  const asked: string[] = [];
  const ask = (prompt: string): Promise<string> => {
    asked.push(prompt);
    return Promise.resolve(answer!);
  };
  return { isThere: () => answer !== undefined, ask, asked };
}

test('what cannot be undone is asked on a terminal', async () => {
  const there = terminal('yes');
  await requireYes(given(false), 'This retires pump-7', there);
  expect(there.asked).toEqual(['This retires pump-7. Go on? (yes/no) ']);
  for (const answer of ['', 'no', 'y', 'YES'])
    await expect(
      requireYes(given(false), 'This retires pump-7', terminal(answer)),
      answer,
    ).rejects.toMatchObject({ code: 'cli.not-confirmed' });
});

test('without a terminal it takes --yes, and with it nobody is asked', async () => {
  await expect(requireYes(given(false), 'This retires pump-7', terminal())).rejects.toMatchObject({
    code: 'cli.not-confirmed',
    action: 'Repeat the command with --yes.',
  });
  const there = terminal('no');
  await requireYes(given(true), 'This retires pump-7', there);
  expect(there.asked).toEqual([]);
});
