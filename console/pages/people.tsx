import { useEffect, useState } from 'preact/hooks';
import { mayGive, OWNER_ROLES, permissionsOf, ROLES, type Role } from '../../fabric/access/roles.ts';
import type { PersonView } from '../../fabric/operations/views/people.ts';
import { run } from '../api/operations.ts';
import type { Route } from '../app/address.ts';
import { issuer, lookForIssuer } from '../app/elsewhere.ts';
import { PERMISSION_WORDS, ROLE_WORDS } from '../app/permission-words.ts';
import { useQuery } from '../app/query.ts';
import { may, me } from '../app/session.ts';
import { Copyable } from '../parts/copy.tsx';
import { Export } from '../parts/export.tsx';
import { ChoiceField, TextField } from '../parts/field.tsx';
import { Invites } from '../parts/invites.tsx';
import { Facts, Page } from '../parts/page.tsx';
import { Sheet } from '../parts/sheet.tsx';
import { type Column, ListTable, PAGE_ROWS, Rows } from '../parts/table.tsx';
import { Tokens } from '../parts/tokens.tsx';
import { When } from '../parts/when.tsx';

type Asked = { readonly what: 'role' | 'remove'; readonly person: PersonView } | { readonly what: 'invite' };

/** Roles that who has signed in may give: none that may more. */
const grantable = (): readonly Role[] => ROLES.filter((role) => mayGive(me.value?.role ?? 'auditor', role));

/** Who may sign in and in what role, and the tokens of programs. */
export function People({ route }: { readonly route: Route }) {
  const after = route.query.get('after') ?? undefined;
  const query = useQuery(`people ${after}`, ['audit'], () => run('person-list', { limit: PAGE_ROWS, after }));
  const [asked, ask] = useState<Asked>();
  const [invite, setInvite] = useState<string>();
  const close = (): void => ask(undefined);
  return (
    <Page
      title="People"
      sub="Who signs in here, and the tokens of programs."
      actions={
        <>
          <Export list="person-list" />
          {may('people.write') && (
            <button type="button" class="primary" onClick={() => ask({ what: 'invite' })}>
              Invite somebody
            </button>
          )}
        </>
      }
    >
      {invite !== undefined && <Invited address={invite} />}
      <ListTable
        caption="People"
        query={query}
        columns={columns(ask)}
        keyOf={({ id }) => id}
        route={route}
        empty={<p>Nobody yet.</p>}
      />
      <Invites />
      {may('tokens.write') && <Tokens roles={grantable()} />}
      <RoleTable />
      {asked?.what === 'invite' && <InviteSheet close={close} done={setInvite} />}
      {asked?.what === 'role' && <RoleSheet person={asked.person} close={close} done={query.again} />}
      {asked?.what === 'remove' && <RemoveSheet person={asked.person} close={close} done={query.again} />}
    </Page>
  );
}

function columns(ask: (asked: Asked) => void): readonly Column<PersonView>[] {
  return [
    { name: 'Name', kind: 'main', cell: ({ name }) => name },
    {
      name: 'Role',
      cell: ({ role, owners, removed }) =>
        removed === null ? rolesAt(role, owners) : <span class="quiet">removed</span>,
    },
    { name: 'Signed in', cell: ({ signedIn }) => <When at={signedIn} /> },
    { name: 'Passkeys', kind: 'number', cell: ({ passkeys }) => passkeys },
    { name: 'Invited by', kind: 'extra', cell: ({ createdBy }) => createdBy },
    {
      name: 'Actions',
      cell: (person) =>
        may('people.write') &&
        person.removed === null && (
          <>
            <button type="button" class="link" onClick={() => ask({ what: 'role', person })}>
              Role
            </button>
            <button type="button" class="link" onClick={() => ask({ what: 'remove', person })}>
              Remove
            </button>
          </>
        ),
    },
  ];
}

