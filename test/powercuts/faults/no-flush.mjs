// The registry never flushes its log by itself, as with SQLite's "synchronous = OFF".
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

fs.fdatasync = (_, done) => setImmediate(done, null);
fs.fdatasyncSync = () => {};
syncBuiltinESMExports();
