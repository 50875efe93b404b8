import { type Failure, isFailure } from '../protocol/failure.ts';

/** The Failure that the work ends with; undefined: it ends well. Whatever else is thrown fails the test. */
export function failureOf(work: () => unknown): Failure | undefined {
  try {
    work();
  } catch (error) {
    if (isFailure(error)) return error;
    throw error;
  }
  return undefined;
}

/** The code of that Failure, or `accepted`. */
export const refusal = (work: () => unknown): string => failureOf(work)?.code ?? 'accepted';

/** The Failure that the work has to end with. */
export function refused(work: () => unknown): Failure {
  const failure = failureOf(work);
  if (failure === undefined) throw new Error('was accepted');
  return failure;
}
