import { useState } from 'preact/hooks';
import { certificatesIn } from '../../fabric/operations/contract/ca-files.ts';
import type { AnchorPreview, AnchorView } from '../../fabric/operations/views/pki.ts';
import { encodeBase64 } from '../../protocol/identity/base64.ts';
import { run, type ViewOf } from '../api/operations.ts';
import { type Problem, problemOf } from '../api/problem.ts';
import { useQuery } from '../app/query.ts';
import { absolute } from '../app/time.ts';
import { ChoiceField, SmallFileField, TextField } from '../parts/field.tsx';
import { ProblemBox } from '../parts/problem.tsx';
import { Sheet } from '../parts/sheet.tsx';

const LARGEST_FILE = 256 * 1024;
/** More networks than this are not chosen from a list. */
const MOST_SHOWN = 12;

/** A CA in a file of this computer, as the fabric reads it. */
interface Found {
  readonly certificates: readonly string[];
  readonly preview: AnchorPreview;
}

const ADMITS = [
  ['listed', 'Only devices that you list'],
  ['anybody', 'Whoever it gave an address in these networks'],
] as const;

/** Adds a CA: its file is shown as what it is before anything is changed. */
export function AddSheet({
  close,
  done,
}: {
  readonly close: () => void;
  readonly done: (added: AnchorView) => void;
}) {
  const [found, setFound] = useState<Found>();
  const [problem, setProblem] = useState<Problem>();
  const [name, setName] = useState('');
  const [networks, setNetworks] = useState<readonly string[]>([]);
  const [admits, setAdmits] = useState<string>('listed');
  const own = useQuery('networks of a CA', ['network'], () =>
    run('network-list', { limit: MOST_SHOWN }),
  ).data;
  const take = async (bytes: Uint8Array | undefined, file: string): Promise<void> => {
    setFound(undefined);
    setProblem(undefined);
    try {
      if (bytes === undefined) throw new Error(`${file} cannot be read, or is larger than 256 KB.`);
      const certificates = certificatesIn(bytes, file).map(encodeBase64);
      const preview = await run('pki-preview', { certificates });
      setFound({ certificates, preview });
      setName((before) => before || (commonName(preview) ?? ''));
    } catch (error) {
      setProblem(problemOf(error));
    }
  };
  const act = async (): Promise<void> => {
    const { view } = await run('pki-add', {
      ...{ name, networks, certificates: found!.certificates },
      admits: admits === 'anybody' ? 'anybody' : 'listed',
    });
    done(view);
  };
  return (
    <Sheet
      title="Add a CA"
      verb="Add"
      ready={found !== undefined && networks.length > 0}
      act={act}
      close={close}
    >
      <SmallFileField
        label="Its certificate"
        accept=".pem,.crt,.cer,.der"
        most={LARGEST_FILE}
        take={(bytes, file) => void take(bytes, file)}
        hint="PEM: that of the CA first, then intermediates that machines do not show themselves."
      />
      {problem !== undefined && <ProblemBox problem={problem} />}
      {found !== undefined && (
        <>
          <Preview preview={found.preview} />
          <TextField label="Name" value={name} change={setName} required maxLength={60} />
          <NetworkFields own={own} chosen={networks} choose={setNetworks} />
          <ChoiceField
            label="It admits"
            value={admits}
            change={setAdmits}
            choices={ADMITS}
            hint={ADMITS_HINT}
          />
        </>
      )}
    </Sheet>
  );
}

const ADMITS_HINT = 'If it signs people, web servers or the machines of others, too: list.';

/** What people would call it. */
const commonName = ({ certificates }: AnchorPreview): string | undefined =>
  /(?:^|,)CN=([^,\\+]{1,60})/.exec(certificates[0]?.subject ?? '')?.[1];

/** Digits by fours, to be compared by eye. */
const byFours = (hex: string): string => hex.match(/.{1,4}/g)?.join(' ') ?? hex;

function Preview({ preview }: { readonly preview: AnchorPreview }) {
  return (
    <section class="field" aria-label="What is in the file">
      {preview.certificates.map((each, i) => (
        <div key={each.fingerprint} class="note note-plain">
          <p>
            <b>{each.subject || 'A certificate without a subject'}</b>
          </p>
          <p class="under">
            {i === 0 ? 'The CA' : 'Intermediate'}
            {each.root && ', issued by itself'}; {each.key}; until {absolute(each.notAfter)}
          </p>
          <p class="under">
            SHA-256 <code>{byFours(each.fingerprint)}</code>
          </p>
          {each.warnings.map((warning) => (
            <p key={warning} class="warn">
              {warning}
            </p>
          ))}
        </div>
      ))}
      <p class="hint">
        Compare the fingerprint with what the CA says of itself: whoever has its key makes devices of yours.
      </p>
    </section>
  );
}

/** The networks for whose addresses it may vouch: a few to be ticked, of many their names. */
function NetworkFields({
  own,
  chosen,
  choose,
}: {
  readonly own: ViewOf<'network-list'> | undefined;
  readonly chosen: readonly string[];
  readonly choose: (networks: readonly string[]) => void;
}) {
  const [text, setText] = useState('');
  if (own === undefined) return <p class="quiet">One moment …</p>;
  if (own.next !== undefined)
    return (
      <TextField
        label="Networks"
        value={text}
        change={(value) => {
          setText(value);
          choose(
            value
              .split(',')
              .map((each) => each.trim())
              .filter((each) => each !== ''),
          );
        }}
        required
        hint="Names or prefixes, with commas between them: for their addresses it may vouch, for no others."
      />
    );
  if (own.rows.length === 0) return <p class="bad">There is no network yet: add one first.</p>;
  return (
    <fieldset class="bare-set ticks">
      <legend>Networks</legend>
      {own.rows.map(({ prefix, name }) => (
        <label key={prefix} class="tick">
          <input
            type="checkbox"
            checked={chosen.includes(prefix)}
            onChange={(event) =>
              choose(
                event.currentTarget.checked ? [...chosen, prefix] : chosen.filter((each) => each !== prefix),
              )
            }
          />
          <span>
            {name || prefix} {name !== '' && <code class="quiet">{prefix}</code>}
          </span>
        </label>
      ))}
      <p class="hint">For the addresses of these it may vouch, and for no others.</p>
    </fieldset>
  );
}
