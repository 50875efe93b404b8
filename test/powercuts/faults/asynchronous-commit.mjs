// The registry answers before PostgreSQL has its log on the disk, as with "synchronous_commit = off".
import { syncBuiltinESMExports } from 'node:module';
import threads from 'node:worker_threads';

threads.Worker = class extends threads.Worker {
  constructor(file, options) {
    const settings = options.workerData?.settings?.replace('synchronous_commit=on', 'synchronous_commit=off');
    super(file, { ...options, workerData: { ...options.workerData, ...(settings && { settings }) } });
  }
};
syncBuiltinESMExports();
