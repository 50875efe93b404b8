/** Work that waits for its turn. `run` does it; `drop` is called instead if the queue sheds it. */
export interface Job {
  run(): Promise<void>;
  drop(): void;
}

/** A bounded queue with two priorities before the expensive part of a handshake; suspect sources have the low one. */
export interface WorkQueue {
  /** Queues a job; drops it at once if the queue of its priority is full. */
  add(suspect: boolean, job: Job): void;
  /** True if a new handshake should be refused before it has cost anything. */
  congested(suspect: boolean): boolean;
  /** Drops all jobs that wait. */
  dropWaiting(): void;
  /** Jobs waiting or running. */
  readonly load: number;
}

export interface QueueOptions {
  /** Jobs running at the same time: enough to fill the batches of all groups, few enough to choose late. */
  readonly running?: number;
  /** Below so many running jobs the server has time for suspects. */
  readonly idle?: number;
  /** Jobs that may wait, by priority. */
  readonly waiting?: { readonly normal: number; readonly suspect: number };
  /** A suspect's job that waited longer is dropped. */
  readonly maxWaitMs?: number;
  readonly now: () => number;
}

const RUNNING = 192;
const IDLE = 16;
const WAITING = { normal: 2_048, suspect: 256 };
/** Beyond this share of the normal queue new handshakes are refused before the device has done any work. */
const CONGESTED = 0.25;
const MAX_WAIT_MS = 5_000;

/**
 * The normal queue is served first and oldest first: a device that waits there has let its TPM work for it, and a bounded
 * queue is served in time; what is refused are new handshakes, before they have cost anything. Suspects are served when the
 * server has little to do, and else refused at their first message: a flood of forgeries costs one Error each.
 */
export function workQueue(options: QueueOptions): WorkQueue {
  const { running: most = RUNNING, idle = IDLE, waiting = WAITING, maxWaitMs = MAX_WAIT_MS, now } = options;
  const normal = fifo<Job>();
  const suspects = fifo<{ job: Job; since: number }>();
  let running = 0;

  function next(): Job | undefined {
    const job = normal.shift();
    if (job !== undefined) return job;
    while (running < idle) {
      const each = suspects.shift();
      if (each === undefined) return undefined;
      if (now() - each.since < maxWaitMs) return each.job;
      each.job.drop();
    }
    return undefined;
  }

  function serve(): void {
    while (running < most) {
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
    add(suspect, job) {
      const length = suspect ? suspects.length : normal.length;
      if (length >= (suspect ? waiting.suspect : waiting.normal)) {
        job.drop();
        return;
      }
      if (suspect) suspects.push({ job, since: now() });
      else normal.push(job);
      serve();
    },
    congested: (suspect) =>
      suspect
        ? normal.length > 0 || running + suspects.length >= idle
        : normal.length >= waiting.normal * CONGESTED,
    dropWaiting() {
      for (let job = normal.shift(); job !== undefined; job = normal.shift()) job.drop();
      for (let each = suspects.shift(); each !== undefined; each = suspects.shift()) each.job.drop();
    },
    get load() {
      return running + normal.length + suspects.length;
    },
  };
}

/** First in, first out, without moving the rest at each step. */
function fifo<T>(): { push(item: T): void; shift(): T | undefined; readonly length: number } {
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
