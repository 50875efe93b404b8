import { describe, expect, test } from 'vitest';
import {
  archiveReader,
  type Content,
  type Entry,
  isSafeName,
  packArchive,
} from '../../../fabric/backup/tar.ts';
import { ascii, concat } from '../../../protocol/bytes.ts';

async function* inParts(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

function file(name: string, size: number): Content {
  const bytes = new Uint8Array(size).fill(size);
  return { name, size, mode: 0o600, content: inParts(bytes, 100) };
}

async function packed(...files: readonly Content[]): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of packArchive(files)) parts.push(part);
  return concat(...parts);
}

async function unpacked(bytes: Uint8Array, parts = 77): Promise<(Entry & { bytes: Uint8Array })[]> {
  const reader = archiveReader(inParts(bytes, parts));
  const found: (Entry & { bytes: Uint8Array })[] = [];
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    const content: Uint8Array[] = [];
    for await (const part of reader.content()) content.push(part.slice());
    found.push({ ...entry, bytes: concat(...content) });
  }
  return found;
}

const damaged = expect.objectContaining({ code: 'backup.damaged' });

describe('[H-C2] the archive', () => {
  test('comes back as it was, in whatever parts it is read', async () => {
    const bytes = await packed(file('a', 0), file('below/b', 512), file('ä', 1_000));
    for (const parts of [1, 512, bytes.length]) {
      const files = await unpacked(bytes, parts);
      expect(files.map(({ name, size }) => [name, size])).toEqual([
        ['a', 0],
        ['below/b', 512],
        ['ä', 1_000],
      ]);
      expect(files.every((each) => each.bytes.every((byte) => byte === (each.size & 255)))).toBe(true);
    }
  });

  test('no bit of it can be another one, and no end of it be missing', async () => {
    const bytes = await packed(file('a', 10));
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at]! ^= 1 << (at % 8);
      await expect(unpacked(changed, 4_096), `byte ${at}`).rejects.toEqual(damaged);
    }
    for (let length = 0; length < bytes.length; length += 13)
      await expect(unpacked(bytes.subarray(0, length)), `${length} bytes`).rejects.toEqual(damaged);
    await expect(unpacked(concat(bytes, new Uint8Array(1)))).rejects.toEqual(damaged);
  });

  test('a name that leads out of the folder is refused, also with the right digest', async () => {
    for (const name of ['../a', '/etc/passwd', 'a/../../b', 'a//b', '.', '', 'a\nb', 'a\\b']) {
      expect(isSafeName(name), name).toBe(false);
      await expect(unpacked(await packed(file(name, 1))), name).rejects.toEqual(damaged);
    }
    for (const name of ['a', 'a/b', 'a.b', 'my notes.txt', 'x'.repeat(100)])
      expect(isSafeName(name)).toBe(true);
  });

  test('a name that is too long for a header is none', () => {
    expect([isSafeName('x'.repeat(101)), isSafeName('ä'.repeat(51)), isSafeName('sha256')]).toEqual([
      false,
      false,
      false,
    ]);
  });

  test('links, folders and whatever else a tar program writes are refused', async () => {
    const bytes = await packed(file('a', 0));
    for (const type of ['1', '2', '3', '5', 'x', 'L']) {
      const changed = bytes.slice();
      changed.set(ascii(type), 156);
      const sum = changed
        .subarray(0, 512)
        .reduce((all, byte, i) => all + (i < 148 || i > 155 ? byte : 32), 0);
      changed.set(ascii(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
      await expect(unpacked(changed), type).rejects.toEqual(damaged);
    }
  });

  test('a file that is longer or shorter than it was said to be ends the writing', async () => {
    for (const size of [9, 11])
      await expect(packed({ ...file('a', 10), size })).rejects.toThrow('changed while it was read');
  });
});
