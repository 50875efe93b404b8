/** What waits for its turn. `run` does the work; `drop` is called instead if there is none to be had. */
export interface Job {
  run(): Promise<void>;
  drop(): void;
}

/** Two queues before the expensive part of a handshake: one for everybody, one for suspects. */
export interface Lanes {
  /** Queues a job; drops it at once if its lane is full. */
  enter(suspect: boolean, job: Job): void;
  /** True if a newcomer had better come back later. */
  crowded(suspect: boolean): boolean;
  /** Drops what waits. */
  dismiss(): void;
  /** Jobs waiting or running. */
  readonly load: number;
}

export interface LaneOptions {
  /** Jobs running at the same time: enough to fill the batches of all groups, few enough to choose late. */
  readonly running?: number;
  /** Below so many running jobs the server has time for suspects. */
  readonly idle?: number;
  /** Jobs that wait in the lane for everybody, in that for suspects. */
  readonly waiting?: { readonly everybody: number; readonly suspects: number };
  /** A suspect's job that waited longer is dropped. */
  readonly patienceMs?: number;
  readonly now: () => number;
}

const RUNNING = 192;
const IDLE = 16;
const WAITING = { everybody: 2_048, suspects: 256 };
/** Beyond this share of a lane newcomers are sent away before they have done any work. */
const CROWDED = 0.25;
const PATIENCE_MS = 5_000;

/**
 * Everybody's lane is served first and oldest first: whoever waits there has let its TPM work for it, and a queue that is
 * bounded is answered in time; it is the newcomer that is sent away, before it did anything. Suspects are served when
 * the server has little to do, and else sent away at their hello: a flood of forgeries costs one Error each.
 */
export function lanes(options: LaneOptions): Lanes {
  const {
    running: places = RUNNING,
    idle = IDLE,
    waiting = WAITING,
    patienceMs = PATIENCE_MS,
    now,
  } = options;
  const everybody = queue<Job>();
  const suspects = queue<{ job: Job; since: number }>();
  let running = 0;

  function next(): Job | undefined {
    const job = everybody.shift();
    if (job !== undefined) return job;
    while (running < idle) {
      const each = suspects.shift();
      if (each === undefined) return undefined;
      if (now() - each.since < patienceMs) return each.job;
      each.job.drop();
    }
    return undefined;
  }

  function serve(): void {
    while (running < places) {
      const job = next();
      if (job === undefined) return;
      running++;
      void job.run().finally(() => {
        running--;
        serve();
      });
    }
  }

  return {
    enter(suspect, job) {
      const lane = suspect ? suspects : everybody;
      if (lane.length >= (suspect ? waiting.suspects : waiting.everybody)) {
        job.drop();
        return;
      }
      if (suspect) suspects.push({ job, since: now() });
      else everybody.push(job);
      serve();
    },
    crowded: (suspect) =>
      suspect
        ? everybody.length > 0 || running + suspects.length >= idle
        : everybody.length >= waiting.everybody * CROWDED,
    dismiss() {
      for (let job = everybody.shift(); job !== undefined; job = everybody.shift()) job.drop();
      for (let each = suspects.shift(); each !== undefined; each = suspects.shift()) each.job.drop();
    },
    get load() {
      return running + everybody.length + suspects.length;
    },
  };
}

/** First in, first out, without moving the rest at each step. */
function queue<T>(): { push(item: T): void; shift(): T | undefined; readonly length: number } {
  let items: (T | undefined)[] = [];
  let head = 0;
  return {
    push: (item) => {
      items.push(item);
    },
    shift() {
      if (head === items.length) return undefined;
      const item = items[head];
      items[head++] = undefined;
      if (head > 1_024 && head * 2 > items.length) {
        items = items.slice(head);
        head = 0;
      }
      return item;
    },
    get length() {
      return items.length - head;
    },
  };
}
