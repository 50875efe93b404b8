import { toHex } from '../../../protocol/bytes.ts';
import type { Report } from '../../../protocol/tunnel/report.ts';
import { type NewestWrites, newestWrites } from './newest-writes.ts';

/** What is noted of a device's newest tunnel: that it began, that it ended, or both. */
export interface TunnelNote {
  readonly address: Uint8Array;
  /** Which tunnel it is, if a node has attached it. */
  readonly generation?: number;
  readonly begun?: { readonly at: number; readonly from: string };
  readonly ended?: number;
}

/** What a device has reported, and when. */
export interface ReportNote {
  readonly address: Uint8Array;
  readonly at: number;
  readonly report: Report;
}

/** Writes about one device: so many at once, and one in each period. */
const WRITES = { burst: 6, periodMs: 10_000 };

/** Tunnels and reports as an engine writes them: the newest of each device, however often they change. */
export function tunnelNotes(
  write: (note: TunnelNote) => void,
  writeReport: (note: ReportNote) => void,
): { tunnel(note: TunnelNote): void; report(note: ReportNote): void; flush(): void } {
  const tunnels: NewestWrites<TunnelNote> = newestWrites(write, newestTunnel, WRITES);
  const reports: NewestWrites<ReportNote> = newestWrites(writeReport, newestReport, WRITES);
  return {
    tunnel: (note) => tunnels.put(toHex(note.address), note),
    report: (note) => reports.put(toHex(note.address), note),
    flush() {
      tunnels.flush();
      reports.flush();
    },
  };
}

/** An end is that of the tunnel before it. */
const newestTunnel = (older: TunnelNote, newer: TunnelNote): TunnelNote =>
  newer.begun === undefined ? { ...older, ...newer } : newer;

/** A report without a failure leaves the last one. */
function newestReport(older: ReportNote, newer: ReportNote): ReportNote {
  const { failure } = older.report;
  if (newer.report.failure !== undefined || failure === undefined) return newer;
  const seconds = failure.seconds + Math.max(0, Math.round((newer.at - older.at) / 1_000));
  return { ...newer, report: { ...newer.report, failure: { ...failure, seconds } } };
}
