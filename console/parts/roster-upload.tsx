import { type Problem, problemOf } from '../api/problem.ts';
import { type RosterFile, rosterFile, upload, uploads } from '../app/roster-upload.ts';
import { FileField } from './field.tsx';
import { ProblemBox } from './problem.tsx';

/** What somebody has chosen for a batch. */
export interface ChosenRoster {
  readonly file: RosterFile | undefined;
  /** Are devices called by their serial numbers when they come? */
  readonly names: boolean;
  readonly problem?: Problem;
}

export const NO_ROSTER: ChosenRoster = { file: undefined, names: false };

/** Chooses the file of a roster, and how devices are called. `optional`: a batch may do without. */
export function RosterFields({
  chosen,
  change,
  optional = false,
}: {
  readonly chosen: ChosenRoster;
  readonly change: (chosen: ChosenRoster) => void;
  readonly optional?: boolean;
}) {
  const { names, file, problem } = chosen;
  const choose = async (picked: File | undefined): Promise<void> => {
    try {
      change({ file: picked && (await rosterFile(picked)), names });
    } catch (error) {
      change({ file: undefined, names, problem: problemOf(error) });
    }
  };
  return (
    <>
      <FileField
        label={optional ? 'Roster, if the maker has given one' : 'Roster'}
        change={(picked) => void choose(picked)}
        hint="The file that “enf-factory batch export --roster” wrote: then only the devices on it are let in, and a stolen issuer's key makes none."
      />
      {problem !== undefined && <ProblemBox problem={problem} />}
      {(file !== undefined || !optional) && (
        <label class="check">
          <input
            type="checkbox"
            checked={names}
            onChange={(event) => change({ ...chosen, names: event.currentTarget.checked })}
          />{' '}
          Call each device by its serial number when it comes
        </label>
      )}
    </>
  );
}

/** How far the roster of a batch is that this window sends, or why it is not there. */
export function RosterProgress({ gid }: { readonly gid: string }) {
  const going = uploads.value.get(gid);
  if (going === undefined) return null;
  const { file, names, part, problem } = going;
  if (problem !== undefined) return <ProblemBox problem={problem} again={() => upload(gid, file, names)} />;
  return (
    <p class="note note-plain">
      The roster is on its way: {Math.floor(100 * part)} %{' '}
      <progress aria-label="How much of the roster is here" value={part} max={1} />{' '}
      <span class="plain">
        It goes on while you look at other pages, until this window is closed. Whoever is interrupted chooses
        the same file again.
      </span>
    </p>
  );
}
