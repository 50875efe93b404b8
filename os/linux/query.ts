import { execFile } from 'node:child_process';

/** What a program printed. */
export interface Output {
  readonly code: number;
  readonly text: string;
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const LONGEST = 4_194_304;

/**
 * Runs a program of the system that only tells something, in the C locale. Undefined if it is not installed, or has not
 * ended in `timeoutMs`.
 */
export function runQuery(
  program: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<Output | undefined> {
  return new Promise((resolve) => {
    execFile(
      program,
      [...args],
      { env: { PATH, LC_ALL: 'C' }, timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: LONGEST },
      (error, text) => {
        const code = error?.code;
        if (error === null) resolve({ code: 0, text });
        else resolve(typeof code === 'number' ? { code, text } : undefined);
      },
    );
  });
}

/** The same where the program prints JSON; undefined also if it does not. */
export async function queryJson(
  program: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<unknown> {
  const output = await runQuery(program, args, timeoutMs);
  if (output === undefined || output.code !== 0) return undefined;
  try {
    return JSON.parse(output.text);
  } catch {
    return undefined;
  }
}
