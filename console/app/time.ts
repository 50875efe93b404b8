import { signal } from '@preact/signals';

/** Milliseconds since 1970, as pages see it: every ten seconds a new one. */
export const now = signal(Date.now());
setInterval(() => {
  now.value = Date.now();
}, 10_000);

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
] as const;

/** How long ago, in one unit: "3 min ago". */
export function ago(at: string, from: number = now.value): string {
  const ms = from - Date.parse(at);
  const unit = UNITS.find(([, size]) => Math.abs(ms) >= size);
  if (unit === undefined) return 'just now';
  const count = Math.floor(Math.abs(ms) / unit[1]);
  return ms > 0 ? `${count} ${unit[0]} ago` : `in ${count} ${unit[0]}`;
}

const FORMAT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const MINUTE = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

export const absolute = (at: string): string => FORMAT.format(Date.parse(at));
/** Hours and minutes. */
export const minute = (ms: number): string => MINUTE.format(ms);
export const clock = (ms: number): string => CLOCK.format(ms);
