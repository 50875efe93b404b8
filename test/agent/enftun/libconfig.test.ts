import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type LibconfigGroup, type LibconfigValue, parseLibconfig } from '../../../agent/enftun/libconfig.ts';
import { isFailure } from '../../../protocol/failure.ts';

/** Without the missing prototypes, which toEqual minds. */
const plain = (text: string): unknown => JSON.parse(JSON.stringify(parseLibconfig(text)));

describe('an enftun configuration', () => {
  test('as it stands in the field', () => {
    expect(
      plain(`# enftun
      version = "1.0";
      tun : { dev = "enf0" ; ip_set = TRUE; };
      remote:
      {
        hosts = [ "23.147.128.112", "enf.example" ] // two
        port = "443"
        ca_cert_file = "/etc/enftun/" "enf.cacert.pem"
        heartbeat_period = 300000L
      }
      /* nested
         comment */
      identity = { tpm : { hierarchy = 0x40000001; parent = 0x81000001; }; list = ( 1, "two", ( ), { a = -3.5e1 } ) }
      empty = { }; flag = false,
      `),
    ).toEqual({
      version: '1.0',
      tun: { dev: 'enf0', ip_set: true },
      remote: {
        hosts: ['23.147.128.112', 'enf.example'],
        port: '443',
        ca_cert_file: '/etc/enftun/enf.cacert.pem',
        heartbeat_period: 300_000,
      },
      identity: { tpm: { hierarchy: 0x40000001, parent: 0x81000001 }, list: [1, 'two', [], { a: -35 }] },
      empty: {},
      flag: false,
    });
  });

  test('escapes, and signs that only look like comments', () => {
    expect(plain(String.raw`a = "q\"b\\n\n\x41 # // /* no comment */"`)).toEqual({
      a: 'q"b\\n\nA # // /* no comment */',
    });
  });

  test('that is empty', () => {
    expect(plain('')).toEqual({});
    expect(plain(' # nothing\n')).toEqual({});
  });
});

describe('refused, with the line', () => {
  for (const [name, text, line] of [
    ['no value', 'a = ', 1],
    ['no equals sign', 'a "x"', 1],
    ['a group that does not end', 'a = {\n b = 1', 2],
    ['a list that does not end', 'a = [ 1, 2', 1],
    ['a list without commas', 'a = [ 1 2 ]', 1],
    ['text that does not end', 'a = "x', 1],
    ['an unknown escape', String.raw`a = "\q"`, 1],
    ['the same name twice', 'a = 1\nb = 2\na = 3', 3],
    ['another file', '\n@include "secret"', 2],
    ['a number that nobody can hold', 'a = 99999999999999999999', 1],
    ['deep nesting', 'a = '.concat('('.repeat(50)), 1],
    ['a stray brace', 'a = 1 }', 1],
    ['a word', 'a = yes', 1],
  ] as const) {
    test(name, () => {
      expect(() => parseLibconfig(text)).toThrow(
        expect.objectContaining({
          code: 'enftun.bad-config',
          message: expect.stringContaining(`line ${line}:`),
        }),
      );
    });
  }

  test('a very long text', () => {
    expect(() => parseLibconfig(' '.repeat(65_537))).toThrow('more than 65536');
  });

  test('a name of Object.prototype is a name like any other', () => {
    expect(Object.keys(parseLibconfig('constructor = 1; toString = 2'))).toEqual(['constructor', 'toString']);
  });
});

const NAME = fc.stringMatching(/^[A-Za-z*][A-Za-z0-9_*-]{0,8}$/).filter((name) => name !== '__proto__');
const { tree } = fc.letrec<{ tree: LibconfigGroup; value: LibconfigValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.string(),
    fc.maxSafeInteger(),
    fc.boolean(),
    fc
      .double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 })
      .filter((x) => !Object.is(x, -0)),
    fc.array(tie('value'), { maxLength: 4 }),
    tie('tree'),
  ),
  tree: fc.dictionary(NAME, tie('value'), { maxKeys: 4 }),
}));
const separators = fc.constantFrom(';', ',', '\n', ' # c\n', ' /* c */ ', ' // c\n;');

function render(value: LibconfigValue, gap: string): string {
  if (typeof value === 'string') {
    const text = value.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n').replace(/\r/g, '\\r');
    return `"${text}"`;
  }
  if (typeof value === 'number') {
    const text = String(value);
    return /^-?\d+$/.test(text) || text.includes('e') || text.includes('.') ? text : `${text}.0`;
  }
  if (typeof value === 'boolean') return value ? 'True' : 'false';
  if (Array.isArray(value)) return `(${value.map((each) => render(each, gap)).join(', ')})`;
  return `{${settings(value as LibconfigGroup, gap)}}`;
}

const settings = (group: LibconfigGroup, gap: string): string =>
  Object.entries(group)
    .map(([name, value], i) => `${name} ${i % 2 ? '=' : ':'} ${render(value, gap)}${gap}`)
    .join('');

test('whatever is written is read again', () => {
  fc.assert(
    fc.property(tree, separators, (group, gap) => {
      expect(plain(settings(group, gap))).toEqual(JSON.parse(JSON.stringify(group)));
    }),
    { numRuns: 300 },
  );
});

test('no text breaks the reader: a value or a Failure', () => {
  const pieces = fc.array(
    fc.constantFrom(
      'a',
      '=',
      ':',
      '{',
      '}',
      '[',
      ']',
      '(',
      ')',
      '"',
      '\\',
      '1',
      '-',
      '0x',
      ';',
      ',',
      '#',
      '/*',
      '*/',
      '\n',
      'true',
      ' ',
    ),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        pieces.map((each) => each.join('')),
      ),
      (text) => {
        try {
          parseLibconfig(text);
        } catch (error) {
          expect(isFailure(error, 'enftun.bad-config')).toBe(true);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});
