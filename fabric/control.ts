import { type Control, type Received, serveControl, TextAnswer } from '../os/net/control-socket.ts';
import type { Log } from '../os/service/log.ts';
import { fromHex } from '../protocol/bytes.ts';
import { isFailure } from '../protocol/failure.ts';
import { serializeFailure } from '../protocol/failure-message.ts';
import { type Account, account } from './account/account.ts';
import { consoleAddress } from './console-address.ts';
import type { HostRoutes } from './host/routes.ts';
import { type Jobs, openJobs } from './jobs/jobs.ts';
import type { JobKeeper } from './jobs/kept.ts';
import { METRICS_TYPE } from './metrics/exposition.ts';
import { actorOf } from './operations/actors.ts';
import { DRAIN_PATH, type DrainView, LONGEST_DRAIN, RESUME_PATH } from './operations/contract/draining.ts';
import { anything, checker, list, objectOf, optional, text, whole } from './operations/contract/input.ts';
import { type Contact, MOST_ROWS, type Running } from './operations/contract/operation.ts';
import { SERVING_PATH, type Serving } from './operations/contract/serving.ts';
import { CONSOLE_PATH, NEWS_PATH, parsePosition, waitForNews } from './operations/news.ts';
import { perform } from './operations/perform.ts';
import { type Call, CHANGED_PATH, OPERATION_PATH, type Reply, SESSIONS_PATH } from './operations/running.ts';
import type { AuthorityKeeper } from './pki/keeper.ts';
import { DUTIES, type Duty } from './registry/nodes.ts';
import type { Registry } from './registry/registry.ts';
import { ownTurn } from './registry/turns.ts';
import type { Router } from './router/router.ts';
import { sessionList } from './session-list.ts';

const LONGEST_ACTOR = 200;
/** Bytes: a part of a roster is the longest. */
const LONGEST_QUESTION = 1_048_576;
const LONGEST_OWNER = 63;
/** Rows of a list that an operation reads in one turn of the event loop: some milliseconds, whoever asks for how many. */
const ROWS_AT_ONCE = 200;
/** Before there is a router. */
const NO_SESSIONS = { sessions: () => [] };

const WHOLE = whole(1, Number.MAX_SAFE_INTEGER);
const checkCall = checker(
  objectOf({
    actor: text(LONGEST_ACTOR),
    token: optional(text(64)),
    person: optional(
      objectOf({ id: WHOLE, generation: WHOLE, proved: optional(whole(0, Number.MAX_SAFE_INTEGER)) }),
    ),
    owner: optional(text(LONGEST_OWNER)),
    input: anything,
  }),
);

const checkDrain = checker(
  objectOf({ within: whole(0, LONGEST_DRAIN), retryAfter: whole(0, LONGEST_DRAIN) }),
);
const checkAddresses = checker(objectOf({ addresses: list(text(32), MOST_ROWS) }));

/** The running fabric, whose parts start after its control socket. */
export interface Parts {
  readonly registry: Registry;
  /** Once it is started. */
  keys?: Promise<AuthorityKeeper>;
  /** Once this is the only fabric on the folder; without it jobs are in memory alone. */
  jobs?: Promise<JobKeeper>;
  readonly log: Log;
  /** What this fabric serves: all, unless given. */
  readonly serves?: readonly Duty[];
  router?: Router;
  routes?: HostRoutes;
  /** In Prometheus' text format, once it is started. */
  metrics?: () => Promise<string>;
  /** Once it is started. */
  serving?: () => Promise<Serving>;
}

/**
 * Serves the control socket of a fabric. While it does, commands run their operations here, so that one process writes
 * to the registry. The socket lies in the data folder, which only the fabric's user may enter; whoever may use it is
 * trusted to name the actor.
 * @throws Failure `control.in-use`, `control.cannot-listen`
 */
