import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { type Problem, problemOf } from '../api/problem.ts';
import { ProblemBox } from './problem.tsx';

/**
 * Asks before something is done: a dialog that says what will happen, with one button that does it. It stays open and shows why if that fails.
 */
export function Sheet({
  title,
  verb,
  danger = false,
  ready = true,
  act,
  close,
  children,
}: {
  readonly title: string;
  /** On the button. */
  readonly verb: string;
  readonly danger?: boolean;
  /** False until what the question says is known. */
  readonly ready?: boolean;
  /** Does it; the sheet closes when it resolves. */
  readonly act: () => Promise<unknown>;
  readonly close: () => void;
  readonly children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const open = useRef(true);
  const titleId = useId();
  useEffect(() => dialog.current?.showModal(), []);
  const closed = (): void => {
    open.current = false;
    close();
  };
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy || !ready) return;
    setBusy(true);
    try {
      await act();
      if (open.current) closed();
    } catch (error) {
      setProblem(problemOf(error));
      setBusy(false);
    }
  };
  return (
    <dialog class="sheet" ref={dialog} onClose={closed} aria-labelledby={titleId}>
      <form onSubmit={submit}>
        <h2 id={titleId}>{title}</h2>
        {children}
        {problem !== undefined && <ProblemBox problem={problem} />}
        <div class="sheet-buttons">
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class={danger ? 'danger' : 'primary'} disabled={busy || !ready}>
            {busy ? 'One moment …' : verb}
          </button>
        </div>
      </form>
    </dialog>
  );
}
