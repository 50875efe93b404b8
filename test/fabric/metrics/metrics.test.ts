import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { HandshakeRegistry } from '../../../fabric/identity/handshake.ts';
import { fabricMetrics } from '../../../fabric/metrics/fabric.ts';
import { countHandshakes } from '../../../fabric/metrics/handshakes.ts';
import { routerCertificate } from '../../../fabric/pki/x509.ts';
import { DUTIES } from '../../../fabric/registry/nodes.ts';
import { Failure } from '../../../protocol/failure.ts';

const root = {
  name: 'ENF TLS root',
  key: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey,
};
const FACTS = {
  version: '1.2.3',
  serves: DUTIES,
  census: {
    networks: 1,
    groups: 2,
    devices: 30,
    active: 16,
    banned: 4,
    evicted: 5,
    bannedAndEvicted: 1,
    retired: 6,
    suspended: 7,
    connected: 20,
  },
  handshakes: {
    results: new Map([
      ['ok', 8],
      ['fabric.device-banned', 2],
    ]),
    handshakeSeconds: { bounds: [0.1, 1], counts: [6, 3, 1], sum: 4.5 },
    admissionSeconds: { bounds: [0.1, 1], counts: [9, 1, 0], sum: 0.5 },
  },
  certificates: { 'router.pem': routerCertificate({ name: 'ENF router', key: root.key }, root) },
  backupAt: 1_700_000_000_000,
  alarms: 3,
};
const text = fabricMetrics(FACTS);

/** The names of all metrics, of the fabric and of its router. */
const named = (source: string): Set<string> => new Set(source.match(/\benf_(?:fabric|router)_\w+/g));

test('every line is of Prometheus’ text format, and has the value that it should', () => {
  for (const line of text.trimEnd().split('\n'))
    expect(line).toMatch(
      /^(# (HELP|TYPE) enf_fabric_\w+ \S.*|enf_fabric_\w+(\{\w+="[\w.+-]+"\})? [\d.e+-]+)$/,
    );
  for (const line of [
    'enf_fabric_info{version="1.2.3"} 1',
    'enf_fabric_devices 30',
    'enf_fabric_devices_excluded{standing="banned"} 4',
    'enf_fabric_devices_connected 20',
    'enf_fabric_handshakes_total{result="fabric.device-banned"} 2',
    'enf_fabric_handshake_seconds_bucket{le="0.1"} 6',
    'enf_fabric_handshake_seconds_bucket{le="1"} 9',
    'enf_fabric_handshake_seconds_bucket{le="+Inf"} 10',
    'enf_fabric_admission_seconds_sum 0.5',
    'enf_fabric_admission_seconds_count 10',
    'enf_fabric_backup_timestamp_seconds 1700000000',
    'enf_fabric_alarms_open 3',
    'enf_fabric_serves{duty="tunnels"} 1',
  ])
    expect(text).toContain(`${line}\n`);
  expect(text).toMatch(/certificate_end_timestamp_seconds\{file="router\.pem"\} 2534\d{8}\n/);
  expect(fabricMetrics({ ...FACTS, backupAt: undefined })).not.toContain('backup_timestamp');
  const { handshakes: _, alarms: __, ...others } = FACTS;
  const ofRouter = fabricMetrics({ ...others, serves: ['tunnels'] });
  expect(ofRouter).toContain('enf_fabric_serves{duty="identity"} 0\n');
  expect(ofRouter).not.toMatch(/handshake|alarms/);
});

test('docs/fabric.md has a line for each metric, and no other', () => {
  const manual = readFileSync(new URL('../../../docs/fabric.md', import.meta.url), 'utf8');
  const documented = [...manual.matchAll(/^\| `(enf_fabric_\w+)`/gm)].map((row) => row[1]);
  expect(documented).toEqual([...text.matchAll(/^# TYPE (\w+)/gm)].map((row) => row[1]));
});

test('the dashboard and the alert rules name metrics that there are', () => {
  const router = readFileSync(new URL('../../../fabric/metrics/router.ts', import.meta.url), 'utf8');
  const known = new Set([...text.matchAll(/^# TYPE (\w+)/gm)].map((row) => row[1]!));
  for (const [, name] of text.matchAll(/^# TYPE (\w+) histogram/gm)) known.add(`${name}_bucket`);
  for (const [, name] of router.matchAll(/'([a-z_]+)'/g)) known.add(`enf_router_${name}`);
  for (const file of ['enf-fabric.rules.yml', 'enf-fabric.grafana.json']) {
    const source = readFileSync(
      new URL(`../../../packaging/fabric/examples/${file}`, import.meta.url),
      'utf8',
    );
    const used = named(source);
    expect(used.size).toBeGreaterThan(5);
    for (const name of used) expect(known, `${file}: ${name}`).toContain(name);
  }
});

test('handshakes are counted by their result, those that are not listed, too', async () => {
  const refusal = new Failure('fabric.device-banned', 'operator', 'banned');
  let admits = true;
  const passed: unknown[] = [];
  const { registry, numbers } = countHandshakes<HandshakeRegistry>({
    openGroup: () => expect.fail('is not asked'),
    async admit() {
      if (!admits) throw refusal;
      return new Uint8Array(16);
    },
    async refused(...args: unknown[]) {
      passed.push(args);
    },
  });
  const applicant = {} as Parameters<typeof registry.admit>[0];
  await registry.admit(applicant, 2_000);
  admits = false;
  await expect(registry.admit(applicant, 6_000)).rejects.toBe(refusal);
  const handshake = { source: '192.0.2.1', proven: true, result: refusal.code };
  await registry.refused(handshake);
  await registry.refused(handshake, 9);
  expect(passed).toEqual([
    [handshake, 0],
    [handshake, 9],
  ]);
  expect(Object.fromEntries(numbers().results)).toEqual({ ok: 1, 'fabric.device-banned': 11 });
  // What the device has waited before counts for the handshake; what was refused, too.
  const { handshakeSeconds, admissionSeconds } = numbers();
  const below = ({ bounds, counts }: typeof handshakeSeconds, bound: number): number =>
    counts.slice(0, bounds.indexOf(bound) + 1).reduce((sum, each) => sum + each, 0);
  expect([below(handshakeSeconds, 1), below(handshakeSeconds, 5), below(handshakeSeconds, 10)]).toEqual([
    0, 1, 2,
  ]);
  expect(handshakeSeconds.sum).toBeCloseTo(8 + admissionSeconds.sum);
  expect(admissionSeconds.counts.reduce((sum, each) => sum + each, 0)).toBe(2);
});
