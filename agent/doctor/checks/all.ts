import type { Check, Finding } from '../check.ts';
import type { Probes } from '../probes.ts';
import { captivePortal } from './captive-portal.ts';
import { clock } from './clock.ts';
import { credential } from './credential.ts';
import { disk } from './disk.ts';
import { dns } from './dns.ts';
import { foreignManagers } from './foreign-managers.ts';
import { forwarding } from './forwarding.ts';
import { ipv6 } from './ipv6.ts';
import { nvObjects } from './nv-objects.ts';
import { pathMtu } from './path-mtu.ts';
import { ports } from './ports.ts';
import { proxy } from './proxy.ts';
import { route } from './route.ts';
import { state } from './state.ts';
import { tls } from './tls.ts';
import { tpmCapabilities } from './tpm-capabilities.ts';
import { tpmDevice } from './tpm-device.ts';
import { tpmLockout } from './tpm-lockout.ts';
import { tun } from './tun.ts';

/** All checks, from the machine outwards. */
export const CHECKS: readonly Check[] = [
  clock,
  disk,
  state,
  tun,
  ipv6,
  forwarding,
  foreignManagers,
  tpmDevice,
  tpmCapabilities,
  tpmLockout,
  nvObjects,
  credential,
  dns,
  route,
  proxy,
  ports,
  tls,
  captivePortal,
  pathMtu,
];

export interface Examined extends Finding {
  readonly id: string;
}

/** Carries out the checks one after the other. A mistake in one is its finding, and does not keep the others from being made. */
export async function examine(checks: readonly Check[], probes: Probes): Promise<readonly Examined[]> {
  const findings: Examined[] = [];
  for (const { id, run } of checks) {
    findings.push({ id, ...(await run(probes).catch(mistake)) });
  }
  return findings;
}

const mistake = (error: unknown): Finding => ({
  outcome: 'failed',
  message: `the check itself broke: ${(error as Error)?.message ?? String(error)}`,
  remedy: 'Report this.',
});

/** The findings for people, one line each and what to do below. */
export function describeFindings(findings: readonly Examined[]): string {
  const width = Math.max(...findings.map(({ id }) => id.length));
  return findings
    .flatMap(({ id, outcome, message, remedy }) => [
      `${outcome.padEnd(7)}  ${id.padEnd(width)}  ${message}`,
      ...(remedy === undefined ? [] : [`${' '.repeat(11 + width)}→ ${remedy}`]),
    ])
    .join('\n');
}

/** False if anything has failed. */
export const isHealthy = (findings: readonly Examined[]): boolean =>
  findings.every(({ outcome }) => outcome !== 'failed');
