import { HOST } from '../access/scope.ts';
import type { Finding, ServerState } from '../registry/alarms.ts';

/** A restart takes less. */
const LOST_LONG_MS = 5 * 60_000;
/** Far more than a standby is behind that keeps up, or is busy. */
const BEHIND_LONG_MS = 5 * 60_000;

/** Database servers of which several take changes at once, that are away for minutes, or lack what was written minutes ago. */
export function serversAmiss(servers: readonly ServerState[]): readonly Finding[] {
  return [...twoPrimaries(servers), ...servers.flatMap(serverAmiss)];
}

function twoPrimaries(servers: readonly ServerState[]): readonly Finding[] {
  const primaries = servers.filter(({ primary }) => primary);
  if (primaries.length < 2) return [];
  const used = primaries.find((each) => each.used)?.place;
  const detail = { servers: primaries.map(({ place }) => place).join(' and '), ...(used && { used }) };
  return [{ kind: 'registry.two-primaries', owner: HOST, subject: 'registry', detail }];
}

function serverAmiss({ place, at, lost, behind }: ServerState): readonly Finding[] {
  const about = { owner: HOST, subject: place };
  if (lost !== undefined && at - lost.since >= LOST_LONG_MS)
    return [{ kind: 'registry.server-lost', ...about, detail: { ...lost, since: iso(lost.since) } }];
  if (behind !== undefined && at - behind.since >= BEHIND_LONG_MS)
    return [{ kind: 'registry.standby-behind', ...about, detail: { ...behind, since: iso(behind.since) } }];
  return [];
}

const iso = (at: number): string => new Date(at).toISOString();
