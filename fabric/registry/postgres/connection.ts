import { type Database, keep, type Statement } from '../sql/base/statements.ts';
import { decoder, encoded, translated } from './dialect.ts';
import type { Answer, Link, Name } from './link.ts';

/** The registry's database on a server: what jobs of the commit queue run is part of their transaction, everything else reads what is committed. */
export interface ServerDatabase extends Database {
  readonly engine: 'postgres';
  /** Runs `work`, whose statements are part of the transaction of this number. */
  within<T>(transaction: number, work: () => T): T;
  /** True once a statement of the transaction has changed something since this was called last. */
  hasWritten(): boolean;
  close(): void;
}

/** Rows of an answer: the first column, an array or an object, as the statement says. */
type Shape = 'object' | 'array' | 'first';

const READS = /^\s*(SELECT|WITH)\b/i;

export function serverDatabase(link: Link): ServerDatabase {
  let transaction: number | undefined;
  let written = false;
  let reading = false;
  let open = true;
  let statements = 0;

  function run(sql: string, statement: string, values: readonly unknown[], writes: boolean): Answer {
    if (transaction === undefined && writes)
      throw new Error(`a statement that writes, outside of a transaction: ${sql}`);
    if (writes && !written) link.ask('write', { sql: 'SAVEPOINT job', transaction: transaction! });
    written ||= writes;
    const name: Name = transaction === undefined ? 'read' : 'write';
    return link.ask(name, {
      ...{ sql, statement, values: values.map(encoded) },
      ...(transaction !== undefined && { transaction }),
    });
  }

  function prepare(text: string): Statement {
    const sql = translated(text);
    const name = `s${++statements}`;
    const writes = !READS.test(sql);
    let decode: ((row: Answer['rows'][number]) => unknown) | undefined;
    const decoders = new Map<Shape, typeof decode>();
    let shape: Shape = 'object';
    const rowsOf = (answer: Answer): unknown[] => {
      decode = decoders.get(shape) ?? rowDecoder(answer, shape);
      decoders.set(shape, decode);
      return answer.rows.map(decode);
    };
    const statement: Statement = {
      get: (...values) => rowsOf(run(sql, name, values, writes))[0],
      all: (...values) => rowsOf(run(sql, name, values, writes)),
      run: (...values) => ({ changes: run(sql, name, values, writes).count }),
      pluck() {
        shape = 'first';
        return statement;
      },
      raw() {
        shape = 'array';
        return statement;
      },
    };
    return statement;
  }

  return keep({
    engine: 'postgres' as const,
    get open() {
      return open;
    },
    prepare,
    transaction:
      <T>(work: () => T) =>
      (): T => {
        // In a job everything is of one moment: nobody else writes.
        if (transaction !== undefined || reading) return work();
        reading = true;
        try {
          link.ask('read', { sql: 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY' });
          return work();
        } finally {
          reading = false;
          if (open) link.ask('read', { sql: 'COMMIT' });
        }
      },
    within(number, work) {
      transaction = number;
      written = false;
      try {
        return work();
      } finally {
        transaction = undefined;
      }
    },
    hasWritten() {
      const had = written;
      written = false;
      return had;
    },
    close() {
      open = false;
      link.close();
    },
  });
}

function rowDecoder({ fields }: Answer, shape: Shape): (row: Answer['rows'][number]) => unknown {
  const decoders = fields.map(([, type]) => decoder(type));
  const value = (row: Answer['rows'][number], at: number): unknown => {
    const text = row[at];
    return text === null || text === undefined ? null : decoders[at]!(text);
  };
  if (shape === 'first') return (row) => value(row, 0);
  if (shape === 'array') return (row) => decoders.map((_, at) => value(row, at));
  const names = fields.map(([name]) => name);
  return (row) => Object.fromEntries(names.map((name, at) => [name, value(row, at)]));
}
