export interface Requirement {
  readonly id: string;
  readonly text: string;
  /** Why no test is needed; empty if one is. */
  readonly reason: string;
}
export interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}
export interface Row extends Requirement {
  readonly result: 'passed' | 'failed' | 'not run' | 'no test needed' | 'uncovered';
  readonly tests: readonly { readonly file: string; readonly name: string; readonly result: string }[];
}
export function readRequirements(markdown: string): Requirement[];
export function idsIn(name: string): string[];
export function cover(requirements: readonly Requirement[], reports: readonly Report[]): Row[];
export function unknownIds(requirements: readonly Requirement[], reports: readonly Report[]): string[];
export function describe(rows: readonly Row[]): string;
