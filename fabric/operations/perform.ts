import { Failure } from '../../protocol/failure.ts';
import type { Permission, Role } from '../access/roles.ts';
import { permissionsOf } from '../access/roles.ts';
import type { Registry } from '../registry/registry.ts';
import { OPERATIONS } from './all.ts';
import { CATALOGUE } from './catalogue.ts';
import type { Context } from './operation.ts';

/** Who asks for an operation from outside, and in what role. */
export interface Actor {
  /** As it stands in the audit trail. */
  readonly name: string;
  readonly role: Role;
}

/**
 * Runs the operation of this name if the actor may: the one place where that is decided, whoever calls. Undefined if there is none of that
 * name.
 * @throws Failure `access.forbidden`, `fabric.bad-input`, and those of the operation
 */
export async function perform(
  name: string,
  actor: Actor,
  context: Omit<Context, 'actor' | 'role'>,
  input: unknown,
): Promise<{ readonly view: unknown } | undefined> {
  const operation = OPERATIONS.get(name);
  if (operation === undefined) return undefined;
  requirePermission(actor, CATALOGUE[name]!.permission);
  return { view: await operation.run({ ...context, actor: actor.name, role: actor.role }, input as never) };
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

/** Whom a token stands for. @throws Failure `access.bad-token` */
export async function bearerOf(registry: Registry, hash: Uint8Array): Promise<Actor> {
  const token = await registry.useToken(hash);
  if (token !== undefined) return { name: `${token.name} (token ${token.id})`, role: token.role };
  throw new Failure('access.bad-token', 'operator', 'the token is unknown, has expired or was revoked', {
    action: 'Make a new one with "enf-fabric token create".',
  });
}
