/** Runs `look` at once and again after each pause, until Ctrl-C or SIGTERM, or until it fails. */
export async function untilInterrupted(pauseMs: number, look: () => Promise<void>): Promise<void> {
  let wake = (): void => {};
  let over = false;
  const stop = (): void => {
    over = true;
    wake();
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    while (!over) {
      await look();
      if (over) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pauseMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

/** Prints a text in place of the previous one; without a terminal, or with `append`, below it. */
export function repaint(text: string, append = false): void {
  const clear = process.stdout.isTTY && !append ? '\x1b[H\x1b[2J' : '';
  process.stdout.write(`${clear}${text}\n`);
}
