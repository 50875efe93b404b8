import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { startSwtpm } from '../../swtpm/swtpm.ts';
import { openTpm } from '../../tpm/context.ts';
import { createLongterm, loadLongterm } from '../../tpm/longterm.ts';

test('answers as soon as it is started, and is gone with its folder when stopped', async () => {
  const swtpm = await startSwtpm();
  const tpm = await openTpm(swtpm.tcti);
  await tpm.close();
  expect(existsSync(swtpm.state)).toBe(true);
  await swtpm.stop();
  expect(existsSync(swtpm.state)).toBe(false);
  await swtpm.stop();
});

test('the same folder is the same TPM after a power cut, another folder is another', async () => {
  const state = mkdtempSync(join(tmpdir(), 'enf-test-'));
  onTestFinished(() => rmSync(state, { recursive: true, force: true }));
  const first = await startSwtpm({ state });
  const tpm = await openTpm(first.tcti);
  const { pem } = await createLongterm(tpm);
  await first.kill();
  await tpm.close();

  const second = await startSwtpm({ state, port: first.port });
  onTestFinished(() => second.stop());
  const again = await openTpm(second.tcti);
  await loadLongterm(again, pem);
  await again.close();
  await second.stop();
  expect(existsSync(state)).toBe(true);

  const other = await startSwtpm();
  onTestFinished(() => other.stop());
  const otherTpm = await openTpm(other.tcti);
  await expect(loadLongterm(otherTpm, pem)).rejects.toMatchObject({ code: 'tpm.foreign-key' });
  await otherTpm.close();
});

test('several at once do not get in each other’s way', async () => {
  const all = await Promise.all(Array.from({ length: 5 }, () => startSwtpm()));
  onTestFinished(async () => {
    await Promise.all(all.map((each) => each.stop()));
  });
  const ports = all.flatMap(({ port }) => [port, port + 1]);
  expect(new Set(ports).size).toBe(10);
});

test('a port in use is a failure that names it', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => {
    server.close();
  });
  const { port } = server.address() as { port: number };
  await expect(startSwtpm({ port })).rejects.toMatchObject({
    code: 'swtpm.no-start',
    message: expect.stringContaining(String(port)),
  });
});

test('without the program it says how to install it', async () => {
  vi.stubEnv('PATH', '/nowhere');
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
  await expect(startSwtpm()).rejects.toMatchObject({
    code: 'swtpm.not-installed',
    action: expect.stringContaining('apt-get install swtpm'),
  });
});