/** Of one owner its name goes without saying. */
const rolesAt = (role: Role, owners: PersonView['owners']): string =>
  owners.length < 2 ? role : owners.map((each) => `${each.role} of ${each.name}`).join(', ');

function Invited({ address }: { readonly address: string }) {
  return (
    <div class="note" role="status">
      <p>Give this address to the person, and to nobody else. It is shown this once, and works once:</p>
      <p>
        <Copyable text={address} />
      </p>
    </div>
  );
}

interface SheetProps {
  readonly close: () => void;
}

const roleChoices = (): readonly (readonly [string, string])[] => grantable().map((role) => [role, role]);

function InviteSheet({ close, done }: SheetProps & { readonly done: (address: string) => void }) {
  const [role, setRole] = useState<string>('operator');
  const [hours, setHours] = useState('24');
  const [login, setLogin] = useState('');
  useEffect(lookForIssuer, []);
  const act = async (): Promise<void> => {
    const { invite } = await run('person-invite', {
      ...{ role: role as Role, hours: Number(hours) },
      ...(login.trim() !== '' && { login: login.trim() }),
    });
    done(`${location.origin}/#/setup/${invite}`);
  };
  return (
    <Sheet title="Invite somebody" verb="Make an invite" act={act} close={close}>
      <ChoiceField
        label="Role"
        value={role}
        change={setRole}
        choices={roleChoices()}
        hint={ROLE_WORDS[role as Role]}
      />
      <ChoiceField
        label="It holds for"
        value={hours}
        change={setHours}
        choices={[
          ['1', 'an hour'],
          ['24', 'a day'],
          ['168', 'a week'],
        ]}
      />
      {issuer.value !== null && (
        <TextField
          label={`Login at ${issuer.value}, if you know it`}
          value={login}
          change={setLogin}
          maxLength={254}
          hint="Such as an e-mail address: whoever has it there comes in, also without the address of the invite."
        />
      )}
    </Sheet>
  );
}

function RoleSheet({
  person,
  close,
  done,
}: SheetProps & { readonly person: PersonView; readonly done: () => void }) {
  const [role, setRole] = useState<string>(person.role);
  const act = async (): Promise<void> => {
    await run('person-role', { person: String(person.id), role: role as Role });
    done();
  };
  return (
    <Sheet title={`What may ${person.name} do?`} verb="Change" act={act} close={close}>
      <ChoiceField
        label="Role"
        value={role}
        change={setRole}
        choices={roleChoices()}
        hint={`${ROLE_WORDS[role as Role]} All sessions of the person end.`}
      />
    </Sheet>
  );
}

function RemoveSheet({
  person,
  close,
  done,
}: SheetProps & { readonly person: PersonView; readonly done: () => void }) {
  const act = async (): Promise<void> => {
    await run('person-remove', { person: String(person.id) });
    done();
  };
  return (
    <Sheet title={`Remove ${person.name}?`} verb="Remove" danger act={act} close={close}>
      <p>
        Sessions, password, passkeys and tokens of the person end now. What it did stays in the audit trail.
      </p>
    </Sheet>
  );
}

/** What each role may do, as the fabric has it; that of whoever runs the fabric is shown to nobody else. */
function RoleTable() {
  const roles = me.value?.role === 'host' ? ROLES : OWNER_ROLES;
  return (
    <details class="section">
      <summary>What the roles may do</summary>
      <Facts rows={roles.map((role) => [role, ROLE_WORDS[role]])} />
      <Rows
        caption="What may be done, and in which roles"
        rows={permissionsOf(roles[0])}
        keyOf={(permission) => permission}
        columns={[
          { name: 'What', kind: 'main', cell: (permission) => PERMISSION_WORDS[permission] },
          {
            name: 'Who may',
            cell: (permission) => roles.filter((role) => permissionsOf(role).includes(permission)).join(', '),
          },
        ]}
      />
    </details>
  );
}
