declare const routesBrand: unique symbol;

/** The routes of one table and protocol number through one device; closed when collected. */
export interface RoutesHandle {
  readonly [routesBrand]: true;
}

/** What a reconciliation has done. */
export interface Reconciled {
  readonly added: number;
  readonly removed: number;
  /** Routes that the kernel did not take or give up, and the Error of the first of them. */
  readonly failed: number;
  readonly error?: Error;
}

/**
 * Writes routes by rtnetlink, 128 in one message to the kernel, in threads beside the event loop: one piece of work at a time for each handle (Error
 * EALREADY). A route has 24 bytes: its address (16), the length of its prefix (1 to 128), 1 if it is to be removed, else 0, two bytes of 0, and its
 * metric, not 0, in the machine's byte order. A bad argument is a TypeError; what the kernel refuses is an Error whose `code` is the errno's name.
 */
export interface RoutesFace {
  /** Routes through a device (its index counts, also when it is renamed). @throws Error ENODEV, EMFILE, … */
  routesOpen(device: string, table: number, protocol: number): RoutesHandle;
  /** The port of its socket: the kernel's notifications of its own changes have it. */
  routesPort(routes: RoutesHandle): number;
  /**
   * Adds, replaces or removes at most 65,536 routes in their order, and calls back once: with an errno for each (0: it is as it should be), or with the
   * Error if the kernel did not answer.
   */
  routesChange(
    routes: RoutesHandle,
    entries: Uint8Array,
    onDone: (error: Error | undefined, outcomes?: Uint8Array) => void,
  ): void;
  /**
   * Makes the table have exactly these routes (at most 4,000,000) among those with the protocol number, through whatever device others lead, and calls back
   * once. EAGAIN: others changed the table all the time.
   */
  routesReconcile(
    routes: RoutesHandle,
    entries: Uint8Array,
    onDone: (error: Error | undefined, done?: Reconciled) => void,
  ): void;
  /** For good, once what is under way is done. */
  routesClose(routes: RoutesHandle): void;
}
