/** The addon's part for files. A bad argument is a TypeError; what the kernel refuses is an Error with the errno's name as `code`. */
export interface FilesFace {
  /**
   * Locks what the descriptor has open, a file or a folder, for that opening alone (flock(2)), until it is closed or the program ends. False if another
   * opening has the lock, of this program or another one; never waits.
   * @throws Error EBADF; ENOLCK, EOPNOTSUPP or ENOSYS where the file system has no locks
   */
  fileLock(descriptor: number): boolean;
}
