import { Failure } from '../../../protocol/failure.ts';
import type { RuleView } from '../../operations/views/rules.ts';

/** By its name, if it has one, after what it is. */
export const endText = ({ names, called }: RuleView['devices']): string =>
  called === null || called === '' ? names : `${names.split(':')[0]}:${called}`;

/** @throws Failure `cli.bad-option` */
export function numberOf(given: string): number {
  if (/^\d{1,15}$/.test(given)) return Number(given);
  throw badValue('a number', given, 'Give the number that the list shows.');
}

/** @throws Failure `cli.bad-option` */
export function oneOf<Word extends string>(what: string, given: string, known: readonly Word[]): Word {
  const found = known.find((each) => each === given);
  if (found !== undefined) return found;
  throw badValue(`${what} as ${known.join(' or ')}`, given, `Give ${known.join(' or ')}.`);
}

export const badValue = (expected: string, given: string, action: string): Failure =>
  new Failure(
    'cli.bad-option',
    'operator',
    `expected ${expected}, got ${JSON.stringify(given.slice(0, 40))}`,
    {
      action,
    },
  );
