import { describe, expect, test } from 'vitest';
import { hasUnprintable } from '../../protocol/text.ts';

describe('[H-A8] characters that nobody sees', () => {
  test.each([
    ['escape', '\u001b'],
    ['C1 control', '\u009b'],
    ['soft hyphen', '\u00ad'],
    ['combining grapheme joiner', '\u034f'],
    ['Arabic letter mark', '\u061c'],
    ['Hangul filler', '\u3164'],
    ['zero-width space', '\u200b'],
    ['zero-width joiner', '\u200d'],
    ['right-to-left mark', '\u200f'],
    ['line separator', '\u2028'],
    ['right-to-left override', '\u202e'],
    ['word joiner', '\u2060'],
    ['isolate', '\u2067'],
    ['variation selector', '\ufe0f'],
    ['byte order mark', '\ufeff'],
    ['interlinear anchor', '\ufff9'],
    ['tag', '\u{e0041}'],
    ['private use', '\ue000'],
    ['half a surrogate pair', '\ud83d'],
  ])('%s', (_, character) => {
    expect(hasUnprintable(`plant${character}7`)).toBe(true);
  });

  test('letters of all scripts, digits, punctuation, spaces and emoji are seen', () => {
    for (const text of ['', 'plant 7', 'Werk Süd · Halle 3', '工場', 'عنبر', 'हॉल', 'é', '😀', '№ 5 – “A”']) {
      expect(hasUnprintable(text), text).toBe(false);
    }
  });
});
