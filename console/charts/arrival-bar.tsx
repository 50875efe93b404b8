import { count } from '../app/words.ts';

/** How many devices of a batch have come, of those announced. */
export function ArrivalBar({
  arrived,
  announced,
}: {
  readonly arrived: number;
  readonly announced: number | null;
}) {
  if (announced === null) return <span>{count(arrived, 'device')}</span>;
  const over = arrived > announced;
  return (
    <span class="arrival">
      <meter min={0} max={announced} value={Math.min(arrived, announced)} aria-hidden="true" />
      <span class={over ? 'bad' : ''}>
        {arrived.toLocaleString('en')} of {announced.toLocaleString('en')}
        {over && ': more than announced'}
      </span>
    </span>
  );
}
