import { open } from 'node:fs/promises';
import { openGroup, unlockIssuer } from '../../../factory/group/group.ts';
import { readTrust } from '../../../factory/operations.ts';
import { openEnrolment } from '../../../factory/station/enrolment.ts';
import { openIdentity } from '../../../factory/station/identity.ts';
import { serveBoards } from '../../../factory/station/serve.ts';

/** A station that kills itself after so many writes to its disk, flushes included: as a power cut does, nothing of it goes on. */
const [folder, trustFile, identityFolder, writes] = process.argv.slice(2) as [string, string, string, string];
let left = Number.POSITIVE_INFINITY;

const handle = await open(trustFile);
const methods = Object.getPrototypeOf(handle) as Record<string, (...given: unknown[]) => Promise<unknown>>;
await handle.close();
for (const name of ['write', 'writev', 'writeFile', 'appendFile', 'truncate', 'sync', 'datasync']) {
  const write = methods[name]!;
  methods[name] = async function (this: unknown, ...given) {
    const result = await write.apply(this, given);
    if (--left === 0) process.kill(process.pid, 'SIGKILL');
    return result;
  };
}

const group = await openGroup(folder);
const trust = await readTrust(trustFile);
const endorsement = { authorities: [], required: false };
const shared = { group, trust, boards: 4, now: () => new Date() };
const enrolment = openEnrolment({
  ...{ ...shared, endorsement, recordEk: false, operator: { station: 'killed' } },
  issuerSecret: await unlockIssuer(group, () => Promise.reject(new Error('nobody is to be asked'))),
});
const { port } = await serveBoards({
  ...{ ...shared, enrolment, emit: () => {}, wantsCertificate: false },
  identity: await openIdentity(identityFolder),
  address: { host: '127.0.0.1', port: 0 },
});
left = Number(writes);
process.send!(port);
