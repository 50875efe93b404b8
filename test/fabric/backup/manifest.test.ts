import { expect, test } from 'vitest';
import { encodeManifest, parseManifest } from '../../../fabric/backup/manifest.ts';
import { encodeUtf8 } from '../../../protocol/utf8.ts';

const MANIFEST = {
  created: '2026-11-28T20:00:00.000Z',
  program: '1.0',
  audit: { entries: 3, head: 'ab'.repeat(32) },
  networks: 1,
  groups: 1,
  devices: 2,
  files: [{ name: 'registry.db', size: 4_096 }],
};

const codeOf = (change: object): string => {
  try {
    parseManifest(encodeUtf8(JSON.stringify({ version: 1, ...MANIFEST, ...change })));
    return 'ok';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test('[H-C2] the table of contents comes back', () => {
  expect(parseManifest(encodeManifest(MANIFEST))).toEqual({ version: 1, ...MANIFEST });
  expect(codeOf({})).toBe('ok');
});

test('[H-C2] a table of contents of another shape is refused, one of a later version by name', () => {
  const file = MANIFEST.files[0]!;
  for (const change of [
    { version: 0 },
    { created: 'yesterday' },
    { audit: {} },
    { audit: { entries: -1, head: MANIFEST.audit.head } },
    { devices: 1.5 },
    { files: {} },
    { files: [{ ...file, name: '../registry.db' }] },
    { files: [{ ...file, size: 2 ** 40 }] },
    { files: [file, file] },
    { files: Array.from({ length: 9_001 }, (_, i) => ({ ...file, name: `${i}` })) },
  ])
    expect(codeOf(change), JSON.stringify(change).slice(0, 60)).toBe('backup.damaged');
  expect(codeOf({ version: 2 })).toBe('backup.newer-format');
  for (const text of ['', 'null', '[]', '{', '"x"'])
    expect(() => parseManifest(encodeUtf8(text)), text).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^backup\.(damaged|not-a-backup)$/) }),
    );
  expect(() => parseManifest(Uint8Array.of(0xff))).toThrow(
    expect.objectContaining({ code: 'backup.not-a-backup' }),
  );
});
