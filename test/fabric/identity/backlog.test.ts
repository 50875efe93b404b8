import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Backlog, backlog, payerOf } from '../../../fabric/identity/backlog.ts';

const CASES = readFileSync(new URL('../../vectors/backlog.txt', import.meta.url), 'utf8');

/** A backlog of names, and what a line of the cases asks of it. */
function interpreter(): (words: readonly string[]) => void {
  const waiting = backlog<string>();
  return ([word, first = '', second = '', third = '']) => {
    if (word === 'add') waiting.add(first, second);
    else if (word === 'many')
      for (let i = 0; i < Number(second); i++)
        waiting.add(`${first}${i}`, third.replaceAll('%', String(i)).replaceAll('#', i.toString(16)));
    else if (word === 'remove') expect(waiting.remove(first)).toBe(true);
    else if (word === 'oldest' || word === 'newest') expect(waiting.crowded(word) ?? '-').toBe(first);
    else if (word === 'of') expect(waiting.of(first) ?? '-').toBe(second);
    else if (word === 'crowded' || word === 'free') expect(waiting.isCrowded(first)).toBe(word === 'crowded');
    else if (word === 'count') expect(waiting.count).toBe(Number(first));
    else throw new Error(`unknown word ${word}`);
  };
}

const cases = CASES.split(/^case /m)
  .slice(1)
  .map((text) => {
    const [title, ...lines] = text.split('\n');
    return [title!, lines.filter((line) => line !== '' && !line.startsWith('#'))] as const;
  });

describe('[H-A2] the backlog of connections that have proved nothing', () => {
  test.each(cases)('%s', (_, lines) => {
    const obey = interpreter();
    for (const line of lines) obey(line.split(' '));
  });
});

describe('[H-A2] of several backlogs', () => {
  const of = (count: number): Backlog<number> => {
    const waiting = backlog<number>();
    for (let i = 0; i < count; i++) waiting.add(i, '192.0.2.1');
    return waiting;
  };

  test('the first with more than a quarter pays, or else the first that holds any', () => {
    const [none, few, many] = [of(0), of(25), of(26)];
    expect(payerOf([few, many], 100)).toBe(many);
    expect(payerOf([many, few], 100)).toBe(many);
    expect(payerOf([none, few], 100)).toBe(few);
    expect(payerOf([none], 100)).toBeUndefined();
  });
});
