import { hrefOf, type Route } from '../app/address.ts';
import { go } from '../app/route.ts';

/** Values of one filter with what they are called; the first one is "all". */
export interface FilterChoice {
  readonly field: string;
  readonly label: string;
  readonly choices: readonly (readonly [value: string, name: string])[];
}

/** Filters of a list. They stand in the address, so that it can be shared. */
export function Filters({
  route,
  filters,
}: {
  readonly route: Route;
  readonly filters: readonly FilterChoice[];
}) {
  const now = Object.fromEntries(route.query);
  const set = (field: string, value: string): void => {
    const { after: _, ...others } = now;
    go(hrefOf(route.path, { ...others, [field]: value }));
  };
  return (
    <div class="filters">
      {filters.map(({ field, label, choices }) => (
        <label key={field}>
          <span>{label}</span>
          <select value={now[field] ?? ''} onChange={(event) => set(field, event.currentTarget.value)}>
            {choices.map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </label>
      ))}
      {Object.keys(now).some((field) => field !== 'after') && (
        <button type="button" class="link" onClick={() => go(hrefOf(route.path))}>
          Clear
        </button>
      )}
    </div>
  );
}
