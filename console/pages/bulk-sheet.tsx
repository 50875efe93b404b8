import { useEffect, useRef, useState } from 'preact/hooks';
import type { JobView } from '../../fabric/jobs/view.ts';
import type { CountView } from '../../fabric/operations/views/devices.ts';
import type { StandingChange } from '../../fabric/registry/records.ts';
import { endOf, followed } from '../api/follow-job.ts';
import { type InputOf, run } from '../api/operations.ts';
import { type Problem, problemOf } from '../api/problem.ts';
import { count } from '../app/words.ts';
import { ChoiceField } from '../parts/field.tsx';
import { ProblemBox } from '../parts/problem.tsx';
import { Sheet } from '../parts/sheet.tsx';

const CHANGES: readonly (readonly [StandingChange, string])[] = [
  ['ban', 'Ban'],
  ['unban', 'Unban'],
  ['evict', 'Evict'],
];
const DONE: Readonly<Record<StandingChange, string>> = { ban: 'banned', unban: 'unbanned', evict: 'evicted' };

/** What a list of devices is narrowed to, but for a search. */
export type BulkFilter = Omit<InputOf<'device-bulk'>, 'change' | 'expected'>;

/** Asks what is to be done with all devices that a list shows, says how many those are, and does it. */
export function BulkSheet({
  filter: given,
  close,
  done,
}: {
  readonly filter: BulkFilter;
  readonly close: () => void;
  /** Says what was done. */
  readonly done: (text: string) => void;
}) {
  // Those that were counted are changed, whatever list is behind the sheet by then.
  const [filter] = useState(given);
  const [change, setChange] = useState<StandingChange>('ban');
  const [counted, setCounted] = useState<CountView>();
  const [problem, setProblem] = useState<Problem>();
  const [job, setJob] = useState<JobView>();
  /** The number of the job that goes on. */
  const underWay = useRef<number | undefined>(undefined);
  const closed = useRef(false);
  useEffect(() => {
    let gone = false;
    setCounted(undefined);
    setProblem(undefined);
    run('device-count', { ...filter, change }).then(
      (view) => !gone && setCounted(view),
      (error: unknown) => !gone && setProblem(problemOf(error)),
    );
    return () => {
      gone = true;
    };
  }, [change]);
  const act = async (): Promise<void> => {
    // Not what the list shows now, but what was counted before the question.
    const expected = counted === undefined || counted.more ? {} : { expected: counted.matching };
    const begun = await run('device-bulk', { ...filter, change, ...expected });
    if (closed.current) cancel(begun.id);
    const ended = await followed(begun, (running) => {
      setJob(running);
      underWay.current = running.id;
    });
    underWay.current = undefined;
    done(outcome(ended, change));
  };
  const end = (): void => {
    // By hand: what was done stays done.
    closed.current = true;
    if (underWay.current !== undefined) cancel(underWay.current);
    close();
  };
  const verb = CHANGES.find(([each]) => each === change)![1];
  return (
    <Sheet
      title="Change all devices of this list?"
      verb={counted === undefined ? verb : `${verb} ${counted.changing.toLocaleString('en')}`}
      danger={change !== 'unban'}
      ready={counted !== undefined}
      act={act}
      close={end}
    >
      <ChoiceField
        label="What is to be done"
        value={change}
        change={(value) => setChange(value as StandingChange)}
        choices={CHANGES}
      />
      {problem !== undefined && <ProblemBox problem={problem} />}
      <p aria-live="polite">{preview(counted, change)}</p>
      {job !== undefined && (
        <p role="status">
          {count(job.rows, 'device')} so far, {job.changed.toLocaleString('en')} of them {DONE[change]}.
          Cancel ends it; what was done stays done.
        </p>
      )}
    </Sheet>
  );
}

/** One that has ended meanwhile is none any more. */
const cancel = (id: number): void => void run('job-cancel', { id }).catch(() => {});

function preview(counted: CountView | undefined, change: StandingChange): string {
  if (counted === undefined) return 'Counting …';
  const { matching, changing, more } = counted;
  const all = `${more ? 'More than ' : ''}${count(matching, 'device')}`;
  if (matching === 0) return 'No device is like that any more.';
  return `${all} on all pages of this list; ${more ? 'at least ' : ''}${changing.toLocaleString('en')} of them would be ${DONE[change]}. Those that already are stay as they are.`;
}

function outcome(job: JobView, change: StandingChange): string {
  const { changed, failed, failures, effect } = job;
  const how = effect === null ? '' : ` (${effect})`;
  const done = `${count(changed, 'device')} ${changed === 1 ? 'was' : 'were'} ${DONE[change]}${how}.`;
  const [first] = failures;
  const not = first === undefined ? '' : ` ${failed} could not be, the first because: ${first.message}.`;
  return `${done}${endOf(job)}${not}`;
}
