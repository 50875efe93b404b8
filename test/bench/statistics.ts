/** The middle of the values, the mean of the two middle ones of an even number; undefined without any. */
export function median(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** How far the values lie apart: (largest − smallest) ÷ median; undefined below two values. */
export function spread(values: readonly number[]): number | undefined {
  const middle = median(values);
  if (values.length < 2 || middle === undefined || middle === 0) return undefined;
  return (Math.max(...values) - Math.min(...values)) / middle;
}
