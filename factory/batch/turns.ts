/** Somebody who waits for a thing. */
interface Waiting<Thing> {
  readonly work: (thing: Thing) => Promise<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Takes a thing, lets `work` have it, and gives it back. */
type Hold<Thing> = (key: string, work: (thing: Thing) => Promise<void>) => Promise<void>;

/**
 * Lets all in this process who wait for the same thing, by its key, have it one after the other while it is held: taking it costs more than most do with
 * it. At most `most` have it before it is given back, and it is taken anew after somebody failed. What taking it or giving it back throws is for those
 * who were waiting.
 */
export function inTurns<Thing>(
  most: number,
  hold: Hold<Thing>,
): <T>(key: string, work: (thing: Thing) => Promise<T>) => Promise<T> {
  const lines = new Map<string, Waiting<Thing>[]>();

  async function serveAll(key: string, line: Waiting<Thing>[]): Promise<void> {
    while (line.length > 0) {
      const served: Waiting<Thing>[] = [];
      try {
        await hold(key, (thing) => serveSome(line, served, thing));
      } catch (error) {
        for (const { reject } of served.length > 0 ? served : line.splice(0)) reject(error);
      }
    }
    lines.delete(key);
  }

  async function serveSome(line: Waiting<Thing>[], served: Waiting<Thing>[], thing: Thing): Promise<void> {
    while (served.length < most) {
      const next = line.shift();
      if (next === undefined) return;
      served.push(next);
      try {
        next.resolve(await next.work(thing));
      } catch (error) {
        next.reject(error);
        return;
      }
    }
  }

  return (key, work) =>
    new Promise((resolve, reject) => {
      const each = { work, resolve: resolve as Waiting<Thing>['resolve'], reject };
      const line = lines.get(key);
      if (line !== undefined) {
        line.push(each);
        return;
      }
      const begun = [each];
      lines.set(key, begun);
      void serveAll(key, begun);
    });
}
