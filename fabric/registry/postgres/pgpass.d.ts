declare module 'pgpass' {
  /** Looks a password up in the user's password file, as libpq does; undefined if there is none for that server. */
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
