import { useState } from 'preact/hooks';
import { PERMISSIONS } from '../../fabric/access/roles.ts';
import { account, hasPasskeys } from '../api/account.ts';
import { type Problem, problemOf } from '../api/problem.ts';
import type { Route } from '../app/address.ts';
import { problemIn } from '../app/elsewhere.ts';
import { PERMISSION_WORDS } from '../app/permission-words.ts';
import { useQuery } from '../app/query.ts';
import { entered, may, me } from '../app/session.ts';
import { count } from '../app/words.ts';
import { OwnAccount } from '../parts/elsewhere.tsx';
import { TextField } from '../parts/field.tsx';
import { NewPassword } from '../parts/new-password.tsx';
import { Facts, Page, Section } from '../parts/page.tsx';
import { ProblemBox } from '../parts/problem.tsx';
import { RecoveryCodes } from '../parts/recovery-codes.tsx';
import { Sheet } from '../parts/sheet.tsx';
import { Rows } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';

/** Who has signed in, and what it does for itself. */
export function You({ route }: { readonly route: Route }) {
  const left = useQuery('codes left', ['audit'], account.recoveryCodesLeft);
  const [asked, ask] = useState<'password' | 'everywhere'>();
  const [done, setDone] = useState<string>();
  const who = me.value;
  const owners = who?.owners ?? [];
  return (
    <Page
      title={who?.name ?? ''}
      sub={`You are signed in as ${who?.role}.`}
      actions={
        <>
          <button type="button" onClick={() => ask('password')}>
            {who?.hasPassword === false ? 'Choose a password' : 'Change the password'}
          </button>
          <button type="button" onClick={() => ask('everywhere')}>
            Sign out everywhere
          </button>
        </>
      }
    >
      {done !== undefined && (
        <p class="note" role="status">
          {done}
        </p>
      )}
      <Facts
        rows={[
          ['Role', who?.role],
          ...(owners.length === 0
            ? []
            : ([
                [
                  owners.length === 1 ? 'Owner' : 'Owners',
                  owners.map(({ name, role }) => `${name}, as ${role}`).join('; '),
                ],
              ] as const)),
          ['Recovery codes left', left.data === undefined ? '…' : count(left.data.left, 'code')],
        ]}
      />
      <details>
        <summary>What you may do</summary>
        <ul>
          {PERMISSIONS.filter(may).map((permission) => (
            <li key={permission}>{PERMISSION_WORDS[permission]}</li>
          ))}
        </ul>
      </details>
      <Passkeys />
      <OwnAccount failed={problemIn(route.query)} />
      <section class="section">
        <RecoveryCodes />
        <p class="quiet">New codes replace all former ones.</p>
      </section>
      {asked === 'password' && (
        <PasswordSheet
          first={who?.hasPassword === false}
          close={() => ask(undefined)}
          done={() => setDone('The password is changed; all other sessions have ended.')}
        />
      )}
      {asked === 'everywhere' && (
        <Sheet
          title="Sign out everywhere?"
          verb="Sign out"
          act={account.signOutEverywhere}
          close={() => ask(undefined)}
        >
          <p>All your sessions end, this one too.</p>
        </Sheet>
      )}
    </Page>
  );
}

function PasswordSheet({
  first,
  close,
  done,
}: {
  readonly first: boolean;
  readonly close: () => void;
  readonly done: () => void;
}) {
  const [current, setCurrent] = useState('');
  const [password, setPassword] = useState('');
  const act = async (): Promise<void> => {
    entered(await account.changePassword(first ? undefined : current, password));
    done();
  };
  return (
    <Sheet
      title={first ? 'Choose a password' : 'Change the password'}
      verb={first ? 'Choose' : 'Change'}
      act={act}
      close={close}
    >
      {!first && (
        <TextField
          label="Current password"
          type="password"
          value={current}
          change={setCurrent}
          autocomplete="current-password"
          required
        />
      )}
      <NewPassword label="New password" value={password} change={setPassword} />
    </Sheet>
  );
}

function Passkeys() {
  const { data, problem, again } = useQuery('passkeys', ['audit'], account.passkeys);
  const [asked, ask] = useState<'new' | { readonly id: number; readonly name: string }>();
  const [failed, setFailed] = useState<Problem>();
  const close = (): void => ask(undefined);
  return (
    <Section
      title="Passkeys"
      actions={
        hasPasskeys() && (
          <button type="button" onClick={() => ask('new')}>
            Add a passkey
          </button>
        )
      }
    >
      {problem !== undefined && <ProblemBox problem={problem} again={again} />}
      {failed !== undefined && <ProblemBox problem={failed} />}
      {!hasPasskeys() && (
        <p class="quiet">This browser has none here: passkeys need https, or a name of this machine.</p>
      )}
      {data !== undefined && data.rows.length === 0 && (
        <p class="quiet">None yet. A passkey signs you in by the screen lock of a device.</p>
      )}
      {data !== undefined && data.rows.length > 0 && (
        <Rows
          caption="Your passkeys"
          rows={data.rows}
          keyOf={({ id }) => id}
          columns={[
            { name: 'Name', kind: 'main', cell: ({ name }) => name },
            { name: 'Added', cell: ({ created }) => <When at={created} /> },
            { name: 'Used', cell: ({ used }) => <When at={used} /> },
            {
              name: 'Actions',
              cell: ({ id, name }) => (
                <button type="button" class="link" onClick={() => ask({ id, name })}>
                  Remove
                </button>
              ),
            },
          ]}
        />
      )}
      {asked === 'new' && <NewPasskey close={close} done={again} failed={setFailed} />}
      {asked !== undefined && asked !== 'new' && (
        <Sheet
          title="Remove the passkey?"
          verb="Remove"
          danger
          close={close}
          act={async () => {
            await account.removePasskey(asked.id);
            again();
          }}
        >
          <p>“{asked.name}” does not sign you in any more. The device keeps it until you delete it there.</p>
        </Sheet>
      )}
    </Section>
  );
}

function NewPasskey({
  close,
  done,
  failed,
}: {
  readonly close: () => void;
  readonly done: () => void;
  readonly failed: (why: Problem | undefined) => void;
}) {
  const [name, setName] = useState('');
  const act = async (): Promise<void> => {
    failed(undefined);
    try {
      await account.addPasskey(name);
      done();
    } catch (error) {
      if ((error as Error).name !== 'NotAllowedError') failed(problemOf(error));
    }
  };
  return (
    <Sheet title="Add a passkey" verb="Add" act={act} close={close}>
      <TextField
        label="Name"
        value={name}
        change={setName}
        required
        maxLength={60}
        hint="How you know the device by, e.g. phone."
      />
      <p class="quiet">It works at {location.hostname} only.</p>
    </Sheet>
  );
}
