import { fromHex } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { requireFresh } from '../access/fresh.ts';
import type { Permission } from '../access/roles.ts';
import { permissionsOf } from '../access/roles.ts';
import { personActor } from '../registry/people.ts';
import type { Registry } from '../registry/registry.ts';
import { OPERATIONS } from './all.ts';
import { CATALOGUE } from './contract/catalogue.ts';
import type { Actor, Context } from './contract/operation.ts';
import type { Call } from './running.ts';

/**
 * Runs the operation of this name if the actor may: the one place where that is decided, whoever calls. Undefined if there is none of that
 * name.
 * @throws Failure `access.forbidden`, `access.fresh-sign-in`, `fabric.bad-input`, and those of the operation
 */
export async function perform(
  name: string,
  actor: Actor,
  context: Omit<Context, 'actor' | 'role' | 'person'>,
  input: unknown,
): Promise<{ readonly view: unknown } | undefined> {
  const operation = OPERATIONS.get(name);
  if (operation === undefined) return undefined;
  const { permission, fresh } = CATALOGUE[name]!;
  requirePermission(actor, permission);
  if (fresh && actor.via === 'session') requireFresh(actor.proved, context.now());
  const { name: who, role, belongsTo } = actor;
  const asked = { ...context, actor: who, role, ...(belongsTo !== undefined && { person: belongsTo }) };
  return { view: await operation.run(asked, input as never) };
}

function requirePermission({ name, role }: Actor, permission: Permission): void {
  if (permissionsOf(role).includes(permission)) return;
  throw new Failure(
    'access.forbidden',
    'operator',
    `${name} is ${role}, who may not do this (${permission})`,
    {
      action: 'Ask an owner to do it, or for a role that may.',
    },
  );
}

/** Who calls. @throws Failure `access.bad-token`, `access.not-signed-in` */
export async function actorOf(registry: Registry, { actor, token, person }: Call): Promise<Actor> {
  if (token !== undefined) return bearerOf(registry, fromHex(token));
  if (person !== undefined) return signedInAs(registry, person);
  return { name: actor, role: 'host', via: 'operator' };
}

/** Whom a token stands for. @throws Failure `access.bad-token` */
export async function bearerOf(registry: Registry, hash: Uint8Array): Promise<Actor> {
  const token = await registry.useToken(hash);
  if (token !== undefined) {
    const { id, name, role, person } = token;
    return {
      name: `${name} (token ${id})`,
      role,
      via: 'token',
      ...(person !== undefined && { belongsTo: person }),
    };
  }
  throw new Failure('access.bad-token', 'operator', 'the token is unknown, has expired or was revoked', {
    action: 'Make a new one with "enf-fabric token create".',
  });
}

/** Whom a session stands for, if it still holds. @throws Failure `access.not-signed-in` */
async function signedInAs(
  registry: Registry,
  { id, generation, proved }: NonNullable<Call['person']>,
): Promise<Actor> {
  const person = await registry.person(id).catch((error: unknown) => {
    if (!isFailure(error, 'fabric.unknown-person')) throw error;
  });
  if (person?.generation === generation) {
    const { name, role } = person;
    return {
      ...{ name: personActor(person), role, via: 'session', person: id, personName: name, belongsTo: id },
      ...(proved !== undefined && { proved }),
    };
  }
  throw new Failure('access.not-signed-in', 'operator', 'you were signed out', { action: 'Sign in again.' });
}
