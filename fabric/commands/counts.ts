import type { HandshakeCountView } from '../operations/audit.ts';
import { when } from './list.ts';

/** Handshakes of which only the number is kept, e.g. "provisioned again 1,234 times between 2026-01-01 10:00:00 and …". */
export function countText({ result, times, first, last }: HandshakeCountView): string {
  const what = result === 'ok' ? 'provisioned again' : `refused (${result})`;
  const often = times === 1 ? 'once' : `${times.toLocaleString('en')} times`;
  return `${what} ${often} between ${when(first)} and ${when(last)}`;
}
