/** Columns padded to their widest cell, with a header; `none` if there is no row. */
export function table(header: readonly string[], rows: readonly (readonly string[])[], none: string): string {
  return rows.length === 0 ? none : growingTable(header)(rows);
}

/**
 * A table that is printed part by part: the first part begins with the header, and the columns are as wide as the
 * widest cell so far.
 */
export function growingTable(header: readonly string[]): (rows: readonly (readonly string[])[]) => string {
  const widths = header.map(() => 0);
  let begun = false;
  return (rows) => {
    const shown = begun ? rows : [header, ...rows];
    begun = true;
    for (const row of shown)
      row.forEach((cell, i) => {
        widths[i] = Math.max(widths[i]!, cell.length);
      });
    return shown
      .map((row) =>
        row
          .map((cell, i) => cell.padEnd(widths[i]!))
          .join('  ')
          .trimEnd(),
      )
      .join('\n');
  };
}

/** Milliseconds since 1970 as text to the second, UTC. */
export function timeText(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}
