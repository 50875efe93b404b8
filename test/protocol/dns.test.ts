import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, fromHex, toHex, u16, u32 } from '../../protocol/bytes.ts';
import { encodeDnsQuery, isDnsName, parseDnsAnswer } from '../../protocol/dns.ts';

const QUERY = encodeDnsQuery(0x1234, 'enf.example', 'A');
const A = Uint8Array.of(192, 0, 2, 1);

test('a question as RFC 1035 has it', () => {
  expect(toHex(QUERY)).toBe('123401000001000000000000' + '03656e66076578616d706c6500' + '00010001');
  expect(encodeDnsQuery(0x1234, 'enf.example.', 'A')).toEqual(QUERY);
  expect(toHex(encodeDnsQuery(1, 'a', 'AAAA'))).toMatch(/001c0001$/);
});

test('names', () => {
  for (const name of ['a', 'enf.example', 'x_1-y.example.', `${'a'.repeat(63)}.b`])
    expect(isDnsName(name)).toBe(true);
  for (const name of ['', '.', 'a..b', 'a b', `${'a'.repeat(64)}.b`, `${'a.'.repeat(126)}aa`, 'ä']) {
    expect(isDnsName(name)).toBe(false);
    expect(() => encodeDnsQuery(1, name, 'A')).toThrow();
  }
});

/** An answer with these records: [name as bytes in hex, type, data]. */
function reply(flags: number, ...records: [string, number, Uint8Array][]): Uint8Array {
  const head = concat(
    u16(0x1234),
    u16(flags),
    u16(1),
    u16(records.length),
    u16(0),
    u16(0),
    QUERY.subarray(12),
  );
  const rest = records.map(([name, type, data]) =>
    concat(fromHex(name), u16(type), u16(1), u32(60), u16(data.length), data),
  );
  return concat(head, ...rest);
}
const OK = 0x8180;
/** A pointer to the question's name; to its second label. */
const NAME = 'c00c';
const EXAMPLE = 'c010';

describe('answers', () => {
  const other = '05616c69617307' + '6578616d706c6500'; // alias.example, but with the length of "example" within
  const cases: [string, Uint8Array, unknown][] = [
    ['one address', reply(OK, [NAME, 1, A]), [A]],
    ['two', reply(OK, [NAME, 1, A], [NAME, 1, Uint8Array.of(1, 2, 3, 4)]), [A, Uint8Array.of(1, 2, 3, 4)]],
    ['an alias', reply(OK, [NAME, 5, fromHex(`02636e${EXAMPLE}`)], [`02636e${EXAMPLE}`, 1, A]), [A]],
    [
      'an alias in another case',
      reply(OK, [NAME, 5, fromHex(`02434e${EXAMPLE}`)], [`02636e${EXAMPLE}`, 1, A]),
      [A],
    ],
    ['somebody else’s address', reply(OK, [other, 1, A]), []],
    ['an address of another kind', reply(OK, [NAME, 28, new Uint8Array(16)]), []],
    ['an address of a wrong length', reply(OK, [NAME, 1, new Uint8Array(16)]), []],
    ['none', reply(OK), []],
    ['no such name', reply(0x8183), []],
  ];
  for (const [name, answer, addresses] of cases) {
    test(name, () => expect(parseDnsAnswer(QUERY, answer)).toEqual({ kind: 'addresses', addresses }));
  }

  test('what is none', () => {
    expect(parseDnsAnswer(QUERY, reply(0x8182))).toEqual({ kind: 'failed', code: 2 });
    expect(parseDnsAnswer(QUERY, reply(0x8380))).toEqual({ kind: 'truncated' });
    const wrongId = reply(OK, [NAME, 1, A]);
    wrongId[0] = 0;
    const wrongName = reply(OK, [NAME, 1, A]);
    wrongName[13] = 0x66;
    for (const answer of [
      wrongId,
      wrongName,
      reply(0x0100, [NAME, 1, A]),
      reply(OK, [NAME, 1, A]).subarray(0, 40),
      reply(OK, ['c0ff', 1, A]),
      QUERY,
      new Uint8Array(),
    ]) {
      expect(parseDnsAnswer(QUERY, answer)).toBeUndefined();
    }
  });

  test('a pointer to itself, and aliases in a circle, end', () => {
    const loop = reply(OK, ['c01d', 1, A]);
    expect(loop[29]).toBe(0xc0);
    expect(parseDnsAnswer(QUERY, loop)).toBeUndefined();
    const circle = reply(OK, [NAME, 5, fromHex(NAME)], [NAME, 1, A]);
    expect(parseDnsAnswer(QUERY, circle)).toEqual({ kind: 'addresses', addresses: [A] });
  });

  test('whatever comes, nothing breaks', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (tail) => {
        for (const answer of [tail, concat(reply(OK, [NAME, 1, A]).subarray(0, 29), tail)]) {
          const read = parseDnsAnswer(QUERY, answer);
          if (read?.kind === 'addresses') for (const each of read.addresses) expect(each).toHaveLength(4);
        }
      }),
    );
  });
});

