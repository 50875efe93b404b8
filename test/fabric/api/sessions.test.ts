import { describe, expect, test } from 'vitest';
import { sessions } from '../../../fabric/api/signing-in/sessions.ts';
import { siteOf } from '../../../fabric/api/site.ts';

const MINUTE = 60_000;
const person = (id: number) => ({ id, generation: 1 });

describe('a session', () => {
  test('is known by its text alone, and ends when told to', () => {
    const all = sessions(() => 0);
    const [one, two] = [all.begin(person(1)), all.begin(person(2))];
    expect(one).toMatch(/^enfs_/);
    expect(all.find(one)).toMatchObject(person(1));
    for (const wrong of ['', 'x', `${one}x`, one.slice(0, -1)]) expect(all.find(wrong)).toBeUndefined();
    all.end(one);
    expect(all.find(one)).toBeUndefined();
    expect(all.find(two)).toMatchObject(person(2));
  });

  test('ends after half an hour without use, and after twelve hours in any case', () => {
    let now = 0;
    const all = sessions(() => now);
    const [idle, busy] = [all.begin(person(1)), all.begin(person(1))];
    now = 29 * MINUTE;
    expect(all.find(busy)).toBeDefined();
    now = 30 * MINUTE;
    expect(all.find(idle)).toBeUndefined();
    for (; now < 12 * 60 * MINUTE - 20 * MINUTE; now += 20 * MINUTE) expect(all.find(busy)).toBeDefined();
    now = 12 * 60 * MINUTE;
    expect(all.find(busy)).toBeUndefined();
  });

  test('is one of ten of a person: the longest unused one goes, and nobody else’s', () => {
    const all = sessions(() => 0);
    const other = all.begin(person(2));
    const own = Array.from({ length: 10 }, () => all.begin(person(1)));
    all.find(own[0]!);
    all.begin(person(1));
    expect(own.map((each) => all.find(each) !== undefined)).toEqual([true, false, ...Array(8).fill(true)]);
    expect(all.find(other)).toBeDefined();
  });

  test('is one of a thousand of all', () => {
    const all = sessions(() => 0);
    const texts = Array.from({ length: 1_001 }, (_, index) => all.begin(person(index)));
    expect(all.find(texts[0]!)).toBeUndefined();
    expect(all.find(texts[1]!)).toBeDefined();
  });

  test('ends with all others of the person', () => {
    const all = sessions(() => 0);
    const [one, two, other] = [all.begin(person(1)), all.begin(person(1)), all.begin(person(2))];
    all.endAll(1);
    expect([one, two, other].map((each) => all.find(each) !== undefined)).toEqual([false, false, true]);
  });
});

describe('a request that changes something', () => {
  const tls = { certificate: '', key: '' };
  const mark = { 'x-enf-request': '1' };
  const good = {
    ...mark,
    host: 'localhost:8480',
    origin: 'http://localhost:8480',
    'sec-fetch-site': 'same-origin',
  };

  function outcome(options: Parameters<typeof siteOf>[0], headers: Record<string, string>): string {
    try {
      siteOf(options).check({ headers });
      return 'passes';
    } catch (error) {
      return (error as { code: string }).code;
    }
  }

  test.each<[string, Parameters<typeof siteOf>[0], Record<string, string>]>([
    ['of a page on this machine', {}, good],
    ['without Origin', {}, { ...mark, host: good.host, 'sec-fetch-site': 'same-origin' }],
    ['of an old browser', {}, { ...mark, host: good.host, origin: good.origin }],
    ['at 127.0.0.1', {}, { ...good, host: '127.0.0.1:8480', origin: 'http://127.0.0.1:8480' }],
    ['at ::1', {}, { ...good, host: '[::1]:8480', origin: 'http://[::1]:8480' }],
    ['with TLS', { tls }, { ...good, host: 'c.example', origin: 'https://c.example' }],
    [
      'behind a proxy',
      { origin: 'https://c.example' },
      { ...good, host: 'x:8480', origin: 'https://c.example' },
    ],
  ])('%s passes', (_, options, headers) => {
    expect(outcome(options, headers)).toBe('passes');
  });

  test.each<[string, Parameters<typeof siteOf>[0], Record<string, string>]>([
    ['without the header', {}, { ...good, 'x-enf-request': '' }],
    ['of another site', {}, { ...good, origin: 'https://evil.example' }],
    ['of another site of an old browser', {}, { ...mark, host: good.host, origin: 'https://evil.example' }],
    ['of the same site', {}, { ...good, 'sec-fetch-site': 'same-site' }],
    ['of another site by fetch', {}, { ...good, 'sec-fetch-site': 'cross-site' }],
    ['of nobody’s page', {}, { ...good, 'sec-fetch-site': 'none' }],
    ['without Origin and Sec-Fetch-Site', {}, { ...mark, host: good.host }],
    ['of an opaque origin', {}, { ...mark, host: good.host, origin: 'null' }],
    ['with http for https', { tls }, { ...good, host: 'c.example', origin: 'http://c.example' }],
    [
      'at a name that a stranger made',
      {},
      { ...good, host: 'evil.example:8480', origin: 'http://evil.example:8480' },
    ],
    [
      'at a name like this machine’s',
      {},
      { ...good, host: '127.evil.example', origin: 'http://127.evil.example' },
    ],
    ['at another name than the given', { origin: 'https://c.example' }, good],
    ['at no name', {}, { ...mark, origin: 'http://' }],
  ])('%s is refused', (_, options, headers) => {
    expect(outcome(options, headers)).toBe('access.cross-site');
  });

  test('has a cookie for TLS alone where there is TLS', () => {
    const secure = [{}, { tls }, { origin: 'https://c.example' }, { origin: 'http://localhost:1' }].map(
      (options) => siteOf(options).isSecure,
    );
    expect(secure).toEqual([false, true, true, false]);
  });
});
