import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { bundle } from '../../bundle.ts';

test('[H-C6] a service that waits for its end survives SIGHUP, any number of times, and ends at SIGTERM', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'enf-stop-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const program = join(folder, 'child.mjs');
  await bundle(new URL('stop-child.ts', import.meta.url), program);
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const exited = new Promise<number | null>((resolve) => child.on('exit', resolve));
  await vi.waitFor(() => expect(text).toContain('ready'), { timeout: 20_000 });
  for (let i = 1; i <= 3; i++) {
    child.kill('SIGHUP');
    await vi.waitFor(() => expect(text.split('again')).toHaveLength(i + 1), { timeout: 10_000 });
  }
  child.kill('SIGTERM');
  expect(await exited).toBe(0);
  expect(text).toContain('stopped');
});
