import { LOOKED_UP_AT_ONCE } from '../../registry/admission.ts';

/** Whose an address (16 bytes) is, asked by one of the router's threads. */
export interface Question {
  readonly thread: number;
  readonly address: Uint8Array;
}

/** Answers the questions of the router's threads. */
export interface Answers {
  ask(question: Question): void;
  close(): void;
}

/** The next questions wait so much longer than the last ones took: whatever devices send, and however slowly the registry answers, four fifths of the time are for others. */
const PAUSE = 4;
/** But no longer than this, in milliseconds. */
const LONGEST_PAUSE_MS = 5_000;

/** Has questions answered together: those of one turn of the event loop, or of the pause after those before them. */
export function answersTogether(answer: (questions: readonly Question[]) => void): Answers {
  let waiting: Question[] = [];
  let pausedUntil = Number.NEGATIVE_INFINITY;
  let immediate: NodeJS.Immediate | undefined;
  let timer: NodeJS.Timeout | undefined;

  function schedule(): void {
    if (immediate !== undefined || timer !== undefined) return;
    const pause = pausedUntil - performance.now();
    if (pause <= 0) immediate = setImmediate(answerSome);
    else timer = setTimeout(answerSome, pause);
  }

  function answerSome(): void {
    [immediate, timer] = [undefined, undefined];
    const began = performance.now();
    const questions = waiting.slice(0, LOOKED_UP_AT_ONCE);
    waiting = waiting.slice(LOOKED_UP_AT_ONCE);
    answer(questions);
    const now = performance.now();
    pausedUntil = now + Math.min(PAUSE * (now - began), LONGEST_PAUSE_MS);
    if (waiting.length > 0) schedule();
  }

  return {
    ask(question) {
      waiting.push(question);
      schedule();
    },
    close() {
      waiting = [];
      clearImmediate(immediate);
      clearTimeout(timer);
    },
  };
}
