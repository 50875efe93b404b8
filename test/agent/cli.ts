import { vi } from 'vitest';
import { PROGRAM } from '../../agent/program.ts';
import { runProgram } from '../../cli/program.ts';

/** Runs a command of enf-agent in this process. */
export async function cli(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const take = (add: (text: string) => void) => (chunk: string | Uint8Array) => {
    add(String(chunk));
    return true;
  };
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation(
    take((text) => {
      out += text;
    }),
  );
  const stderr = vi.spyOn(process.stderr, 'write').mockImplementation(
    take((text) => {
      err += text;
    }),
  );
  try {
    const code = await runProgram(PROGRAM, args);
    return { code, out, err };
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
  }
}
