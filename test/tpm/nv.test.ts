import { expect, test } from 'vitest';
import { OWNER_MAP } from '../../tpm/handles.ts';
import { readKnownNv, readNv } from '../../tpm/nv.ts';
import { freshTpm, openForTest, personalise, swtpmForTest } from './fixture.ts';
import { CC, faultyTpm } from './proxy.ts';

test('an object of known size is read with one command, one of another size with three', async () => {
  const swtpm = await swtpmForTest();
  const proxy = await faultyTpm(swtpm.port);
  const tpm = await openForTest(proxy.tcti);
  const written = await personalise(tpm, OWNER_MAP);
  proxy.commands.length = 0;
  expect(await readKnownNv(tpm, OWNER_MAP.nv.gpk, 258)).toEqual(written.gpk);
  expect(proxy.commands).toEqual([CC.nvRead]);
  proxy.commands.length = 0;
  expect(await readKnownNv(tpm, OWNER_MAP.nv.xttRoot, 258)).toEqual(written.xttRoot);
  expect(proxy.commands).toEqual([CC.nvRead, CC.nvReadPublic, CC.nvRead]);
});

test('an index that does not exist is undefined', async () => {
  const { tpm } = await freshTpm();
  expect(await readKnownNv(tpm, OWNER_MAP.nv.gpk, 258)).toBeUndefined();
  expect(await readNv(tpm, OWNER_MAP.nv.gpk)).toBeUndefined();
});
