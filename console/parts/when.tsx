import { absolute, ago } from '../app/time.ts';

/** A time: how long ago, with the whole time in its title. */
export function When({
  at,
  never = 'never',
}: {
  readonly at: string | null | undefined;
  readonly never?: string;
}) {
  if (at === null || at === undefined) return <span class="quiet">{never}</span>;
  return (
    <time dateTime={at} title={absolute(at)}>
      {ago(at)}
    </time>
  );
}
