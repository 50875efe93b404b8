/** What was expected instead. */
export interface Refusal {
  readonly expected: string;
}

/** A value is refused: what was expected instead. */
export const refuse = (expected: string): Refusal => ({ expected });
export const isRefusal = (value: unknown): value is Refusal =>
  typeof value === 'object' && value !== null && 'expected' in value;
