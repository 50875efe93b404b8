import { expect, test } from 'vitest';
import {
  LONGEST_LINE,
  LONGEST_PART,
  partsOf,
  uploadRoster,
} from '../../../fabric/operations/contract/roster-upload.ts';
import { LONGEST_ROW } from '../../../protocol/roster.ts';

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function parts(bytes: Uint8Array, size: number): Promise<Buffer[]> {
  const found: Buffer[] = [];
  for await (const part of partsOf(pieces(bytes, size))) found.push(Buffer.from(part));
  return found;
}

const lines = (count: number, length: number): Buffer =>
  Buffer.from(Array.from({ length: count }, (_, i) => `${String(i).padEnd(length, 'x')}\n`).join(''));

test.each([7, 1_000, 65_536, 3 * LONGEST_PART])(
  'parts of pieces of %i bytes end with lines',
  async (size) => {
    const bytes = lines(9_000, 200);
    const found = await parts(bytes, size);
    expect(Buffer.concat(found).equals(bytes)).toBe(true);
    for (const part of found) {
      expect(part.length).toBeLessThanOrEqual(LONGEST_PART);
      expect(part.at(-1)).toBe(0x0a);
    }
  },
);

test('what is no line comes as it is, for the fabric to refuse', async () => {
  expect(LONGEST_LINE).toBe(LONGEST_ROW);
  const endless = Buffer.alloc(3 * LONGEST_LINE, 'x');
  expect((await parts(endless, 1_000))[0]!.length).toBeGreaterThan(LONGEST_LINE);
  const torn = Buffer.from('{}\n{"serial"');
  expect((await parts(torn, 5)).map(String)).toEqual(['{}\n', '{"serial"']);
  expect(await parts(Buffer.alloc(0), 5)).toEqual([]);
});

/** A fabric that keeps `kept` bytes and answers as `fails` lets it. */
function place(bytes: Uint8Array, fails: (name: string) => unknown = () => undefined) {
  const roster = { state: 'arriving' as string, bytes: bytes.length, devices: 1, indexed: 0 };
  const heard: string[] = [];
  let offset = 0;
  const answer = (name: string): never => {
    heard.push(name);
    const error = fails(name);
    if (error !== undefined) throw error;
    return { roster, offset, view: { roster } } as never;
  };
  const run = () =>
    uploadRoster<{ view: { roster: never } }>({
      requests: {
        begin: async () => answer('begin'),
        async part(at, part) {
          expect(at).toBe(offset);
          offset += part.length;
          return answer('part');
        },
        async index() {
          roster.state = 'in-force';
          return answer('index');
        },
      },
      read: (from) => pieces(bytes.subarray(from), 100_000),
      show: () => {},
      passes: (error) => error === 'passes',
    });
  return { heard, run };
}

test('a roster goes on behind what has come, also after an answer was lost', async () => {
  let lost = true;
  const { heard, run } = place(lines(10, 30_000), (name) => {
    if (name !== 'part' || !lost) return undefined;
    lost = false;
    return 'passes';
  });
  await run();
  expect(heard.slice(0, 3)).toEqual(['begin', 'part', 'begin']);
  expect(heard.at(-1)).toBe('index');
  expect(heard.filter((name) => name === 'begin')).toHaveLength(2);
});

test('what does not pass, or passes five times without getting further, is told', async () => {
  const refused = place(lines(1, 10), () => 'stays');
  await expect(refused.run()).rejects.toBe('stays');
  expect(refused.heard).toEqual(['begin']);
  const away = place(lines(1, 10), () => 'passes');
  await expect(away.run()).rejects.toBe('passes');
  expect(away.heard).toHaveLength(5);
}, 20_000);
