/** Group commit: jobs that wait are committed together, and each is answered once it is on the disk. */
export interface CommitQueue {
  /** Runs `job` in a savepoint of the next commit. A job that throws is undone alone; the others are committed. */
  submit<T>(job: () => T): Promise<T>;
  /** Commits what is waiting now, waits for the disk, and ends. */
  close(): Promise<void>;
}
