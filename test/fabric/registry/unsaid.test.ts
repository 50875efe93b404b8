import SQLite from 'better-sqlite3';
import { opened, registryFile } from '../place.ts';
import { unsaidContract } from './contract/nodes/unsaid.ts';

unsaidContract('SQLite', async () => {
  const path = registryFile();
  return {
    open: async (options) => opened(path, options),
    async lock() {
      const db = new SQLite(path);
      db.exec('BEGIN IMMEDIATE');
      return async () => void db.close();
    },
  };
});
