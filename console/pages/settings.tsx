import { useState } from 'preact/hooks';
import { run, type ViewOf } from '../api/operations.ts';
import type { Route } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { may } from '../app/session.ts';
import { count } from '../app/words.ts';
import { ChoiceField, TextField } from '../parts/field.tsx';
import { Page, Section } from '../parts/page.tsx';
import { ProblemBox } from '../parts/problem.tsx';
import { Sheet } from '../parts/sheet.tsx';
import { Rows } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';

type Privacy = ViewOf<'privacy-show'>;
type Kept = Privacy['addresses'];

const KEPT: readonly (readonly [Kept, string])[] = [
  ['whole', 'the whole address'],
  ['cut', 'its network: /24 of IPv4, /48 of IPv6'],
  ['none', 'nothing of it'],
];

/** An address for documentation, as each choice keeps it. */
const EXAMPLE: Readonly<Record<Kept, string>> = {
  whole: '2001:db8:47:11::2c9',
  cut: '2001:db8:47::/48',
  none: 'not kept',
};

/** From least to most forgotten. */
const ORDER: readonly Kept[] = ['whole', 'cut', 'none'];

/** What an owner has chosen for all that the fabric keeps of its devices. */
export function Settings(_: { readonly route: Route }) {
  const { data, problem, again } = useQuery('privacy', ['audit'], () => run('privacy-show', {}));
  return (
    <Page title="Settings" sub="What the fabric keeps of where your devices come from.">
      {problem !== undefined && <ProblemBox problem={problem} again={again} />}
      {data !== undefined && (
        // A choice that somebody else makes meanwhile is shown as it is.
        <PrivacyDial key={JSON.stringify(data)} chosen={data} again={again} />
      )}
    </Page>
  );
}

function PrivacyDial({ chosen, again }: { readonly chosen: Privacy; readonly again: () => void }) {
  const [kept, setKept] = useState(chosen.addresses);
  const [days, setDays] = useState(String(chosen.days ?? ''));
  const [asked, ask] = useState(false);
  const wanted = Number(days) === 0 ? null : Number(days);
  const changes = may('settings.write');
  const differs = kept !== chosen.addresses || wanted !== chosen.days;
  return (
    <Section title="Addresses of handshakes">
      <form
        class="admit"
        onSubmit={(event) => {
          event.preventDefault();
          if (differs) ask(true);
        }}
      >
        <fieldset class="bare-set" disabled={!changes}>
          <ChoiceField
            label="Of the address a handshake comes from is kept"
            value={kept}
            change={(value) => setKept(KEPT.find(([each]) => each === value)?.[0] ?? kept)}
            choices={KEPT}
          />
          <TextField
            label="For how many days"
            type="number"
            value={days}
            change={setDays}
            placeholder="no end"
            hint="After that a handshake is only counted. Empty: the newest 50 of each device stay."
          />
        </fieldset>
        <Rows
          caption="A handshake as it will be kept"
          rows={[kept]}
          keyOf={(each) => each}
          columns={[
            { name: 'When', kind: 'main', cell: () => 'today, 14:02' },
            { name: 'From', cell: (each) => <code>{EXAMPLE[each]}</code> },
            { name: 'Address registered in', cell: () => 'Switzerland' },
            { name: 'Gone', cell: () => (wanted === null ? 'not by age' : `after ${count(wanted, 'day')}`) },
          ]}
        />
        {changes && (
          <button type="submit" class="primary" disabled={!differs}>
            Save
          </button>
        )}
      </form>
      <p class="quiet">
        {!changes && 'An owner chooses this. '}
        {chosen.chosen === null ? (
          'Nobody has chosen yet: this is how a fabric begins.'
        ) : (
          <>
            {chosen.chosen.by ?? 'Whoever runs the fabric'} chose this <When at={chosen.chosen.at} />
            {chosen.chosen.of === 'host' && chosen.chosen.by === null && ', for owners who have not chosen'}.
          </>
        )}{' '}
        The country is looked up before an address is cut, and stays; a city is kept as long as something of
        its address. The audit trail, older backups and what was sent to hooks keep what they have.
      </p>
      {asked && (
        <ConfirmSheet
          kept={kept}
          days={wanted}
          forgets={forgets(chosen, kept, wanted)}
          close={() => ask(false)}
          done={again}
        />
      )}
    </Section>
  );
}

/** Is less kept than before? */
const forgets = (chosen: Privacy, kept: Kept, days: number | null): boolean =>
  ORDER.indexOf(kept) > ORDER.indexOf(chosen.addresses) ||
  (days !== null && (chosen.days === null || days < chosen.days));

function ConfirmSheet({
  kept,
  days,
  forgets: danger,
  close,
  done,
}: {
  readonly kept: Kept;
  readonly days: number | null;
  readonly forgets: boolean;
  readonly close: () => void;
  readonly done: () => void;
}) {
  const act = async (): Promise<void> => {
    await run('privacy-change', { addresses: kept, days: days ?? 0 });
    done();
  };
  return (
    <Sheet title="Change what is kept?" verb="Change" danger={danger} act={act} close={close}>
      <p>
        {danger
          ? 'This is applied to what is there, too, within some minutes. What is forgotten does not come back.'
          : 'This holds for what comes from now on. What was forgotten before does not come back.'}
      </p>
    </Sheet>
  );
}
