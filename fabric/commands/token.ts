import type { Command } from '../../cli/program.ts';
import { Failure } from '../../protocol/failure.ts';
import { isRole, ROLES } from '../access/roles.ts';
import { createToken, listTokens, revokeToken } from '../operations/people/tokens.ts';
import type { TokenView } from '../operations/views/people.ts';
import { OWNED, withFabric } from './common/context.ts';
import { AFTER, ALL, CSV, LIMIT, printList, when } from './common/list.ts';

const tokenCreate: Command = {
  name: 'token create',
  summary: 'Makes a token, with which programs and people elsewhere use the API. It is shown once.',
  options: [
    {
      name: 'name',
      value: 'TEXT',
      help: 'who or what will have it; stands in the audit trail',
      required: true,
    },
    { name: 'role', value: 'ROLE', help: `what it may do: ${ROLES.join(', ')}`, default: 'auditor' },
    { name: 'days', value: 'N', help: 'how long it holds, 1 to 366 days', default: '90' },
    ...OWNED,
  ],
  examples: [
    'enf-fabric token create --name monitoring',
    'enf-fabric token create --name anna --role operator --days 30',
  ],
  async run(invocation) {
    const role = invocation.required('role');
    const days = invocation.required('days');
    if (!isRole(role))
      throw badOption(`--role expects one of ${ROLES.join(', ')}, got ${JSON.stringify(role)}`);
    if (!/^\d{1,3}$/.test(days)) throw badOption(`--days expects 1 to 366, got ${JSON.stringify(days)}`);
    const input = { name: invocation.required('name'), role, days: Number(days) };
    const view = await withFabric(invocation, (fabric) => fabric.run(createToken, input));
    invocation.print(
      view,
      () =>
        `${view.token}\n\nToken ${view.id} for ${view.role} until ${when(view.expires)}. Nobody can read it again.`,
    );
    return undefined;
  },
};

const tokenList: Command = {
  name: 'token list',
  summary: 'Lists the tokens of the API.',
  options: [LIMIT, AFTER, ALL, CSV, ...OWNED],
  examples: ['enf-fabric token list'],
  async run(invocation) {
    await withFabric(invocation, (fabric) =>
      printList(invocation, fabric, listTokens, {
        header: ['ID', 'NAME', 'ROLE', 'CREATED', 'BY', 'ENDS', 'USED'],
        cells: (token) => [
          String(token.id),
          token.name,
          token.role,
          when(token.created),
          token.createdBy,
          endOf(token),
          token.used === null ? 'never' : when(token.used),
        ],
        things: ['token', 'tokens'],
        none: 'No tokens yet; make one with "enf-fabric token create".',
      }),
    );
    return undefined;
  },
};

const endOf = ({ expires, revoked }: TokenView): string =>
  revoked === null ? when(expires) : `revoked ${when(revoked)}`;

const tokenRevoke: Command = {
  name: 'token revoke',
  summary: 'Revokes a token at once.',
  arguments: '<id>',
  options: [...OWNED],
  examples: ['enf-fabric token revoke 3'],
  async run(invocation) {
    const id = invocation.positionals[0]!;
    if (!/^\d{1,15}$/.test(id)) throw badOption(`a token has a number, got ${JSON.stringify(id)}`);
    const view = await withFabric(invocation, (fabric) => fabric.run(revokeToken, { id: Number(id) }));
    invocation.print(view, () => `Token ${view.id} ${view.changed ? 'is' : 'was already'} revoked.`);
    return undefined;
  },
};

function badOption(message: string): Failure {
  return new Failure('cli.bad-option', 'operator', message, {
    action: 'See "enf-fabric token create --help".',
  });
}

export const tokenCommands: readonly Command[] = [tokenCreate, tokenList, tokenRevoke];
