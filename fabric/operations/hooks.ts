import { issueSecret } from '../access/secrets.ts';
import { parseDestination } from '../alarms/destination.ts';
import type { Delivery, Hook } from '../registry/alarms.ts';
import { badInput, text, whole } from './contract/input.ts';
import { filteredList, isoTime, operation, type ReadContext } from './contract/operation.ts';
import type { DeliveryView, HooksView, HookView, IdView, NewHookView } from './views/alarms.ts';

const ID = whole(1, Number.MAX_SAFE_INTEGER);

/** All hooks, oldest first. */
export const listHooks = operation<Record<never, never>, HooksView, ReadContext>(
  'hook-list',
  {},
  async ({ registry }) => ({ rows: (await registry.hooks()).map(hookView) }),
);

/** Adds a hook; `secret` is the key of its signatures, which nobody can read again. @throws Failure `fabric.bad-hook`, `fabric.too-many-hooks` */
export const addHook = operation<{ name: string; url: string }, NewHookView>(
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
export const removeHook = operation<{ id: number }, IdView>(
  'hook-remove',
  { id: ID },
  async ({ registry, actor }, { id }) => {
    await registry.removeHook(actor, id);
    return { id };
  },
);

/** Sends an event to try a hook. @throws Failure `fabric.unknown-hook` */
export const testHook = operation<{ id: number }, IdView>(
  'hook-test',
  { id: ID },
  async ({ registry, actor }, { id }) => {
    await registry.testHook(actor, id);
    return { id };
  },
);

/** A page of what was sent to a hook, or is to be, newest first. @throws Failure `fabric.unknown-hook` */
export const listDeliveries = filteredList<Delivery, DeliveryView, { id: number }>(
  'hook-deliveries',
  { id: ID },
  (registry, page, { id }) => registry.deliveries(page, id),
  async () => deliveryView,
);

/** Sends once more what has come to an end. @throws Failure `fabric.unknown-delivery` */
export const retryDelivery = operation<{ id: number }, IdView>(
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
