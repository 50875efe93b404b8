import { fromHex } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { EVERYTHING, HOST, type Scope, scopeOf } from '../access/scope.ts';
import { unknownOwner } from '../registry/owners.ts';
import { personActor } from '../registry/people.ts';
import type { Registry } from '../registry/registry.ts';
import type { UsableToken } from '../registry/tokens.ts';
import type { Actor } from './contract/operation.ts';
import type { Call } from './running.ts';

/*
 * Who calls, and for which owner: here a scope is made of that, and nowhere else. Whoever asks for an owner that it is nothing at gets the same
 * answer as for one that is not there.
 */

/** Who calls. @throws Failure `access.bad-token`, `access.not-signed-in`, `access.no-owner`, `fabric.unknown-owner` */
export async function actorOf(registry: Registry, { actor, token, person, owner }: Call): Promise<Actor> {
  if (token !== undefined) return bearerOf(registry, fromHex(token), owner);
  if (person !== undefined) return signedInAs(registry, person, owner);
  return { name: actor, role: 'host', via: 'operator', ...(await hostScope(registry, owner)) };
}

/** What whoever runs the fabric sees: everything, or what is of the owner that it has chosen. @throws Failure `fabric.unknown-owner` */
export async function hostScope(
  registry: Pick<Registry, 'ownerNamed'>,
  owner: string | undefined,
): Promise<Pick<Actor, 'scope' | 'owner'>> {
  if (owner === undefined) return { scope: EVERYTHING };
  const { id, name } = await registry.ownerNamed(owner);
  return { scope: scopeOf(id, false), owner: name };
}

/** Whom a token stands for. @throws Failure `access.bad-token`, `fabric.unknown-owner` */
async function bearerOf(registry: Registry, hash: Uint8Array, chosen: string | undefined): Promise<Actor> {
  const token = await registry.useToken(hash);
  if (token !== undefined) {
    const { id, name, role, person, owner } = token;
    return {
      name: `${name} (token ${id})`,
      role,
      via: 'token',
      ...(owner === HOST ? await hostScope(registry, chosen) : ownScope(token, chosen)),
      ...(person !== undefined && { belongsTo: person }),
    };
  }
  throw new Failure('access.bad-token', 'operator', 'the token is unknown, has expired or was revoked', {
    action: 'Make a new one with "enf-fabric token create".',
  });
}

/** A token is of one owner. @throws Failure `fabric.unknown-owner`, also if that is closed */
function ownScope(
  { owner, isOfOnlyOwner, ownerName }: UsableToken,
  chosen: string | undefined,
): { readonly scope: Scope; readonly owner: string } {
  if (ownerName === undefined) throw unknownOwner(`number ${owner}`);
  if (chosen !== undefined && chosen !== ownerName) throw unknownOwner(chosen);
  return { scope: scopeOf(owner, isOfOnlyOwner), owner: ownerName };
}

/** Whom a session stands for, if it still holds. @throws Failure `access.not-signed-in`, `access.no-owner`, `fabric.unknown-owner` */
async function signedInAs(
  registry: Registry,
  { id, generation, proved }: NonNullable<Call['person']>,
  chosen: string | undefined,
): Promise<Actor> {
  const person = await registry.person(id).catch((error: unknown) => {
    if (!isFailure(error, 'fabric.unknown-person')) throw error;
  });
  if (person?.generation !== generation) {
    throw new Failure('access.not-signed-in', 'operator', 'you were signed out', {
      action: 'Sign in again.',
    });
  }
  const { name, role, owners } = person;
  const known = {
    ...{ name: personActor(person), via: 'session' as const, person: id, personName: name, belongsTo: id },
    ...(proved !== undefined && { proved }),
  };
  if (role === 'host') return { ...known, role, ...(await hostScope(registry, chosen)) };
  if (owners.length === 0) throw noOwner();
  const at = chosen === undefined ? owners[0] : owners.find((each) => each.name === chosen);
  if (at === undefined) throw unknownOwner(chosen!);
  const scope = scopeOf(at.owner, await registry.hasOneOwner());
  return { ...known, role: at.role, scope, owner: at.name };
}

const noOwner = (): Failure =>
  new Failure('access.no-owner', 'operator', 'the owner for whom you act was closed', {
    action: 'Ask whoever runs the fabric.',
  });
