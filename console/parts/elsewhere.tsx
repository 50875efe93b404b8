import { useEffect, useState } from 'preact/hooks';
import { account } from '../api/account.ts';
import { type Problem, problemOf } from '../api/problem.ts';
import { issuer, lookForIssuer } from '../app/elsewhere.ts';
import { useQuery } from '../app/query.ts';
import { Section } from './page.tsx';
import { ProblemBox } from './problem.tsx';
import { Sheet } from './sheet.tsx';

/** Leaves the console for the issuer, which sends the browser back. */
async function travel(begin: () => Promise<{ readonly address: string }>): Promise<void> {
  const { address } = await begin();
  location.assign(address);
}

/** A button that signs in by an account of the issuer, if there is one; `confirm`: that shows, by signing in anew there, that the person is still there. */
export function SignInElsewhere({ confirm = false }: { readonly confirm?: boolean }) {
  const [problem, setProblem] = useState<Problem>();
  useEffect(lookForIssuer, []);
  if (issuer.value === null) return null;
  return (
    <>
      <button
        type="button"
        class="wide"
        onClick={() =>
          void travel(confirm ? account.confirmElsewhere : account.signInElsewhere).catch((error) =>
            setProblem(problemOf(error)),
          )
        }
      >
        {confirm ? `Sign in again with ${issuer.value}` : `Sign in with ${issuer.value}`}
      </button>
      {problem !== undefined && <ProblemBox problem={problem} />}
    </>
  );
}

/** The account elsewhere of whoever has signed in, if there is an issuer. */
export function OwnAccount({ failed }: { readonly failed: Problem | undefined }) {
  const { data, problem, again } = useQuery('accounts', ['audit'], account.accounts);
  const [removed, remove] = useState<string>();
  const [refused, setRefused] = useState<Problem>();
  useEffect(lookForIssuer, []);
  if (issuer.value === null && (data === undefined || data.rows.length === 0)) return null;
  const add = (): void => void travel(account.addAccount).catch((error) => setRefused(problemOf(error)));
  const shown = refused ?? failed;
  return (
    <Section
      title="Account elsewhere"
      actions={
        issuer.value !== null &&
        data?.rows.length === 0 && (
          <button type="button" onClick={add}>
            Add the one at {issuer.value}
          </button>
        )
      }
    >
      {problem !== undefined && <ProblemBox problem={problem} again={again} />}
      {shown !== undefined && <ProblemBox problem={shown} />}
      {data?.rows.length === 0 && <p class="quiet">None yet. With one you need no password here.</p>}
      {data?.rows.map(({ issuer: at, login }) => (
        <p key={at}>
          <b>{login}</b> at {at}{' '}
          <button type="button" class="link" onClick={() => remove(at)}>
            Remove
          </button>
        </p>
      ))}
      {removed !== undefined && (
        <Sheet
          title="Remove the account?"
          verb="Remove"
          danger
          close={() => remove(undefined)}
          act={async () => {
            await account.removeAccount(removed);
            again();
          }}
        >
          <p>It does not sign you in any more.</p>
        </Sheet>
      )}
    </Section>
  );
}
