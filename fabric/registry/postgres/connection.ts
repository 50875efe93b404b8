import { type Database, keep, type Statement } from '../sql/base/statements.ts';
import { decoder, encoded, translated } from './dialect.ts';
import type { Answer, Link, Name } from './link.ts';
import { COPY_IDLE_MS } from './times.ts';

/** The registry's database on a server: what jobs of the commit queue run is part of their transaction, everything else reads what is committed. */
export interface ServerDatabase extends Database {
  readonly engine: 'postgres';
  /** Runs `work`, whose statements are part of the transaction of this number. */
  within<T>(transaction: number, work: () => T): T;
  /** Everything that is read from now on is as it is now, until the connection is closed; nothing is read any more once it is lost. */
  asOfNow(): void;
  /** True once a statement of the transaction has changed something since this was called last. */
  hasWritten(): boolean;
  close(): void;
}

/** Rows of an answer: the first column, an array or an object, as the statement says. */
type Shape = 'object' | 'array' | 'first';

const BEGIN_READING = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';
/** Whoever writes elsewhere what is read, as a backup does, may wait for a disk for as long; the server keeps what it would clean up otherwise. */
const PATIENTLY = `SET LOCAL idle_in_transaction_session_timeout = ${COPY_IDLE_MS}`;

const READS = /^\s*(SELECT|WITH)\b/i;

export function serverDatabase(link: Pick<Link, 'ask' | 'send' | 'close'>): ServerDatabase {
  let transaction: number | undefined;
  let written = false;
  /** The number of the transaction that reads everything as it was at one moment: it fails if the connection was lost since. */
  let reading: number | undefined;
  let readings = 0;
  let open = true;
  let statements = 0;

  function run(sql: string, statement: string, values: readonly unknown[], writes: boolean): Answer {
    if (transaction === undefined && writes)
      throw new Error(`a statement that writes, outside of a transaction: ${sql}`);
    if (writes && !written) link.ask('write', { sql: 'SAVEPOINT job', transaction: transaction! });
    written ||= writes;
    const name: Name = transaction === undefined ? 'read' : 'write';
    const number = transaction ?? reading;
    return link.ask(name, {
      ...{ sql, statement, values: values.map(encoded) },
      ...(number !== undefined && { transaction: number }),
    });
  }

  function beginReading(more = ''): number {
    const number = ++readings;
    link.ask('read', { sql: `${BEGIN_READING}${more}`, begins: number });
    reading = number;
    return number;
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
        if (transaction !== undefined || reading !== undefined) return work();
        const number = beginReading();
        try {
          return work();
        } finally {
          reading = undefined;
          // What was read was read, whether or not that is heard; also if it was given up.
          if (open) link.send('read', { sql: 'COMMIT', transaction: number }).catch(() => {});
        }
      },
    asOfNow: () => void beginReading(`; ${PATIENTLY}`),
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
