import { describe, expect, test } from 'vitest';
import { primitives } from '../../crypto/primitives.ts';
import { readCredential } from '../../tpm/credential.ts';
import { HANDLE_MAPS, type HandleMap, OWNER_MAP, PLATFORM_MAP } from '../../tpm/handles.ts';
import { inspect } from '../../tpm/inspect.ts';
import { createDaaKey, writeObjects } from '../../tpm/personalise.ts';
import {
  freshTpm,
  handlesIn,
  LOADED_SESSIONS,
  newGroup,
  openForTest,
  personalise,
  swtpmForTest,
  TRANSIENT,
  tpm2,
} from './fixture.ts';

const hex = (handle: number) => `0x${handle.toString(16)}`;

describe.each(HANDLE_MAPS.map((map) => [map.hierarchy, map] as const))('in the %s map', (_, map) => {
  test('what is written is found and read', async () => {
    const { tpm } = await freshTpm();
    await expect(readCredential(tpm)).rejects.toMatchObject({ code: 'tpm.not-personalised' });
    const written = await personalise(tpm, map);
    const read = await readCredential(tpm);
    expect(read.map).toBe(map);
    expect(read.gpk).toEqual(written.gpk);
    expect(read.credential).toEqual(written.credential);
    expect(read.basename).toEqual(written.basename);
    expect(read.xttRoot).toEqual(written.xttRoot);
    expect(read.tlsRoot).toBe(written.tlsRoot);
    expect(await handlesIn(tpm, TRANSIENT)).toBe(0);
  });

  test('inspection names the key and all objects with their attributes', async () => {
    const { tpm } = await freshTpm();
    await personalise(tpm, map);
    const found = (await inspect(tpm)).maps.find((each) => each.hierarchy === map.hierarchy)!;
    expect(found.daaKey?.handle).toBe(map.daaKey);
    expect(found.daaKey?.point?.length).toBe(65);
    expect(found.objects.map((each) => [each.name, each.size, each.written])).toEqual([
      ['gpk', 258, true],
      ['credential', 260, true],
      ['credentialSignature', 64, true],
      ['tlsRoot', 59, true],
      ['basename', 8, true],
      ['xttRoot', 81, true],
    ]);
    const expected = map === PLATFORM_MAP ? 0x62040001 : 0x22040002;
    expect(found.objects.map((each) => hex(each.attributes))).toEqual(Array(6).fill(hex(expected)));
  });

  test('objects larger than the NV buffer are written in chunks', async () => {
    const { tpm } = await freshTpm();
    const tlsRoot = Array.from({ length: 1500 }, (_, i) => String.fromCharCode(33 + (i % 90))).join('');
    await personalise(tpm, map, newGroup(), { tlsRoot });
    expect((await readCredential(tpm)).tlsRoot).toBe(tlsRoot);
  });

  test('[C-31] a second personalising is refused and changes nothing', async () => {
    const { tpm } = await freshTpm();
    const written = await personalise(tpm, map);
    await expect(personalise(tpm, map)).rejects.toMatchObject({ code: 'tpm.occupied' });
    await expect(
      writeObjects(tpm, map, { ...written, credential: primitives.random(260) }),
    ).rejects.toMatchObject({ code: 'tpm.occupied' });
    expect((await readCredential(tpm)).credential).toEqual(written.credential);
    await writeObjects(tpm, map, written);
  });

  test('an interrupted personalising is completed with the key it made', async () => {
    const { swtpm, tpm } = await freshTpm();
    const group = newGroup();
    const first = await createDaaKey(tpm, map);
    const written = await personalise(tpm, map, group);
    await tpm.close();
    const hierarchy = map === PLATFORM_MAP ? 'p' : 'o';
    tpm2(swtpm, 'nvundefine', '-C', hierarchy, hex(map.nv.credential));
    const again = await openForTest(swtpm.tcti);
    await expect(readCredential(again)).rejects.toMatchObject({ code: 'tpm.not-personalised' });
    const second = await personalise(again, map, group);
    expect((await createDaaKeyAt(again, map)).publicArea).toEqual(first.publicArea);
    expect(second.credential).not.toEqual(written.credential);
    expect((await readCredential(again)).credential).toEqual(second.credential);
  });

  test('[C-31] an NV index that is not ours is never overwritten, and then nothing is written', async () => {
    const swtpm = await swtpmForTest();
    const hierarchy = map === PLATFORM_MAP ? 'p' : 'o';
    const attributes = map === PLATFORM_MAP ? 'ppwrite|authread|platformcreate' : 'ownerwrite|authread';
    tpm2(swtpm, 'nvdefine', '-C', hierarchy, '-s', '81', '-a', attributes, hex(map.nv.xttRoot));
    const tpm = await openForTest(swtpm.tcti);
    await expect(personalise(tpm, map)).rejects.toMatchObject({
      code: 'tpm.occupied',
      message: expect.stringContaining(map.nv.xttRoot.toString(16)),
    });
    const { maps } = await inspect(tpm);
    const objects = maps.flatMap((each) => each.objects.map((object) => object.name));
    expect(objects).toEqual(['xttRoot']);
  });

  test('[C-31] a key that is not ours is never replaced', async () => {
    const swtpm = await swtpmForTest();
    const hierarchy = map === PLATFORM_MAP ? 'p' : 'o';
    tpm2(swtpm, 'createprimary', '-C', hierarchy, '-G', 'ecc', '-c', 'p.ctx');
    tpm2(swtpm, 'evictcontrol', '-C', hierarchy, '-c', 'p.ctx', hex(map.daaKey));
    tpm2(swtpm, 'flushcontext', '-t');
    const before = tpm2(swtpm, 'readpublic', '-c', hex(map.daaKey));
    const tpm = await openForTest(swtpm.tcti);
    await expect(createDaaKey(tpm, map)).rejects.toMatchObject({ code: 'tpm.occupied' });
    const inspected = (await inspect(tpm)).maps.find((each) => each.hierarchy === map.hierarchy)!;
    expect(inspected.daaKey?.fault).toContain('ECDAA');
    await tpm.close();
    expect(tpm2(swtpm, 'readpublic', '-c', hex(map.daaKey))).toBe(before);
  });

  test('[C-27] a hierarchy with a password accepts it', async () => {
    const swtpm = await swtpmForTest();
    tpm2(swtpm, 'changeauth', '-c', map.hierarchy, 'secret');
    const tpm = await openForTest(swtpm.tcti);
    await expect(createDaaKey(tpm, map)).rejects.toMatchObject({
      code: 'tpm.hierarchy-locked',
      remedy: 'operator',
    });
    const wrong = new TextEncoder().encode('wrong');
    await expect(createDaaKey(tpm, map, wrong)).rejects.toMatchObject({ code: 'tpm.hierarchy-locked' });
    await personalise(tpm, map, newGroup(), {}, new TextEncoder().encode('secret'));
    expect((await readCredential(tpm)).map).toBe(map);
    expect(await handlesIn(tpm, TRANSIENT)).toBe(0);
    expect(await handlesIn(tpm, LOADED_SESSIONS)).toBe(0);
  });
});

