import { expect, test } from 'vitest';
import { growingTable, table } from '../../cli/table.ts';

const HEADER = ['NAME', 'AGE'];
const ROWS = [
  ['Ada', '36'],
  ['Konstantin', '7'],
];

test('columns are as wide as their widest cell; without rows there is a sentence', () => {
  expect(table(HEADER, ROWS, 'nobody')).toBe('NAME        AGE\nAda         36\nKonstantin  7');
  expect(table(HEADER, [], 'nobody')).toBe('nobody');
});

test('a table printed part by part has one header, and its columns only grow', () => {
  const part = growingTable(HEADER);
  expect(part([ROWS[0]!])).toBe('NAME  AGE\nAda   36');
  expect(part([ROWS[1]!, ['Bo', '1']])).toBe('Konstantin  7\nBo          1');
  expect(part([ROWS[0]!])).toBe('Ada         36');
});
