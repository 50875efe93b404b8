import type { Command } from '../../../cli/program.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { type CopyProgress, moveRegistry } from '../../open-registry.ts';
import { askRunning } from '../../operations/running.ts';
import { pathOf } from '../../pki/files.ts';
import { DATA, operator } from '../common/context.ts';
import { progressOf } from '../common/progress.ts';
import { requireHere } from '../common/remote.ts';

const registryMove: Command = {
  name: 'registry move',
  summary:
    'Moves the registry to PostgreSQL, to the server whose address is in the file (docs/scale.md), and verifies it there; the same again goes on after an interruption.',
  arguments: '<file>',
  options: [DATA],
  examples: [
    'enf-fabric registry move /root/registry.url',
    'enf-fabric registry move /root/registry.url --json',
  ],
  async run(invocation) {
    requireHere(invocation, DATA);
    const data = invocation.required('data');
    await requireStopped(data);
    const moved = await moveRegistry(
      pathOf(data, 'registry'),
      invocation.positionals[0]!,
      progressOfCopy(invocation),
    );
    const { head, networks, groups, devices, rows, written } = moved;
    const view = {
      audit: { entries: head.seq, head: toHex(head.hash) },
      networks,
      groups,
      devices,
      rows,
      written,
    };
    invocation.print(
      view,
      () =>
        `The registry is on the server: networks ${networks}, groups ${groups}, devices ${devices}; ${rows} rows, ${written} of them written now\n` +
        `Audit head ${head.seq}:${toHex(head.hash)}`,
    );
    return undefined;
  },
};

export const registryCommands: readonly Command[] = [registryMove];

/** Nobody may change the registry meanwhile. @throws Failure `fabric.running` */
async function requireStopped(data: string): Promise<void> {
  const reply = await askRunning(pathOf(data, 'control'), 'network-list', {
    actor: operator(),
    input: { limit: 1 },
  });
  if (reply === undefined) return;
  throw new Failure('fabric.running', 'operator', 'the fabric runs on this data folder', {
    action: 'Stop it first ("systemctl stop enf-fabric").',
  });
}

/** Rows between two lines of progress. */
const TOLD = 50_000;

function progressOfCopy(invocation: Parameters<typeof progressOf>[0]): CopyProgress {
  const progress = progressOf(invocation);
  let table = { name: '', rows: 0, copied: 0 };
  return {
    table(name, count) {
      const rows = count();
      table = { name, rows, copied: 0 };
      if (rows >= TOLD) progress.step(`copying ${name}: ${rows} rows`);
    },
    copied(rows) {
      const before = Math.floor(table.copied / TOLD);
      table.copied += rows;
      if (Math.floor(table.copied / TOLD) > before && table.copied < table.rows)
        progress.step(`copying ${table.name}: ${table.copied} of ${table.rows} rows`);
    },
    verifying: () => progress.step('verifying the audit trail'),
  };
}