test('where the firmware disabled the platform hierarchy, the owner map is used', async () => {
  const swtpm = await swtpmForTest();
  tpm2(swtpm, 'hierarchycontrol', '-C', 'p', 'phEnable', 'clear');
  const tpm = await openForTest(swtpm.tcti);
  await expect(createDaaKey(tpm, PLATFORM_MAP)).rejects.toMatchObject({ code: 'tpm.hierarchy-locked' });
  await personalise(tpm, OWNER_MAP);
  expect((await readCredential(tpm)).map).toBe(OWNER_MAP);
});

test('an object of the wrong size is reported by name', async () => {
  const swtpm = await swtpmForTest();
  const attributes = 'ownerwrite|authread|authwrite';
  tpm2(swtpm, 'nvdefine', '-C', 'o', '-s', '10', '-a', attributes, hex(OWNER_MAP.nv.gpk));
  tpm2(swtpm, 'nvwrite', '-C', hex(OWNER_MAP.nv.gpk), '-i', '/etc/hostname', hex(OWNER_MAP.nv.gpk));
  const tpm = await openForTest(swtpm.tcti);
  await expect(readCredential(tpm)).rejects.toMatchObject({
    code: 'tpm.bad-object',
    message: expect.stringMatching(/18e4f00 \(gpk\): expected 258 bytes, got 10/),
  });
});

test('a half-written platform map does not hide a whole owner map', async () => {
  const { swtpm, tpm } = await freshTpm();
  await personalise(tpm, PLATFORM_MAP);
  await personalise(tpm, OWNER_MAP);
  await tpm.close();
  tpm2(swtpm, 'nvundefine', '-C', 'p', hex(PLATFORM_MAP.nv.credential));
  const again = await openForTest(swtpm.tcti);
  expect((await readCredential(again)).map).toBe(OWNER_MAP);
});

async function createDaaKeyAt(tpm: Parameters<typeof createDaaKey>[0], map: HandleMap) {
  const { findObject } = await import('../../tpm/objects.ts');
  return (await findObject(tpm, map.daaKey))!;
}
