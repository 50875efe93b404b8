import { Failure } from '../../protocol/failure.ts';
import { requireFresh } from '../access/fresh.ts';
import type { Permission } from '../access/roles.ts';
import { permissionsOf } from '../access/roles.ts';
import { EVERYTHING, type Scope } from '../access/scope.ts';
import type { Registry } from '../registry/registry.ts';
import { OPERATIONS } from './all.ts';
import { CATALOGUE } from './contract/catalogue.ts';
import { type Actor, type Context, isoTime, type Performed } from './contract/operation.ts';

/** What operations work on, before it is known who asks for one. */
export interface Ground extends Omit<Context, 'actor' | 'role' | 'person' | 'registry' | 'whole'> {
  readonly registry: Registry;
}

/**
 * Runs the operation of this name if the actor may, on what the actor sees: the one place where that is decided, whoever calls. Undefined if there
 * is none of that name.
 * @throws Failure `access.forbidden`, `access.not-whole`, `access.fresh-sign-in`, `fabric.bad-input`, and those of the operation
 */
export async function perform(
  name: string,
  actor: Actor,
  ground: Ground,
  input: unknown,
): Promise<Performed | undefined> {
  const operation = OPERATIONS.get(name);
  if (operation === undefined) return undefined;
  const { permission, fresh, whole = false, replica = false } = CATALOGUE[name]!;
  requirePermission(actor, permission);
  const scope = whole ? wholeScope(actor) : actor.scope;
  if (fresh && actor.via === 'session') requireFresh(actor.proved, ground.now());
  const { name: who, role, belongsTo } = actor;
  const { registry } = ground;
  const asked: Context = {
    ...ground,
    registry: registry.of(scope),
    ...(scope.everything && { whole: registry }),
    actor: who,
    role,
    ...(belongsTo !== undefined && { person: belongsTo }),
  };
  const elsewhere = replica ? await registry.replica() : undefined;
  if (elsewhere !== undefined) {
    try {
      const there = { ...asked, registry: { ...asked.registry, ...elsewhere.of(scope) } };
      return { view: await operation.run(there, input as never), asOf: isoTime(elsewhere.asOf) };
    } catch {
      // Whatever is wrong with it, be it that the replica went away: what follows says so, or does it.
    }
  }
  return { view: await operation.run(asked, input as never) };
}

function requirePermission({ name, role }: Actor, permission: Permission): void {
  if (permissionsOf(role).includes(permission)) return;
  throw new Failure(
    'access.forbidden',
    'operator',
    `${name} is ${role}, who may not do this (${permission})`,
    {
      action: permissionsOf('owner').includes(permission)
        ? 'Ask an owner to do it, or for a role that may.'
        : 'Ask whoever runs the fabric: this is done on its host.',
    },
  );
}

/** What concerns all owners does whoever runs the fabric, also while it looks at one of them; or its only owner. @throws Failure `access.not-whole` */
function wholeScope({ name, role, scope }: Actor): Scope {
  if (role === 'host') return EVERYTHING;
  if (scope.everything) return scope;
  throw new Failure(
    'access.not-whole',
    'operator',
    `${name} is ${role} of one owner, and this concerns all owners of the fabric`,
    { action: 'Ask whoever runs the fabric.' },
  );
}
