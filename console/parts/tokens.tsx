import { useState } from 'preact/hooks';
import type { Role } from '../../fabric/access/roles.ts';
import type { TokenView } from '../../fabric/operations/views/people.ts';
import { run } from '../api/operations.ts';
import { ROLE_WORDS } from '../app/permission-words.ts';
import { useQuery } from '../app/query.ts';
import { now } from '../app/time.ts';
import { Copyable } from './copy.tsx';
import { Export } from './export.tsx';
import { ChoiceField, TextField } from './field.tsx';
import { Section } from './page.tsx';
import { ProblemBox } from './problem.tsx';
import { Sheet } from './sheet.tsx';
import { type Column, PAGE_ROWS, Rows } from './table.tsx';
import { When } from './when.tsx';

/** The tokens by which programs use the API; the newest pages of many are read on demand. */
export function Tokens({ roles }: { readonly roles: readonly Role[] }) {
  const [after, setAfter] = useState<string>();
  const { data, problem, again } = useQuery(`tokens ${after}`, ['audit'], () =>
    run('token-list', { limit: PAGE_ROWS, after }),
  );
  const [asked, ask] = useState<'new' | TokenView>();
  const [made, setMade] = useState<string>();
  const close = (): void => ask(undefined);
  const columns: readonly Column<TokenView>[] = [
    { name: 'Token', kind: 'main', cell: ({ name }) => name },
    { name: 'Role', cell: ({ role }) => role },
    { name: 'Ends', cell: (token) => <Ends token={token} /> },
    { name: 'Used', cell: ({ used }) => <When at={used} /> },
    { name: 'Made by', kind: 'extra', cell: ({ createdBy }) => createdBy },
    {
      name: 'Actions',
      cell: (token) =>
        token.revoked === null && (
          <button type="button" class="link" onClick={() => ask(token)}>
            Revoke
          </button>
        ),
    },
  ];
  return (
    <Section
      title="Tokens"
      actions={
        <>
          <Export list="token-list" />
          <button type="button" onClick={() => ask('new')}>
            Make a token
          </button>
        </>
      }
    >
      {made !== undefined && (
        <div class="note" role="status">
          <p>The token, shown this once. Keep it in a file that only its program may read:</p>
          <p>
            <Copyable text={made} />
          </p>
        </div>
      )}
      {problem !== undefined && <ProblemBox problem={problem} again={again} />}
      {data !== undefined && data.rows.length === 0 && (
        <p class="quiet">None. A program needs one to use the API.</p>
      )}
      {data !== undefined && data.rows.length > 0 && (
        <Rows caption="Tokens" rows={data.rows} columns={columns} keyOf={({ id }) => id} />
      )}
      {data?.next !== undefined && (
        <button type="button" onClick={() => setAfter(data.next)}>
          Later ones
        </button>
      )}
      {asked === 'new' && (
        <NewToken
          roles={roles}
          close={close}
          done={(token) => {
            setMade(token);
            again();
          }}
        />
      )}
      {asked !== undefined && asked !== 'new' && <Revoke token={asked} close={close} done={again} />}
    </Section>
  );
}

function Ends({ token: { revoked, expires } }: { readonly token: TokenView }) {
  if (revoked !== null)
    return (
      <span class="quiet">
        revoked <When at={revoked} />
      </span>
    );
  const over = Date.parse(expires) <= now.value;
  return (
    <span class={over ? 'quiet' : ''}>
      {over && 'expired '}
      <When at={expires} />
    </span>
  );
}

function NewToken({
  roles,
  close,
  done,
}: {
  readonly roles: readonly Role[];
  readonly close: () => void;
  readonly done: (token: string) => void;
}) {
  const [name, setName] = useState('');
  const [role, setRole] = useState<string>(roles.includes('auditor') ? 'auditor' : (roles[0] ?? ''));
  const [days, setDays] = useState('90');
  const act = async (): Promise<void> => {
    const { token } = await run('token-create', { name, role: role as Role, days: Number(days) });
    done(token);
  };
  return (
    <Sheet title="Make a token" verb="Make" act={act} close={close}>
      <TextField
        label="Name"
        value={name}
        change={setName}
        required
        maxLength={60}
        hint="Which program has it."
      />
      <ChoiceField
        label="Role"
        value={role}
        change={setRole}
        choices={roles.map((each) => [each, each])}
        hint={ROLE_WORDS[role as Role]}
      />
      <ChoiceField
        label="It holds for"
        value={days}
        change={setDays}
        choices={[
          ['7', 'a week'],
          ['90', '90 days'],
          ['366', 'a year'],
        ]}
      />
    </Sheet>
  );
}

function Revoke({
  token,
  close,
  done,
}: {
  readonly token: TokenView;
  readonly close: () => void;
  readonly done: () => void;
}) {
  const act = async (): Promise<void> => {
    await run('token-revoke', { id: token.id });
    done();
  };
  return (
    <Sheet title={`Revoke “${token.name}”?`} verb="Revoke" danger act={act} close={close}>
      <p>The program that has it is refused from now on.</p>
    </Sheet>
  );
}
