import { placeWords } from '../app/words.ts';
import { TextField } from './field.tsx';

/** The limits of a batch, as they are typed. */
export interface Limits {
  readonly most: string;
  readonly countries: string;
}

/** How many devices may come, and from where for the first time. */
export function LimitFields({
  most,
  countries,
  change,
}: Limits & { readonly change: (limits: Partial<Limits>) => void }) {
  return (
    <>
      <TextField
        label="Let in at most"
        type="number"
        value={most}
        change={(text) => change({ most: text })}
        hint="Further devices are refused, and you hear of it. Those that have come stay. Empty: any number."
      />
      <TextField
        label="New devices only from"
        value={countries}
        change={(text) => change({ countries: text })}
        placeholder="CH, DE"
        hint="Two letters for each country in which the address has to be registered. Empty: from anywhere. Addresses of private networks or of unknown places are refused then, unless “private” or “unknown” stands here, too."
      />
    </>
  );
}

/** The countries that were typed. */
export const countriesIn = (text: string): string[] => text.split(/[\s,;]+/).filter((word) => word !== '');

/** Where new devices may come from, in words. */
export const countriesWords = (countries: readonly string[] | null): string =>
  countries === null
    ? 'anywhere'
    : countries.map((each) => placeWords(each === 'unknown' ? null : each)).join(', ');
