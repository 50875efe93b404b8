import type { Command, Invocation } from '../../cli/program.ts';
import { Failure } from '../../protocol/failure.ts';
import { isRole, ROLES, type Role } from '../access/roles.ts';
import { askConsole } from '../operations/news.ts';
import {
  invitePerson,
  listInvites,
  listPeople,
  removePerson,
  setPersonRole,
  withdrawInvite,
} from '../operations/people/people.ts';
import type { PersonView } from '../operations/views/people.ts';
import { pathOf } from '../pki/files.ts';
import { requireYes, YES } from './common/confirm.ts';
import { OWNED, withFabric } from './common/context.ts';
import { AFTER, ALL, CSV, LIMIT, printList, when } from './common/list.ts';
import { consoleAt, parseOrigin } from './common/origin.ts';
import { remoteOf } from './common/remote.ts';
import { CONFIG, readConfig } from './common/settings.ts';

export const consoleInvite: Command = {
  name: 'console invite',
  summary: 'Prints the address at which one person may come in and choose a password. It is shown once.',
  options: [
    { name: 'role', value: 'ROLE', help: `what the person may do: ${ROLES.join(', ')}`, default: 'owner' },
    { name: 'hours', value: 'N', help: 'how long it holds, 1 to 168 hours', default: '1' },
    {
      name: 'login',
      value: 'LOGIN',
      help: 'also whoever the OpenID issuer calls so, such as anna@example.org, without the address',
    },
    {
      name: 'url',
      value: 'URL',
      help: 'where browsers find the console (that of --api, else of the console that runs, else of the configuration)',
    },
    CONFIG,
    ...OWNED,
  ],
  examples: [
    'enf-fabric console invite',
    'enf-fabric console invite --role operator --hours 24 --login anna@example.org',
    'enf-fabric console invite --role installer --hours 24 --url https://console.example',
  ],
  async run(invocation) {
    const role = roleOf(invocation.required('role'));
    const hours = invocation.required('hours');
    if (!/^\d{1,3}$/.test(hours)) throw badOption(`--hours expects 1 to 168, got ${JSON.stringify(hours)}`);
    const url = parseOrigin('url', invocation.option('url')) ?? (await consoleOf(invocation));
    const view = await withFabric(invocation, (fabric) =>
      fabric.run(invitePerson, { role, hours: Number(hours), login: invocation.option('login') }),
    );
    // Behind the "#" the invite reaches no server and no log before it is used.
    const address = `${url}/#/setup/${view.invite}`;
    invocation.print(
      { ...view, address },
      () => `${address}\n\nFor one person, as ${view.role}, until ${when(view.expires)}; shown this once.`,
    );
    return undefined;
  },
};

/** Where browsers find the console of the fabric that an invitation is for. */
async function consoleOf(invocation: Invocation): Promise<string> {
  const remote = await remoteOf(invocation);
  if (remote !== undefined) return remote.url.origin;
  const running = await askConsole(pathOf(invocation.required('data'), 'control'));
  return running ?? consoleAt((await readConfig(invocation)).console);
}

const personList: Command = {
  name: 'person list',
  summary: 'Lists the people who sign in at the console.',
  options: [LIMIT, AFTER, ALL, CSV, ...OWNED],
  examples: ['enf-fabric person list'],
  async run(invocation) {
    await withFabric(invocation, (fabric) =>
      printList(invocation, fabric, listPeople, {
        header: ['ID', 'NAME', 'ROLE', 'SINCE', 'INVITED BY', 'SIGNED IN', 'PASSKEYS'],
        cells: ({ id, name, role, owners, created, createdBy, signedIn, removed, passkeys }) => [
          String(id),
          name,
          removed === null ? rolesAt(role, owners) : `removed ${when(removed)}`,
          when(created),
          createdBy,
          signedIn === null ? 'never' : when(signedIn),
          String(passkeys),
        ],
        things: ['person', 'people'],
        none: 'Nobody yet; let somebody in with "enf-fabric console invite".',
      }),
    );
    return undefined;
  },
};

/** Of one owner its name goes without saying. */
const rolesAt = (role: Role, owners: PersonView['owners']): string =>
  owners.length < 2 ? role : owners.map((each) => `${each.role} of ${each.name}`).join(', ');

const personRole: Command = {
  name: 'person role',
  summary: 'Changes what a person may do, and ends all its sessions.',
  arguments: '<name> <role>',
  options: [...OWNED],
  examples: ['enf-fabric person role anna auditor'],
  async run(invocation) {
    const [person, role] = invocation.positionals as [string, string];
    const input = { person, role: roleOf(role) };
    const view = await withFabric(invocation, (fabric) => fabric.run(setPersonRole, input));
    invocation.print(view, () => `${view.name} ${view.changed ? 'is' : 'was already'} ${view.role}.`);
    return undefined;
  },
};

const personRemove: Command = {
  name: 'person remove',
  summary: 'Removes a person at once: its sessions, password and passkeys end.',
  arguments: '<name>',
  options: [YES, ...OWNED],
  examples: ['enf-fabric person remove anna'],
  async run(invocation) {
    const input = { person: invocation.positionals[0]! };
    await requireYes(
      invocation,
      `This removes ${input.person} with password and passkeys; coming back takes a new invite`,
    );
    const view = await withFabric(invocation, (fabric) => fabric.run(removePerson, input));
    invocation.print(view, () => `${view.name} is removed.`);
    return undefined;
  },
};

const personInvites: Command = {
  name: 'person invites',
  summary: 'Lists the invites that somebody may still use, without what is secret in them.',
  options: [LIMIT, AFTER, ALL, CSV, ...OWNED],
  examples: ['enf-fabric person invites'],
  async run(invocation) {
    await withFabric(invocation, (fabric) =>
      printList(invocation, fabric, listInvites, {
        header: ['ID', 'ROLE', 'OWNER', 'INVITED BY', 'UNTIL', 'LOGIN'],
        cells: ({ id, role, owner, createdBy, expires, login }) => [
          ...[id, role, owner ?? 'the host', createdBy],
          ...[when(expires), login ?? ''],
        ],
        things: ['invite', 'invites'],
        none: 'None is open; make one with "enf-fabric console invite".',
      }),
    );
    return undefined;
  },
};

const personWithdraw: Command = {
  name: 'person withdraw',
  summary: 'Withdraws an invite: nobody comes in by it any more.',
  arguments: '<invite>',
  options: [...OWNED],
  examples: ['enf-fabric person withdraw 1f0c3a5b7d9e2468'],
  async run(invocation) {
    const input = { id: invocation.positionals[0]! };
    const view = await withFabric(invocation, (fabric) => fabric.run(withdrawInvite, input));
    invocation.print(view, () => `The invite as ${view.role} is withdrawn.`);
    return undefined;
  },
};

function roleOf(text: string): Role {
  if (isRole(text)) return text;
  throw badOption(`a role is one of ${ROLES.join(', ')}, got ${JSON.stringify(text.slice(0, 40))}`);
}

function badOption(message: string): Failure {
  return new Failure('cli.bad-option', 'operator', message, { action: 'See "enf-fabric help".' });
}

export const personCommands: readonly Command[] = [
  personList,
  personRole,
  personRemove,
  personInvites,
  personWithdraw,
];