describe('services', () => {
  const ASKED = encodeDnsQuery(0x1234, 'enf.example', 'SRV');
  const srv = (priority: number, weight: number, port: number, target: string): Uint8Array =>
    concat(u16(priority), u16(weight), u16(port), fromHex(target));
  /** The same answer to another question. */
  const about = (answer: Uint8Array): Uint8Array => {
    const copy = Uint8Array.from(answer);
    copy.set(ASKED.subarray(12), 12);
    return copy;
  };
  const read = (...records: [string, number, Uint8Array][]) =>
    parseDnsAnswer(ASKED, about(reply(OK, ...records)));

  test('are asked for by their number', () => {
    expect(toHex(ASKED)).toMatch(/00210001$/);
  });

  test('come with three numbers and a name, which a server may have compressed, behind aliases, too', () => {
    expect(read([NAME, 33, srv(1, 2, 443, '016103656e66076578616d706c6500')])).toEqual({
      kind: 'services',
      services: [{ priority: 1, weight: 2, port: 443, target: 'a.enf.example' }],
    });
    expect(
      read(
        [NAME, 5, fromHex(`02636e${EXAMPLE}`)],
        [`02636e${EXAMPLE}`, 33, srv(0, 0, 1, `0162${NAME}`)],
        [`02636e${EXAMPLE}`, 33, srv(65_535, 65_535, 65_535, '00')],
      ),
    ).toEqual({
      kind: 'services',
      services: [
        { priority: 0, weight: 0, port: 1, target: 'b.enf.example' },
        { priority: 65_535, weight: 65_535, port: 65_535, target: '' },
      ],
    });
  });

  test('are none where there is no such name, or no record of the kind', () => {
    expect(parseDnsAnswer(ASKED, about(reply(0x8183)))).toEqual({ kind: 'services', services: [] });
    expect(read([NAME, 1, A])).toEqual({ kind: 'services', services: [] });
  });

  test.each([
    ['cut off', srv(1, 2, 443, '')],
    ['with a name that does not end with it', srv(1, 2, 443, '01610000')],
    ['with a name that goes beyond it', srv(1, 2, 443, '0561')],
    ['with a pointer forward', srv(1, 2, 443, 'c0ff')],
    ['shorter than its numbers', Uint8Array.of(0, 1, 0, 2)],
  ])('a record %s is passed over', (_, data) => {
    expect(read([NAME, 33, data], [NAME, 33, srv(1, 2, 3, NAME)])).toEqual({
      kind: 'services',
      services: [{ priority: 1, weight: 2, port: 3, target: 'enf.example' }],
    });
  });
});

