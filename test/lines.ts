/** For how many events these lines of a log stand: a line may end with "(and 529 more like it in 60 s)". */
export function eventsIn(lines: readonly string[]): number {
  return lines.reduce(
    (sum, line) => sum + 1 + Number(/ \(and (\d+) more like it in 60 s\)$/.exec(line)?.[1] ?? 0),
    0,
  );
}

/** Lines about one subject and of one kind that ten minutes may have: tests of a thousand events take less on the slowest machine. */
export const FEW_LINES = 50;