export async function startControl(path: string, parts: Parts): Promise<Control> {
  /** Passes committed changes to the parts; when it resolves they have acted on them. */
  const applyChanges = async (): Promise<void> => {
    await parts.registry.catchUp();
    await parts.router?.settled();
    await parts.routes?.settled();
  };
  const running: Running = {
    // The change is committed: whatever fails here, it holds, and the registry is read again within a moment.
    notify: async () => {
      try {
        await applyChanges();
        return 'in force';
      } catch (error) {
        parts.log('error', `a change could not be applied at once: ${(error as Error).message}`, error);
        return `the fabric did not confirm it: ${(error as Error).message}`;
      }
    },
    presence: async () => (address) => contactOf(address, parts),
    learned: async () => parts.router?.learned,
    ruleCounts: async (network) => parts.router?.ruleCounts(network),
    limited: async (address) => parts.router?.limited(address),
  };
  const signing = account(parts.registry);
  const onJobError = (error: unknown): void => parts.log('error', `job: ${(error as Error).stack}`);
  let opened: Jobs | undefined;
  const jobs = Promise.resolve(parts.jobs).then((keeper) => {
    opened = openJobs(Date.now, onJobError, keeper);
    return opened;
  });
  const console = consoleAddress();
  const stopping = new AbortController();
  const control = await serveControl(
    path,
    async (question) => {
      const request = `${question.method} ${question.path}`;
      const { router } = parts;
      if (request === `GET ${SESSIONS_PATH}`) return sessionList(router ?? NO_SESSIONS, question.query);
      if (request === `POST ${SESSIONS_PATH}`) return contactsOf(await question.json(), parts);
      if (request === `GET ${SERVING_PATH}`) return (await parts.serving?.()) ?? null;
      const drained = await drainOf(question, parts);
      if (drained !== undefined) return drained;
      if (request === 'GET /metrics' && parts.metrics !== undefined) {
        return new TextAnswer(METRICS_TYPE, await parts.metrics());
      }
      if (request === `POST ${CHANGED_PATH}`) {
        await applyChanges();
        return {};
      }
      if (request === `GET ${CONSOLE_PATH}`) return { url: console.url };
      if (request === `GET ${NEWS_PATH}`) {
        console.heard(question.query);
        const signal = AbortSignal.any([
          stopping.signal,
          ...(question.signal === undefined ? [] : [question.signal]),
        ]);
        return waitForNews(parts.registry, parsePosition(question.query), signal);
      }
      if (request.startsWith(`POST ${OPERATION_PATH}`))
        return runOperation(question, parts, { running, jobs: await jobs }, signing);
      return undefined;
    },
    LONGEST_QUESTION,
  );
  return {
    async close(graceMs) {
      stopping.abort();
      await control.close(graceMs);
      await opened?.close();
    },
  };
}

/** Undefined: it is about something else, or there is no router yet. */
async function drainOf(
  question: Received,
  { serves = DUTIES, router }: Parts,
): Promise<DrainView | undefined> {
  const request = `${question.method} ${question.path}`;
  const [drain, resume] = [`POST ${DRAIN_PATH}`, `POST ${RESUME_PATH}`];
  if (![`GET ${DRAIN_PATH}`, drain, resume].includes(request)) return undefined;
  const wish = request === drain ? checkDrain(await question.json()) : undefined;
  if (!serves.includes('tunnels')) return { draining: null, tunnels: null };
  if (wish !== undefined) await router?.drain(wish);
  else if (request === resume) await router?.resume();
  return router && drainView(router);
}

function drainView({ draining, sizes: tunnels }: Router): DrainView {
  if (draining === undefined) return { draining: null, tunnels };
  const { sinceMs, within, retryAfter } = draining;
  return { draining: { since: new Date(sinceMs).toISOString(), within, retryAfter }, tunnels };
}

/** What is known of these devices, by their addresses (32 hex digits each). @throws Failure `fabric.bad-input`, `bytes.bad-hex` */
function contactsOf(body: unknown, parts: Parts): readonly Contact[] {
  return checkAddresses(body).addresses.map((address) => contactOf(fromHex(address), parts));
}

function contactOf(address: Uint8Array, { registry, router }: Parts): Contact {
  const silentSince = router?.silentSince(address);
  return { online: registry.isConnected(address), ...(silentSince !== undefined && { silentSince }) };
}

/** Runs the operation named by the path; undefined if there is none of that name. */
async function runOperation(
  question: Received,
  { registry, keys, log }: Parts,
  doing: { readonly running: Running; readonly jobs: Jobs },
  signing: Account,
): Promise<Reply | undefined> {
  const name = question.path.slice(OPERATION_PATH.length);
  try {
    const call: Call = checkCall(await question.json());
    await ownTurn();
    const actor = await actorOf(registry, call);
    const context = {
      ...{ registry, ...doing, now: Date.now, mostRows: ROWS_AT_ONCE },
      ...(keys !== undefined && { keys: () => keys }),
    };
    return (
      (await signing.perform(name, actor, call.input)) ?? (await perform(name, actor, context, call.input))
    );
  } catch (error) {
    if (!isFailure(error)) log('error', `operation ${name}: ${(error as Error).stack}`);
    return { failure: serializeFailure(error) };
  }
}
