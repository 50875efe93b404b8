import { type Control, type Received, serveControl, TextAnswer } from '../os/net/control-socket.ts';
import type { Log } from '../os/service/log.ts';
import { fromHex } from '../protocol/bytes.ts';
import { isFailure } from '../protocol/failure.ts';
import { serializeFailure } from '../protocol/failure-message.ts';
import { OPERATIONS } from './operations/all.ts';
import { anything, fields, list, text } from './operations/input.ts';
import { MOST_ROWS, type Running } from './operations/operation.ts';
import { type Call, CHANGED_PATH, OPERATION_PATH, type Reply, SESSIONS_PATH } from './operations/running.ts';
import type { Registry } from './registry/registry.ts';
import { ownTurn } from './registry/turns.ts';
import type { HostRoutes } from './router/host-routes.ts';
import { METRICS_TYPE, routerMetrics } from './router/metrics.ts';
import type { Router } from './router/router.ts';
import { sessionList } from './session-list.ts';

const LONGEST_ACTOR = 200;
/** Rows of a list that an operation reads in one turn of the event loop: some milliseconds, whoever asks for how many. */
const ROWS_AT_ONCE = 200;
/** Before there is a router. */
const NO_SESSIONS = { sessions: () => [] };

/** The running fabric, whose parts start after its control socket. */
export interface Parts {
  readonly registry: Registry;
  readonly log: Log;
  router?: Router;
  routes?: HostRoutes;
}

/**
 * Serves the control socket of a fabric. While it does, commands run their operations here, so that one process writes
 * to the registry. The socket lies in the data folder, which only the fabric's user may enter; whoever may use it is
 * trusted to name the actor.
 * @throws Failure `control.in-use`, `control.cannot-listen`
 */
export function startControl(path: string, parts: Parts): Promise<Control> {
  /** Passes committed changes to the parts; when it resolves they have acted on them. */
  const applyChanges = async (): Promise<void> => {
    await parts.registry.catchUp();
    await parts.routes?.settled();
  };
  const running: Running = {
    // The change is committed: whatever fails here, it holds, and the registry is read again within a moment.
    notify: async () => {
      try {
        await applyChanges();
        return 'in force';
      } catch (error) {
        parts.log('error', `a change could not be applied at once: ${(error as Error).message}`);
        return `the fabric did not confirm it: ${(error as Error).message}`;
      }
    },
    presence: async () => parts.registry.isConnected,
  };
  return serveControl(path, async (question) => {
    const request = `${question.method} ${question.path}`;
    const { router } = parts;
    if (request === `GET ${SESSIONS_PATH}`) return sessionList(router ?? NO_SESSIONS, question.query);
    if (request === `POST ${SESSIONS_PATH}`) return connectedOf(await question.json(), parts.registry);
    if (request === 'GET /metrics' && router !== undefined) {
      return new TextAnswer(METRICS_TYPE, routerMetrics(router, await router.trafficInTurns()));
    }
    if (request === `POST ${CHANGED_PATH}`) {
      await applyChanges();
      return {};
    }
    if (request.startsWith(`POST ${OPERATION_PATH}`)) return runOperation(question, parts, running);
    return undefined;
  });
}

/** Which of these devices have a tunnel, by their addresses (32 hex digits each). @throws Failure `fabric.bad-input`, `bytes.bad-hex` */
function connectedOf(body: unknown, registry: Registry): readonly boolean[] {
  const { addresses } = fields<{ addresses: readonly string[] }>(body, {
    addresses: list(text(32), MOST_ROWS),
  });
  return addresses.map((address) => registry.isConnected(fromHex(address)));
}

/** Runs the operation named by the path; undefined if there is none of that name. */
async function runOperation(
  question: Received,
  { registry, log }: Parts,
  running: Running,
): Promise<Reply | undefined> {
  const name = question.path.slice(OPERATION_PATH.length);
  const operation = OPERATIONS.get(name);
  if (operation === undefined) return undefined;
  try {
    const call = fields<Call>(await question.json(), { actor: text(LONGEST_ACTOR), input: anything });
    await ownTurn();
    const context = { registry, running, actor: call.actor, mostRows: ROWS_AT_ONCE };
    return { view: await operation.run(context, call.input as never) };
  } catch (error) {
    if (!isFailure(error)) log('error', `operation ${name}: ${(error as Error).stack}`);
    return { failure: serializeFailure(error) };
  }
}
