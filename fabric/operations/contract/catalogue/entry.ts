import type { Permission } from '../../../access/roles.ts';

/** What each operation is to whoever calls it from outside: the permission that it needs, and its place in the API. */
export interface Entry {
  readonly permission: Permission;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Below `/api/v1`; `{name}` is a field of the input. The other fields are in the query of a GET, else in the body. */
  readonly path: string;
  readonly summary: string;
  /** It concerns all owners of a fabric: whoever sees only one of them may not, in whatever role. */
  readonly whole?: true;
  /** It reads much, and changes nothing: a replica of the registry may answer it. */
  readonly replica?: true;
  /** Its body is a part of a file. */
  readonly large?: true;
  /** It is dangerous: a session needs a sign-in of the last minutes for it (`requireFresh`). Who has a token or the host is not asked. */
  readonly fresh?: true;
}
