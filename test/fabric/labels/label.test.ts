import { describe, expect, test } from 'vitest';
import { labelText, openLabel } from '../../../fabric/labels/label.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { makeBatch } from '../device.ts';

describe('[H-C12] the text of a label', () => {
  const { label, gid } = makeBatch('plant 7');
  const spaced = Array.from({ length: 40 }, (_, i) => makeBatch(`plant ${i}`).label).find((text) =>
    text.includes(' '),
  )!;

  test.each([
    ['as it is', label],
    ['with lines around it', `\r\n${label}\r\n`],
    ['behind a byte order mark', `\ufeff${label}`],
    ['wrapped by a mail program', `${label.slice(0, 76)}\r\n${label.slice(76)}`],
    ['behind an address', `https://console.example/claim#${label}`],
  ])('is taken %s', (_, given) => {
    expect(toHex(openLabel(given).gid)).toBe(toHex(gid));
  });

  test('is taken with %20 where it has a space', () => {
    expect(labelText(spaced.replaceAll(' ', '%20'))).toBe(spaced);
    expect(labelText(`https://console.example/#${spaced.replaceAll(' ', '%20')}`)).toContain(spaced);
  });

  test.each([
    ['', 'label.bad-text'],
    [label.toLowerCase(), 'label.bad-text'],
    [`${label.slice(0, -3)}%20`, 'label.bad-checksum'],
    [`${label}\n${label}`, 'label.bad-checksum'],
    [`${label}${' '.repeat(70_000)}x`, 'label.too-long'],
  ])('is refused otherwise %#', (given, code) => {
    expect(() => labelText(given)).toThrow(expect.objectContaining({ code }));
  });
});