describe('hostile answers', () => {
  /** The same bytes; `reads` counts how often one of them is looked at. */
  function counted(bytes: Uint8Array): { readonly view: Uint8Array; reads(): number } {
    let reads = 0;
    const view = new Proxy(bytes, {
      get(target, key) {
        if (typeof key === 'string' && /^\d+$/.test(key)) reads++;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    return { view, reads: () => reads };
  }

  /** An answer of about `size` bytes, with as many records as it announces, made of `unit`s. */
  function filled(size: number, unit: (at: number) => Uint8Array): Uint8Array {
    const head = reply(OK);
    const parts = [head];
    let length = head.length;
    let count = 0;
    while (length < size) {
      const part = unit(length);
      parts.push(part);
      length += part.length;
      count++;
    }
    const answer = concat(...parts);
    answer.set(u16(Math.min(0xffff, count)), 6);
    return answer;
  }

  const record = (name: Uint8Array, type: number, data: Uint8Array): Uint8Array =>
    concat(name, u16(type), u16(1), u32(60), u16(data.length), data);
  const long = concat(...Array.from({ length: 126 }, () => Uint8Array.of(1, 0x61)));
  const KINDS: Record<string, (size: number) => Uint8Array> = {
    'pointers in a chain': (size) =>
      filled(size, (at) => record(u16(0xc000 | Math.max(12, (at - 12) & 0x3fff)), 1, A)),
    'long names behind pointers': (size) =>
      filled(size, (at) =>
        at < 400 ? record(concat(long, Uint8Array.of(0)), 16, A) : record(u16(0xc01d), 5, u16(0xc01d)),
      ),
    'labels into the next pointer': (size) =>
      filled(size, (at) => concat(Uint8Array.of(1, 0x61), u16(0xc000 | ((at + 4) & 0x3fff)))),
    'nothing but pointers': (size) => filled(size, () => u16(0xc00c)),
    'nothing but labels': (size) => filled(size, () => Uint8Array.of(63, ...new Uint8Array(63).fill(0x61))),
  };
  for (const [name, make] of Object.entries(KINDS)) {
    test(`[H-B1] ${name}: work is at most linear in the length of the answer`, () => {
      const work = [8_192, 16_384, 32_768, 65_535].map((size) => {
        const answer = counted(make(size));
        const outcome = parseDnsAnswer(QUERY, answer.view);
        expect(outcome === undefined || outcome.kind === 'addresses').toBe(true);
        return answer.reads();
      });
      for (const [i, reads] of work.entries()) {
        expect(reads).toBeLessThan(10 * 8_192 * 2 ** i);
        if (i > 0) expect(reads).toBeLessThanOrEqual(2.5 * work[i - 1]! + 1_000);
      }
    });
  }

  test('[H-B1] names of 255 bytes, a few pointers backwards and a hundred addresses are read', () => {
    const longest = concat(...Array.from({ length: 127 }, () => Uint8Array.of(1, 0x61)), Uint8Array.of(0));
    expect(longest).toHaveLength(255);
    const answer = (name: Uint8Array): Uint8Array =>
      concat(reply(OK, [NAME, 1, A]), record(name, 1, A)).map((byte, i) => (i === 7 ? 2 : byte));
    expect(parseDnsAnswer(QUERY, answer(longest))).toEqual({ kind: 'addresses', addresses: [A] });
    expect(parseDnsAnswer(QUERY, answer(concat(Uint8Array.of(1, 0x61), longest)))).toBeUndefined();
    const many = Array.from({ length: 100 }, (): [string, number, Uint8Array] => [NAME, 1, A]);
    expect(parseDnsAnswer(QUERY, reply(OK, ...many))).toMatchObject({ addresses: { length: 100 } });
    expect(parseDnsAnswer(QUERY, reply(OK, ...many, ...many))).toBeUndefined();
    // Behind the first record: "x" and a pointer to the question's name, then a pointer to that, and so on.
    expect(parseDnsAnswer(QUERY, reply(OK, ['0178c00c', 1, A], ['0178c01d', 1, A], [NAME, 1, A]))).toEqual({
      kind: 'addresses',
      addresses: [A],
    });
  });

  test('[H-B1] pointers forwards, to themselves and into the header are refused', () => {
    for (const name of ['c030', 'c01d', '0178c01d', 'c000', 'c00b'])
      expect(parseDnsAnswer(QUERY, reply(OK, [name, 1, A], [NAME, 1, A]))).toBeUndefined();
  });
});
