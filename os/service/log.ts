/** Levels of journald, by their syslog number. */
export type Level = 'error' | 'warning' | 'notice' | 'info' | 'debug';

const NUMBERS: Record<Level, number> = { error: 3, warning: 4, notice: 5, info: 6, debug: 7 };

/** One line per transition, never per attempt; never a key, identities only as addresses. `cause`: the error that the line is about. */
export interface Log {
  (level: Level, message: string, cause?: unknown): void;
  /** True of a cause whose lines it counts itself, as they come: so none is to be held back, and that it is over is not to be said. */
  readonly counts?: (cause: unknown) => boolean;
}

/**
 * A log to stderr: with `<N>` prefixes under journald, with the time on a terminal.
 * `threshold` is the least important level still written.
 */
export function stderrLog(threshold: Level = 'info'): Log {
  const journal = process.env.JOURNAL_STREAM !== undefined;
  return (level, message) => {
    if (NUMBERS[level] > NUMBERS[threshold]) return;
    const line = message.replace(/\n/g, ' ⏎ ');
    process.stderr.write(
      journal ? `<${NUMBERS[level]}>${line}\n` : `${new Date().toISOString()} ${level.padEnd(7)} ${line}\n`,
    );
  };
}
