import { issueSecret } from '../access/secrets.ts';
import { parseDestination } from '../alarms/destination.ts';
import type { Delivery, Hook } from '../registry/alarms.ts';
import { badInput, text, whole } from './contract/input.ts';
import { filteredList, isoTime, operation, type ReadContext } from './contract/operation.ts';

export interface HookView {
  readonly id: number;
  readonly name: string;
  /** Where it sends to, without path and query: these may hold a secret. */
  readonly to: string;
  readonly createdBy: string;
  readonly created: string;
}

/** An event that was sent to a hook, or is to be. */
export interface DeliveryView {
  readonly id: number;
  readonly event: string;
  readonly body: string;
  readonly created: string;
  readonly status: Delivery['status'];
  readonly attempts: number;
  /** When it is tried next, or was last tried. */
  readonly at: string;
  readonly error: string | null;
}

const ID = whole(1, Number.MAX_SAFE_INTEGER);

/** All hooks, oldest first. */
export const listHooks = operation<Record<never, never>, { readonly rows: readonly HookView[] }, ReadContext>(
  'hook-list',
  {},
  async ({ registry }) => ({ rows: (await registry.hooks()).map(hookView) }),
);

/** Adds a hook; `secret` is the key of its signatures, which nobody can read again. @throws Failure `fabric.bad-hook`, `fabric.too-many-hooks` */
export const addHook = operation<{ name: string; url: string }, HookView & { readonly secret: string }>(
  'hook-add',
  { name: text(60), url: text(500) },
  async ({ registry, actor }, { name, url }) => {
    if (name.trim() === '') throw badInput('name', 'is empty');
    parseDestination(url);
    const { text: secret } = issueSecret('hook');
    return { ...hookView(await registry.addHook(actor, { name, url, secret })), secret };
  },
);

/** Removes a hook, which hears of that. @throws Failure `fabric.unknown-hook` */
export const removeHook = operation<{ id: number }, { readonly id: number }>(
  'hook-remove',
  { id: ID },
  async ({ registry, actor }, { id }) => {
    await registry.removeHook(actor, id);
    return { id };
  },
);

/** Sends an event to try a hook. @throws Failure `fabric.unknown-hook` */
export const testHook = operation<{ id: number }, { readonly id: number }>(
  'hook-test',
  { id: ID },
  async ({ registry, actor }, { id }) => {
    await registry.testHook(actor, id);
    return { id };
  },
);

/** A page of what was sent to a hook, or is to be, newest first. */
export const listDeliveries = filteredList<Delivery, DeliveryView, { id: number }>(
  'hook-deliveries',
  { id: ID },
  (registry, page, { id }) => registry.deliveries(page, id),
  async () => deliveryView,
);

/** Sends once more what has come to an end. @throws Failure `fabric.unknown-delivery` */
export const retryDelivery = operation<{ id: number }, { readonly id: number }>(
  'delivery-retry',
  { id: ID },
  async ({ registry, actor }, { id }) => {
    await registry.retryDelivery(actor, id);
    return { id };
  },
);

function hookView({ url, created, ...hook }: Hook): HookView {
  const destination = parseDestination(url);
  const to = destination.kind === 'mail' ? `mailto:${destination.to}` : destination.url.origin;
  return { ...hook, to, created: isoTime(created) };
}

function deliveryView({ hook: _, created, at, error, ...delivery }: Delivery): DeliveryView {
  return { ...delivery, created: isoTime(created), at: isoTime(at), error: error ?? null };
}
