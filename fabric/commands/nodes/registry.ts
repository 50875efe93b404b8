import type { Command, Option } from '../../../cli/program.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { type CopyProgress, migrateRegistry, moveRegistry } from '../../open-registry.ts';
import { askRunning } from '../../operations/running.ts';
import { pathOf } from '../../pki/files.ts';
import { grantsScript, isRoleName, ROLES, type Role } from '../../registry/postgres/schema/grants.ts';
import { DATA, operator } from '../common/context.ts';
import { progressOf } from '../common/progress.ts';
import { requireHere } from '../common/remote.ts';

/** Whose user of the database a role is for. */
const WHOSE: Readonly<Record<Role, string>> = {
  identity: 'identity servers',
  router: 'routers',
  console: 'nodes that serve the console',
};

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

const registryMigrate: Command = {
  name: 'registry migrate',
  summary:
    'Brings the schema of a registry on PostgreSQL up to date as its owner, whose address is in the file, and gives the roles of nodes their rights anew; for nodes whose users are not its owner.',
  arguments: '<file>',
  examples: ['enf-fabric registry migrate /root/registry-owner.url'],
  async run(invocation) {
    const { before, version, roles } = await migrateRegistry(invocation.positionals[0]!);
    const names = Object.values(roles);
    invocation.print(
      { before, version, roles },
      () =>
        `${before === version ? `The registry has schema ${version} already` : `The registry has schema ${version}, and had ${before}`}; ` +
        (names.length === 0 ? 'no roles were given rights' : `rights were given anew to ${names.join(', ')}`),
    );
    return undefined;
  },
};

const ROLE_OPTIONS: readonly Option[] = ROLES.map((role) => ({
  name: role,
  value: 'ROLE',
  help: `the role in the database of ${WHOSE[role]}`,
}));

const registryGrants: Command = {
  name: 'registry grants',
  summary:
    'Prints SQL that gives roles of PostgreSQL what nodes of each duty need of the registry, and no more (docs/scale.md); for psql as its owner.',
  options: ROLE_OPTIONS,
  examples: [
    'enf-fabric registry grants --identity enf_identity --router enf_router --console enf_console | psql -v ON_ERROR_STOP=1 -d enf',
  ],
  async run(invocation) {
    const names = Object.fromEntries(
      ROLES.flatMap((role) => {
        const name = invocation.option(role);
        return name === undefined ? [] : [[role, roleName(role, name)]];
      }),
    );
    if (Object.keys(names).length === 0)
      throw new Failure('cli.bad-value', 'operator', 'no role is given', {
        action: `Give at least one of ${ROLES.map((role) => `--${role}`).join(', ')}.`,
      });
    const sql = grantsScript(names);
    invocation.print({ sql }, () => sql);
    return undefined;
  },
};

function roleName(role: Role, name: string): string {
  if (isRoleName(name)) return name;
  throw new Failure(
    'cli.bad-value',
    'operator',
    `--${role}: expected the name of a role of its own, of small letters, digits and "_", got ${name}`,
    { action: `Make a role with such a name: createuser enf_${role}.` },
  );
}

export const registryCommands: readonly Command[] = [registryMove, registryMigrate, registryGrants];

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
