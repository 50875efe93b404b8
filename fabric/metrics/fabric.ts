import { X509Certificate } from 'node:crypto';
import { DUTIES, type Duty } from '../registry/nodes.ts';
import type { Census } from '../registry/records.ts';
import { exposition } from './exposition.ts';
import type { HandshakeNumbers } from './handshakes.ts';

/** What the metrics of a fabric are made of, beside those of its router. */
export interface FabricFacts {
  readonly version: string;
  readonly serves: readonly Duty[];
  readonly census: Census;
  /** Absent: none are served here. */
  readonly handshakes?: HandshakeNumbers;
  /** PEM by name of the file. */
  readonly certificates: Readonly<Record<string, string>>;
  /** When the newest backup was made, milliseconds since 1970; undefined if none is known. */
  readonly backupAt: number | undefined;
  /** Alarms that are open and nobody has acknowledged; absent where none are looked for. */
  readonly alarms?: number;
}

/** Prometheus' text format; docs/fabric.md has a line for each metric. */
export function fabricMetrics(facts: FabricFacts): string {
  const { version, serves, census, handshakes, certificates, backupAt, alarms } = facts;
  const { put, putHistogram, text } = exposition('enf_fabric_');
  put('info', 'gauge', 'Always 1; the version as a label.', [`{version="${version}"}`, 1]);
  put(
    'serves',
    'gauge',
    'What this host serves: 1, or 0.',
    ...DUTIES.map((duty) => [`{duty="${duty}"}`, serves.includes(duty) ? 1 : 0] as const),
  );
  put('networks', 'gauge', 'Networks.', ['', census.networks]);
  put('groups', 'gauge', 'Admitted groups, suspended ones too.', ['', census.groups]);
  put('devices', 'gauge', 'Devices, whatever their standing.', ['', census.devices]);
  put(
    'devices_excluded',
    'gauge',
    'Devices that may not enter, by the reason; one may have several.',
    ['{standing="banned"}', census.banned],
    ['{standing="evicted"}', census.evicted],
    ['{standing="retired"}', census.retired],
    ['{standing="suspended"}', census.suspended],
  );
  put('devices_connected', 'gauge', 'Devices with a tunnel.', ['', census.connected]);
  if (handshakes !== undefined) putHandshakes({ put, putHistogram }, handshakes);
  put(
    'certificate_end_timestamp_seconds',
    'gauge',
    'When a certificate ends, seconds since 1970.',
    ...Object.entries(certificates).map(
      ([file, pem]) => [`{file="${file}"}`, Date.parse(new X509Certificate(pem).validTo) / 1_000] as const,
    ),
  );
  if (backupAt !== undefined)
    put('backup_timestamp_seconds', 'gauge', 'When the newest backup was made, seconds since 1970.', [
      '',
      backupAt / 1_000,
    ]);
  if (alarms !== undefined)
    put('alarms_open', 'gauge', 'Alarms that are open and not acknowledged.', ['', alarms]);
  return text();
}

function putHandshakes(
  { put, putHistogram }: Pick<ReturnType<typeof exposition>, 'put' | 'putHistogram'>,
  handshakes: HandshakeNumbers,
): void {
  put(
    'handshakes_total',
    'counter',
    'Handshakes since the start, by result: ok, or the code of the failure.',
    ...[...handshakes.results].map(([result, times]) => [`{result="${result}"}`, times] as const),
  );
  putHistogram(
    'handshake_seconds',
    'From the second message of a device until it was admitted or refused by the registry.',
    handshakes.handshakeSeconds,
  );
  putHistogram(
    'admission_seconds',
    'How much of that the registry took, the flush to the disk included.',
    handshakes.admissionSeconds,
  );
}
