import { useEffect, useRef } from 'preact/hooks';
import type { Problem } from '../api/problem.ts';
import { Page } from './page.tsx';

/** A page of which nothing else can be shown. */
export function ProblemPage({
  title,
  problem,
  again,
}: {
  readonly title: string;
  readonly problem: Problem;
  readonly again?: () => void;
}) {
  return (
    <Page title={title}>
      <ProblemBox problem={problem} {...(again !== undefined && { again })} />
    </Page>
  );
}

/** An error as every page shows it: what was wrong, what to do, its code. */
export function ProblemBox({ problem, again }: { readonly problem: Problem; readonly again?: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  // Whoever has sent a form looks for the answer: on a phone the form is longer than the screen.
  useEffect(() => {
    if (box.current?.closest('form')) box.current.scrollIntoView({ block: 'nearest' });
  }, [problem]);
  return (
    <div class="problem" role="alert" ref={box}>
      <p class="problem-title">{problem.message}</p>
      <p>{problem.action}</p>
      <p class="quiet">
        <code>{problem.code}</code>
        {again !== undefined && (
          <button type="button" class="link" onClick={again}>
            Try again
          </button>
        )}
      </p>
    </div>
  );
}
