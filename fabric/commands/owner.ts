import type { Command } from '../../cli/program.ts';
import { Failure } from '../../protocol/failure.ts';
import { OWNER_ROLES } from '../access/roles.ts';
import {
  addOwner,
  closeOwner,
  lendPrefix,
  listOwners,
  renameOwner,
  setMember,
  takeBackPrefix,
} from '../operations/people/owners.ts';
import { requireYes, YES } from './common/confirm.ts';
import { FABRIC, withFabric } from './common/context.ts';
import { AFTER, ALL, CSV, LIMIT, printList, when } from './common/list.ts';

/** Owners of one fabric: whoever runs it makes them. */

const ownerAdd: Command = {
  name: 'owner add',
  summary: 'Adds an owner, who sees nothing of others; it gets networks in what is lent to it.',
  arguments: '<name>',
  options: [...FABRIC],
  examples: ['enf-fabric owner add acme'],
  async run(invocation) {
    const input = { name: invocation.positionals[0]! };
    const view = await withFabric(invocation, (fabric) => fabric.run(addOwner, input));
    invocation.print(
      view,
      () =>
        `Owner ${view.name} is added. Lend it a prefix: enf-fabric owner lend ${view.name} PREFIX\n` +
        `Let somebody in: enf-fabric console invite --role owner --owner ${view.name}`,
    );
    return undefined;
  },
};

const ownerList: Command = {
  name: 'owner list',
  summary: 'Lists the owners, and what is lent to each.',
  options: [LIMIT, AFTER, ALL, CSV, ...FABRIC],
  examples: ['enf-fabric owner list', 'enf-fabric owner list --json'],
  async run(invocation) {
    await withFabric(invocation, (fabric) =>
      printList(invocation, fabric, listOwners, {
        header: ['OWNER', 'STATUS', 'NETWORKS', 'LENT', 'CREATED'],
        cells: ({ name, status, networks, prefixes, created }) => [
          name,
          status,
          String(networks),
          prefixes.join(' ') || '-',
          when(created),
        ],
        things: ['owner', 'owners'],
        none: 'No owners.',
      }),
    );
    return undefined;
  },
};

const ownerRename: Command = {
  name: 'owner rename',
  summary: 'Gives an owner another name.',
  arguments: '<owner> <name>',
  options: [...FABRIC],
  examples: ['enf-fabric owner rename default north'],
  async run(invocation) {
    const [owner, name] = invocation.positionals as [string, string];
    const view = await withFabric(invocation, (fabric) => fabric.run(renameOwner, { owner, name }));
    invocation.print(view, () => `Owner ${owner} is called ${view.name} now.`);
    return undefined;
  },
};

const ownerClose: Command = {
  name: 'owner close',
  summary: 'Lets nobody act for an owner any more, none of whose groups is active. That has no end.',
  arguments: '<owner>',
  options: [YES, ...FABRIC],
  examples: ['enf-fabric owner close acme'],
  async run(invocation) {
    const input = { owner: invocation.positionals[0]! };
    await requireYes(invocation, `This closes the owner ${input.owner}, and cannot be undone`);
    const view = await withFabric(invocation, (fabric) => fabric.run(closeOwner, input));
    invocation.print(
      view,
      () => `Owner ${view.name} is closed: its sessions, tokens and invites have ended. Its rows stay.`,
    );
    return undefined;
  },
};

const ownerLend: Command = {
  name: 'owner lend',
  summary: 'Lends an owner a prefix, /16 to /64, in which it adds networks.',
  arguments: '<owner> <prefix>',
  options: [...FABRIC],
  examples: ['enf-fabric owner lend acme fd00:8f80:9000::/48'],
  async run(invocation) {
    const [owner, prefix] = invocation.positionals as [string, string];
    const view = await withFabric(invocation, (fabric) => fabric.run(lendPrefix, { owner, prefix }));
    invocation.print(view, () => `Owner ${view.name} adds networks in ${view.prefixes.join(' ')}.`);
    return undefined;
  },
};

const ownerTakeBack: Command = {
  name: 'owner take-back',
  summary: 'Takes a prefix back that was lent, and in which there are no networks.',
  arguments: '<owner> <prefix>',
  options: [...FABRIC],
  examples: ['enf-fabric owner take-back acme fd00:8f80:9000::/48'],
  async run(invocation) {
    const [owner, prefix] = invocation.positionals as [string, string];
    const view = await withFabric(invocation, (fabric) => fabric.run(takeBackPrefix, { owner, prefix }));
    invocation.print(
      view,
      () => `Owner ${view.name} adds networks in ${view.prefixes.join(' ') || 'nothing'}.`,
    );
    return undefined;
  },
};

const ownerMember: Command = {
  name: 'owner member',
  summary: 'Makes somebody who signs in already something at an owner, or nothing any more.',
  arguments: '<owner> <person> <role>',
  options: [...FABRIC],
  examples: ['enf-fabric owner member acme anna operator', 'enf-fabric owner member acme anna none'],
  async run(invocation) {
    const [owner, person, text] = invocation.positionals as [string, string, string];
    const role = parseRole(text);
    const view = await withFabric(invocation, (fabric) => fabric.run(setMember, { owner, person, role }));
    const is = view.owners.map((each) => `${each.role} of ${each.name}`).join(', ');
    invocation.print(view, () => `${view.name} is ${is || 'of no owner'}.`);
    return undefined;
  },
};

const ROLES = [...OWNER_ROLES, 'none'] as const;

function parseRole(text: string): (typeof ROLES)[number] {
  const role = ROLES.find((each) => each === text);
  if (role !== undefined) return role;
  throw new Failure(
    'cli.bad-arguments',
    'operator',
    `expected a role (${ROLES.join(', ')}), got ${JSON.stringify(text.slice(0, 40))}`,
    { action: 'See the roles in docs/fabric-api.md.' },
  );
}

export const ownerCommands: readonly Command[] = [
  ownerAdd,
  ownerList,
  ownerRename,
  ownerClose,
  ownerLend,
  ownerTakeBack,
  ownerMember,
];
