import { useState } from 'preact/hooks';
import { account } from '../api/account.ts';
import { type Problem, problemOf } from '../api/problem.ts';
import { ProblemBox } from './problem.tsx';

/** Makes ten recovery codes, and shows them once. */
export function RecoveryCodes() {
  const [codes, setCodes] = useState<readonly string[]>();
  const [problem, setProblem] = useState<Problem>();
  const make = async (): Promise<void> => {
    try {
      setCodes((await account.makeRecoveryCodes()).codes);
      setProblem(undefined);
    } catch (error) {
      setProblem(problemOf(error));
    }
  };
  return (
    <>
      <h2>Recovery codes</h2>
      <p>
        Each of ten codes signs you in once when the password is lost. Print them; they are shown this one
        time.
      </p>
      {problem !== undefined && <ProblemBox problem={problem} />}
      {codes === undefined ? (
        <p>
          <button type="button" class="wide" onClick={() => void make()}>
            Make recovery codes
          </button>
        </p>
      ) : (
        <>
          <ul class="codes">
            {codes.map((code) => (
              <li key={code}>
                <code>{code}</code>
              </li>
            ))}
          </ul>
          <p>
            <button type="button" onClick={() => print()}>
              Print this page
            </button>
          </p>
        </>
      )}
    </>
  );
}
