declare module 'pgpass' {
  /**
   * Looks a password up in the user's password file; undefined if there is none for that server. As libpq does, but for a socket in PostgreSQL's default
   * folder: libpq looks for "localhost" there, this for the path, as for any other folder.
   */
  function pgpass(
    server: {
      readonly host: string;
      readonly port: number;
      readonly database?: string;
      readonly user?: string;
    },
    found: (password: string | undefined) => void,
  ): void;
  export = pgpass;
}
