import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { eventually } from '../e2e/process.ts';

/** QEMU's control socket. */
export interface Qmp {
  /** @throws Error with what QEMU said */
  ask(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
  close(): void;
}

export async function openQmp(path: string): Promise<Qmp> {
  const socket = await eventually('the control socket of QEMU', async () => {
    const attempt = connect(path);
    await once(attempt, 'connect');
    return attempt;
  });
  socket.on('error', () => {});
  const waiting: { resolve(value: unknown): void; reject(error: Error): void }[] = [];
  createInterface({ input: socket }).on('line', (line) => {
    const message = JSON.parse(line) as { return?: unknown; error?: { desc: string } };
    if (message.error !== undefined) waiting.shift()?.reject(new Error(`QEMU: ${message.error.desc}`));
    else if ('return' in message) waiting.shift()?.resolve(message.return);
  });
  socket.once('close', () => {
    for (const { reject } of waiting) reject(new Error('QEMU is gone'));
  });
  const ask: Qmp['ask'] = (execute, args = {}) =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      socket.write(`${JSON.stringify({ execute, arguments: args })}\n`);
    });
  await ask('qmp_capabilities');
  return { ask, close: () => socket.destroy() };
}
