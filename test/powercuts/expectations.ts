/**
 * What clients of a fabric were told, as marks of a recording, and what of it has to be found again after a power cut. A subject is what
 * they know something of ("standing fd00::1"), a value what they know ("banned").
 */

/** A client asks for a change: from now on the new value may be found, and need not. Without a value it will be a new one. */
export const asked = (subject: string, value = ANY): string => JSON.stringify(['asked', subject, value]);

/** A client was told that it is so: nothing older may be found any more. */
export const told = (subject: string, value: string): string => JSON.stringify(['told', subject, value]);

/** Of a subject: what may be found, and what was true once. */
export interface Expectation {
  readonly acceptable: ReadonlySet<string>;
  readonly former: ReadonlySet<string>;
}

const ANY = '*';

/** What has to be found after these marks; of subjects of which nobody was told anything, nothing. */
export function expectationsOf(marks: readonly string[]): ReadonlyMap<string, Expectation> {
  const all = new Map<string, { acceptable: Set<string>; former: Set<string> }>();
  for (const mark of marks) {
    const [kind, subject, value] = JSON.parse(mark) as ['asked' | 'told', string, string];
    const { acceptable = [], former = [] } = all.get(subject) ?? {};
    if (kind === 'told')
      all.set(subject, { acceptable: new Set([value]), former: new Set([...former, ...acceptable]) });
    else all.get(subject)?.acceptable.add(value);
  }
  return all;
}

/** The subjects in which what was found is not what clients were told; a sentence for each. */
export function forgotten(marks: readonly string[], found: ReadonlyMap<string, string>): string[] {
  return [...expectationsOf(marks)].flatMap(([subject, { acceptable, former }]) => {
    const value = found.get(subject);
    const isNew = value !== undefined && acceptable.has(ANY) && !former.has(value);
    if (isNew || (value !== undefined && acceptable.has(value))) return [];
    return [`${subject}: ${value ?? 'nothing'} in place of ${[...acceptable].join(' or ')}`];
  });
}
