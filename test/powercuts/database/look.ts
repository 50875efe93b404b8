import { chmod, cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SERVERS_FILE } from '../../../fabric/registry/postgres/servers.ts';
import { forgotten } from '../expectations.ts';
import { registered } from '../look.ts';
import type { Look } from '../replay.ts';
import { serveFolder } from '../serving.ts';
import { type Founded, headOf, serversFolder } from './record.ts';
import { startInFolder, unsound, urlOf } from './server.ts';

/** What is wrong with a server whose power was cut, and with the fabric that it has the registry of. */
export const lookAtServer =
  ({ fabric }: Founded): Look =>
  async (folder, { marks, around }) => {
    await chmod(folder, 0o711);
    const sockets = serversFolder(folder, 'sockets');
    const data = join(folder, 'fabric');
    await cp(fabric, data, { recursive: true });
    await writeFile(join(data, SERVERS_FILE), urlOf(sockets), { mode: 0o600 });
    // What the fabric's own host had noted by then; all else in that folder has not changed.
    for (const head of around.values()) {
      await rm(headOf(data), { force: true });
      if (head !== undefined) await writeFile(headOf(data), head, { mode: 0o600 });
    }
    // In another folder it is another node, and the former one has not been silent for long.
    const config = join(data, 'fabric.toml');
    await writeFile(config, '[node]\nname = "after"\n');
    const server = await startInFolder(join(folder, 'data'), sockets);
    try {
      const wrong = unsound(sockets);
      const serving = await serveFolder(data, {}, ['--config', config]);
      try {
        return [...wrong, ...forgotten(marks, await registered(serving))];
      } finally {
        await serving.kill();
      }
    } finally {
      await server.kill();
    }
  };
