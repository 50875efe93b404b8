/** One line for each thing that a demo does: what, how long it took, and what came of it. */
export async function step<T>(title: string, act: () => Promise<readonly [T, string]>): Promise<T> {
  process.stdout.write(`${title.padEnd(46, ' ')} `);
  const before = performance.now();
  const [value, said] = await act();
  process.stdout.write(`${((performance.now() - before) / 1000).toFixed(1).padStart(5)} s   ${said}\n`);
  return value;
}
