import { useEffect, useState } from 'preact/hooks';
import { hrefOf, type Route } from '../app/address.ts';
import { go } from '../app/route.ts';

const TYPING_MS = 250;

/** A search of a list; what is searched for stands in the address as `q`. */
export function Search({ route, label }: { readonly route: Route; readonly label: string }) {
  const asked = route.query.get('q') ?? '';
  const [typed, setTyped] = useState(asked);
  useEffect(() => setTyped(asked), [asked]);
  useEffect(() => {
    if (typed === asked || (typed !== '' && typed.trim().length < 3)) return;
    const timer = setTimeout(() => {
      const { after: _, ...others } = Object.fromEntries(route.query);
      go(hrefOf(route.path, { ...others, q: typed.trim() }));
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed, asked]);
  return (
    <input
      type="search"
      class="search"
      data-search
      aria-label={`Search: ${label}`}
      placeholder={label}
      value={typed}
      maxLength={64}
      onInput={(event) => setTyped(event.currentTarget.value)}
    />
  );
}
