import { useEffect, useRef, useState } from 'preact/hooks';
import { hrefOf, type Route } from '../app/address.ts';
import { go } from '../app/route.ts';

const TYPING_MS = 250;

/** A search of a list; what is searched for stands in the address as `q`. */
export function Search({ route, label }: { readonly route: Route; readonly label: string }) {
  const asked = route.query.get('q') ?? '';
  const [typed, setTyped] = useState(asked);
  // What this field has asked for itself says nothing new: somebody may be typing on.
  const known = useRef(asked);
  useEffect(() => {
    if (asked === known.current) return;
    known.current = asked;
    setTyped(asked);
  }, [asked]);
  useEffect(() => {
    const wanted = typed.trim();
    if (wanted === asked || (wanted !== '' && wanted.length < 3)) return;
    const timer = setTimeout(() => {
      known.current = wanted;
      const { after: _, ...others } = Object.fromEntries(route.query);
      go(hrefOf(route.path, { ...others, q: wanted }));
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
