import type { Control, Loopback } from '../../os/net/control-socket.ts';
import { serveLoopback, TextAnswer } from '../../os/net/control-socket.ts';
import type { Log } from '../../os/service/log.ts';
import { VERSION } from '../../os/service/process.ts';
import { isFailure } from '../../protocol/failure.ts';
import { EVERYTHING } from '../access/scope.ts';
import { lastBackup } from '../backup/last.ts';
import type { Duty } from '../registry/nodes.ts';
import type { Registry } from '../registry/registry.ts';
import type { Router } from '../router/router.ts';
import { METRICS_TYPE } from './exposition.ts';
import { type FabricFacts, fabricMetrics } from './fabric.ts';
import type { HandshakeNumbers } from './handshakes.ts';
import { routerMetrics } from './router.ts';

/** A scrape each few seconds by several readers costs no more than one. */
const KEPT_MS = 1_000;

export interface MetricSources {
  readonly data: string;
  readonly registry: Pick<Registry, 'of'>;
  readonly serves: readonly Duty[];
  /** Absent: it is not served here. */
  readonly router?: Router;
  readonly certificates: () => Promise<FabricFacts['certificates']>;
  /** Absent: none are served here. */
  readonly handshakes?: () => HandshakeNumbers;
}

/** All metrics of a fabric as text, at most a second old. */
export function metricsOf(sources: MetricSources): () => Promise<string> {
  const registry = sources.registry.of(EVERYTHING);
  const { data, serves, router, certificates, handshakes } = sources;
  const read = async (): Promise<string> =>
    fabricMetrics({
      ...{ version: VERSION, serves },
      census: await registry.census(),
      ...(handshakes !== undefined && { handshakes: handshakes() }),
      certificates: await certificates(),
      backupAt: await lastBackup(data),
      ...(serves.includes('console') && { alarms: await registry.newAlarms() }),
    }) + (router === undefined ? '' : routerMetrics(router, await router.trafficInTurns()));
  let kept: { readonly at: number; readonly text: Promise<string> } | undefined;
  return () => {
    const at = performance.now();
    if (kept === undefined || at - kept.at >= KEPT_MS) kept = { at, text: read() };
    return kept.text;
  };
}

/** Answers `GET /metrics` on loopback, and nothing else. Without it the fabric serves all the same. Returns a function that ends it. */
export async function openMetrics(
  at: Loopback,
  metrics: () => Promise<string>,
  log: Log,
): Promise<() => Promise<void>> {
  let server: Control | undefined;
  try {
    server = await serveLoopback(at, async ({ method, path }) =>
      method === 'GET' && path === '/metrics' ? new TextAnswer(METRICS_TYPE, await metrics()) : undefined,
    );
  } catch (error) {
    if (!isFailure(error)) throw error;
    log('warning', `${error.code}: ${error.message}; the fabric runs without metrics on loopback`);
  }
  return async () => server?.close(0);
}
