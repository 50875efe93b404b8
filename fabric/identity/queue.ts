import { backlog } from './backlog.ts';

/** Work that waits for its turn. `run` does it; `drop` is called instead if the queue sheds it. */
export interface Job {
  run(): Promise<void>;
  drop(): void;
}

/** A bounded queue with two priorities before the expensive part of a handshake; suspect sources have the low one. */
export interface WorkQueue {
  /** Queues a job of a source. If the queue of its priority is full, one is dropped: of the normal ones the newest of the most crowded prefix. */
  add(suspect: boolean, job: Job, source?: string): void;
  /** True if a new handshake of this source should be refused before it has cost anything. */
  congested(suspect: boolean, source?: string): boolean;
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

/** What holds unless the options say something else. */
export const RUNNING = 192;
const IDLE = 16;
export const WAITING = { normal: 2_048, suspect: 256 };
/**
 * Beyond the first share of the normal queue new handshakes of the most crowded prefix are refused before the device has done any
 * work, beyond the second those of all.
 */
export const CONGESTED = { crowded: 0.25, all: 0.75 };
/** Whoever gives no source shares one. */
const NO_SOURCE = 'unknown';
const MAX_WAIT_MS = 5_000;

/**
 * The normal queue is served first and oldest first: a device that waits there has let its TPM work for it, and a bounded
 * queue is served in time; what is refused are new handshakes, before they have cost anything, those of crowded prefixes first. Suspects are served when the
 * server has little to do, and else refused at their first message: a flood of forgeries costs one Error each.
 */
export function workQueue(options: QueueOptions): WorkQueue {
  const { running: most = RUNNING, idle = IDLE, waiting = WAITING, maxWaitMs = MAX_WAIT_MS, now } = options;
  const normal = backlog<Job>();
  const suspects = fifo<{ job: Job; since: number }>();
  let running = 0;

  function next(): Job | undefined {
    const job = normal.oldest;
    if (job !== undefined) {
      normal.remove(job);
      return job;
    }
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

  function addSuspect(job: Job): void {
    if (suspects.length >= waiting.suspect) job.drop();
    else suspects.push({ job, since: now() });
  }

  function addNormal(job: Job, source: string): void {
    normal.add(job, source);
    if (normal.count <= waiting.normal) return;
    const payer = normal.crowded('newest')!;
    normal.remove(payer);
    payer.drop();
  }

  return {
    add(suspect, job, source = NO_SOURCE) {
      if (suspect) addSuspect(job);
      else addNormal(job, source);
      serve();
    },
    congested(suspect, source = NO_SOURCE) {
      if (suspect) return normal.count > 0 || running + suspects.length >= idle;
      const share = normal.count / waiting.normal;
      return share >= CONGESTED.all || (share >= CONGESTED.crowded && normal.isCrowded(source));
    },
    dropWaiting() {
      for (let job = normal.oldest; job !== undefined; job = normal.oldest) {
        normal.remove(job);
        job.drop();
      }
      for (let each = suspects.shift(); each !== undefined; each = suspects.shift()) each.job.drop();
    },
    get load() {
      return running + normal.count + suspects.length;
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
