import { effect, signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { pemBody } from '../../protocol/pem.ts';
import { run, type ViewOf } from '../api/operations.ts';
import { type Problem, problemOf } from '../api/problem.ts';
import { hrefOf, type Route } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { upload } from '../app/roster-upload.ts';
import { go } from '../app/route.ts';
import { may, me } from '../app/session.ts';
import { count, placeWords, shortGid } from '../app/words.ts';
import { ChoiceField, FileField, TextField } from '../parts/field.tsx';
import { countriesIn, LimitFields, type Limits } from '../parts/limits.tsx';
import { GroupLink } from '../parts/link.tsx';
import { Facts, Page } from '../parts/page.tsx';
import { ProblemBox } from '../parts/problem.tsx';
import { NO_ROSTER, RosterFields } from '../parts/roster-upload.tsx';
import { When } from '../parts/when.tsx';
import { FindLabel } from '../scan/find-label.tsx';

type Label = ViewOf<'label-read'>;

interface Found {
  readonly text: string;
  readonly label: Label;
  /** The public key with which the label has to be signed (base64 of DER), if somebody has chosen one. */
  readonly maker?: string | undefined;
}

/** Longer files are no key. */
const LONGEST_KEY = 400;

/** The label that was found: it is still there when somebody comes back from adding a network. */
const newest = signal<Found | undefined>(undefined);
// A label may hold the claim secret: it is not for whoever signs in next.
effect(() => {
  if (!me.value) newest.value = undefined;
});

/** Admits a batch by its label: find it, compare it, tie it to a network. */
export function Claim(_: { readonly route: Route }) {
  const found = newest.value;
  const [problem, setProblem] = useState<Problem>();
  const read = async (text: string, maker?: string): Promise<void> => {
    setProblem(undefined);
    try {
      newest.value = { text, maker, label: await run('label-read', { label: text, maker }) };
    } catch (error) {
      setProblem(problemOf(error));
    }
  };
  const again = (): void => {
    newest.value = undefined;
    setProblem(undefined);
  };
  return (
    <Page
      title={found === undefined ? 'Scan a label' : found.label.name}
      sub={
        found === undefined
          ? 'It is on the box, a square code. One label admits the whole batch.'
          : 'Compare this with what is printed beside the code.'
      }
      actions={
        found !== undefined && (
          <button type="button" onClick={again}>
            Another label
          </button>
        )
      }
    >
      {problem !== undefined && <ProblemBox problem={problem} />}
      {found === undefined && <FindLabel found={(text) => void read(text)} />}
      {found !== undefined && (
        <>
          <Card label={found.label} />
          {found.label.signature !== 'none' && (
            <FileField
              label="Public key of the maker"
              change={(file) =>
                void file
                  ?.slice(0, LONGEST_KEY)
                  .text()
                  .then((pem) => read(found.text, pemBody(pem)))
              }
              hint="The file maker.pub that the maker has given you by a way that you trust: with it the signature of the label is checked."
            />
          )}
          {found.label.group === null ? (
            found.label.signature !== 'wrong' && <Admit {...found} />
          ) : (
            <p class="note note-plain">
              This batch is admitted already:{' '}
              <GroupLink gid={found.label.gid} name={found.label.group.name} />
            </p>
          )}
        </>
      )}
    </Page>
  );
}

function Card({ label }: { readonly label: Label }) {
  const { name, gid, vendor, announced, box, hasClaim, group, knocking } = label;
  return (
    <Facts
      rows={[
        ['Name', name],
        ['Batch id, by fours', <code key="g">{shortGid(gid)}</code>],
        ['Maker', vendor ?? <span class="quiet">not in the code</span>],
        [
          'Devices',
          announced === null ? (
            <span class="quiet">not in the code; what is printed beside it may say how many</span>
          ) : (
            announced.toLocaleString('en')
          ),
        ],
        ...(box === null
          ? []
          : [
              [
                'Box',
                `${box.number.toLocaleString('en')} of ${box.boxes.toLocaleString('en')}, with ${count(box.devices, 'device')}`,
              ] as const,
            ]),
        ['Signature of the maker', <Signature key="s" {...label} />],
        ['Claim secret', hasClaim ? 'on the label' : 'none'],
        ...(group !== null ? [] : [seen(knocking)]),
      ]}
    />
  );
}

/** What is known of the signature, in words that cannot be taken for each other. */
function Signature({ signature, maker }: Label) {
  if (signature === 'none') return <span class="quiet">none</span>;
  if (signature === 'wrong')
    return (
      <span class="bad">
        WRONG: not made with the key that was given. Somebody else may have made this label; the batch cannot
        be admitted by it.
      </span>
    );
  if (signature === 'not-checked')
    return <span>there, not checked: the key of its maker is not known here</span>;
  return (
    <span class="good">
      good: made with the key <code>{shortGid(maker ?? '')}</code>
    </span>
  );
}

/** Whether devices of a batch that is not admitted have tried. */
const seen = (knocking: Label['knocking']): readonly [string, ComponentChildren] => [
  'Seen here',
  knocking === null ? (
    <span class="quiet">none of its devices has tried yet</span>
  ) : (
    <>
      trying since <When at={knocking.first} />: {count(knocking.attempts, 'attempt')} from{' '}
      {knocking.countries.map(placeWords).join(', ')}, which prove nothing yet
    </>
  ),
];

function Admit({ text, label, maker }: Found) {
  const networks = useQuery('networks to choose', ['network'], () => run('network-list', { limit: 200 }));
  const [chosen, setChosen] = useState<string>();
  const [announced, setAnnounced] = useState(label.announced === null ? '' : String(label.announced));
  const [given, setGiven] = useState<Partial<Limits>>({});
  const [paused, setPaused] = useState(false);
  const [roster, setRoster] = useState(NO_ROSTER);
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  // As many as announced, unless somebody says otherwise.
  const { most = announced, countries = '' } = given;
  const rows = networks.data?.rows ?? [];
  const network = rows.find(({ prefix }) => prefix === chosen) ?? rows[0];
  if (networks.data === undefined)
    return networks.problem === undefined ? null : (
      <ProblemBox problem={networks.problem} again={networks.again} />
    );
  if (network === undefined)
    return (
      <p class="empty">
        There is no network yet for its devices.{' '}
        {may('networks.write') ? <a href={hrefOf(['networks'])}>Add one</a> : 'Ask an owner to add one.'}
      </p>
    );
  const admit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem(undefined);
    try {
      await run('group-add', {
        label: text,
        network: network.prefix,
        // Empty: not known, whatever the label says.
        announced: Number(announced),
        ...(most !== '' && { most: Number(most) }),
        countries: countriesIn(countries),
        ...(paused && { status: 'suspended' }),
        ...(roster.file !== undefined && { roster: roster.file.header }),
        maker,
      });
      if (roster.file !== undefined) upload(label.gid, roster.file, roster.names);
      newest.value = undefined;
      go(hrefOf(['batches', label.gid]));
    } catch (error) {
      setProblem(problemOf(error));
      setBusy(false);
    }
  };
  return (
    <form class="admit" onSubmit={admit}>
      <ChoiceField
        label="Network"
        value={network.prefix}
        change={setChosen}
        choices={rows.map(({ name, prefix }) => [prefix, name === '' ? prefix : `${name} (${prefix})`])}
      />
      <TextField
        label="How many devices are announced"
        type="number"
        value={announced}
        change={setAnnounced}
        hint={
          label.announced === null
            ? 'The code does not say. Type what is printed beside it, or what the shipment says: then you see how many are missing.'
            : 'As the code says: you see how many are missing.'
        }
      />
      <LimitFields
        most={most}
        countries={countries}
        change={(changed) => setGiven({ ...given, ...changed })}
      />
      <RosterFields chosen={roster} change={setRoster} optional />
      {network.residentOnly && roster.file === undefined && (
        <p class="note note-warn">
          This network takes only devices whose roster says that their chips keep their keys: without it none
          of this batch gets in.
        </p>
      )}
      <label class="check">
        <input
          type="checkbox"
          checked={paused}
          onChange={(event) => setPaused(event.currentTarget.checked)}
        />{' '}
        Start suspended: nothing enters until the batch is resumed
      </label>
      <p>
        {paused
          ? 'The batch is known from then on, and its devices are refused until it is resumed.'
          : `Each device of the batch that proves itself${roster.file === undefined ? '' : ' and is on the roster'} gets an address in ${network.name || network.prefix}, ${roster.file === undefined ? 'from now on' : 'once all of the roster is here'}.`}
      </p>
      {problem !== undefined && <ProblemBox problem={problem} />}
      <button type="submit" class="primary wide" disabled={busy}>
        {busy ? 'One moment …' : 'Admit the batch'}
      </button>
    </form>
  );
}
