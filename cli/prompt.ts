import { Failure } from '../protocol/failure.ts';

const ENTER = [0x0d, 0x0a];
const CANCEL = [0x03, 0x04];
const BACKSPACE = [0x08, 0x7f];
const MAX_LINE = 1024;

/** True if standard input is a terminal, so that a person can answer. */
export function hasTerminal(): boolean {
  return process.stdin.isTTY === true;
}

/**
 * Asks for a line on the terminal without showing it; the prompt goes to stderr. The caller wipes the bytes.
 * @throws Failure `os.no-terminal` without one, `os.cancelled` on Ctrl-C or Ctrl-D
 */
export async function askHidden(prompt: string): Promise<Uint8Array> {
  const input = process.stdin;
  if (!hasTerminal()) {
    throw new Failure('os.no-terminal', 'operator', 'a secret has to be typed, and there is no terminal', {
      action: 'Give it in a file, or run the command on a terminal.',
    });
  }
  // Before the prompt, so that nothing typed as it appears is echoed.
  input.setRawMode(true);
  process.stderr.write(prompt);
  const line = Buffer.alloc(MAX_LINE);
  let length = 0;
  try {
    for await (const chunk of input.iterator({ destroyOnReturn: false })) {
      for (const byte of chunk as Buffer) {
        if (ENTER.includes(byte)) return new Uint8Array(line.subarray(0, length));
        if (CANCEL.includes(byte)) throw new Failure('os.cancelled', 'operator', 'cancelled on the terminal');
        if (BACKSPACE.includes(byte)) length = lastCharacter(line, length);
        else if (length < MAX_LINE) line[length++] = byte;
      }
      (chunk as Buffer).fill(0);
    }
    throw new Failure('os.cancelled', 'operator', 'the terminal was closed');
  } finally {
    line.fill(0);
    input.setRawMode(false);
    input.pause();
    process.stderr.write('\n');
  }
}

/** Where the last character before `end` begins: UTF-8 continuation bytes belong to the one before them. */
function lastCharacter(line: Uint8Array, end: number): number {
  let start = Math.max(0, end - 1);
  while (start > 0 && (line[start]! & 0xc0) === 0x80) start--;
  return start;
}

/** The lines that come on standard input, typed or from a scanner that acts as a keyboard. */
export interface InputLines {
  /** The next line, or undefined if there are no more. */
  next(): Promise<string | undefined>;
  /** Takes the next line if it is there already and nothing is in it. */
  takeEmpty(): boolean;
  close(): void;
}

export function inputLines(): InputLines {
  const input = process.stdin;
  const ready: string[] = [];
  const waiting: ((line: string | undefined) => void)[] = [];
  let rest = '';
  let ended = false;
  const onData = (chunk: string): void => {
    const parts = (rest + chunk).split(/\r\n|\n|\r/);
    rest = parts.pop()!.slice(0, MAX_LINE);
    for (const line of parts) {
      const taker = waiting.shift();
      if (taker !== undefined) taker(line);
      // Nobody types that far ahead.
      else if (ready.length < MAX_LINE) ready.push(line);
    }
  };
  const onEnd = (): void => {
    ended = true;
    for (const taker of waiting.splice(0)) taker(undefined);
  };
  input.setEncoding('utf8').on('data', onData).once('end', onEnd).resume();
  return {
    next: () => {
      const line = ready.shift();
      if (line !== undefined || ended) return Promise.resolve(line);
      return new Promise((settle) => waiting.push(settle));
    },
    takeEmpty() {
      const empty = ready[0]?.trim() === '';
      if (empty) ready.shift();
      return empty;
    },
    close() {
      input.off('data', onData).off('end', onEnd).pause();
      onEnd();
    },
  };
}

/** Asks for a line on the terminal, which is shown; the prompt goes to stderr. @throws Failure `os.no-terminal`, `os.cancelled` */
export async function askLine(prompt: string): Promise<string> {
  if (!hasTerminal()) {
    throw new Failure(
      'os.no-terminal',
      'operator',
      'a question has to be answered, and there is no terminal',
      {
        action: 'Give the answer as an option ("--help" names it), or run the command on a terminal.',
      },
    );
  }
  process.stderr.write(prompt);
  const lines = inputLines();
  try {
    const line = await lines.next();
    if (line !== undefined) return line.trim();
    throw new Failure('os.cancelled', 'operator', 'the terminal was closed');
  } finally {
    lines.close();
  }
}
