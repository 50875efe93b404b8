import { addon } from '../native/index.ts';
import type { TssAnswer, TssCommand, TssContext } from '../native/tpm/tss.ts';
import { pause } from '../protocol/backoff.ts';
import { ascii } from '../protocol/bytes.ts';
import { Failure } from '../protocol/failure.ts';
import { PROPERTY, readHandles, readProperties } from './capability.ts';
import { base, failureOf, isTransient, lockedOut, RC, unopened } from './codes.ts';

/** The kernel's resource manager: several programs may use the TPM at once, and what they leave is flushed. */
export const DEFAULT_TCTI = 'device:/dev/tpmrm0';

/** An object inside the TPM. It lives only as long as the connection it was made in. */
export interface TpmObject {
  readonly number: number;
  readonly generation: number;
}

/** A TSS answer and the connection it came from. */
export interface TpmAnswer extends TssAnswer {
  readonly generation: number;
}

/** An open TPM. Commands are carried out one after the other. */
export interface Tpm {
  readonly tcti: string;
  /** False after the connection failed; the next command without an object opens it again. */
  readonly alive: boolean;
  /** Incremented each time the TPM is opened; objects of an earlier generation are gone. */
  readonly generation: number;
  /**
   * Sends a command and returns its answer, also if the TPM refused it. RETRY, YIELDED, TESTING and NV_RATE are
   * repeated up to `retryMs`. See `TssCommand` for what each command takes.
   * @throws Failure `tpm.failed`, `tpm.timeout`, `tpm.lost`, `tpm.lockout`, `tpm.stuck`, and those of openTpm
   */
  ask(
    command: TssCommand,
    numbers?: readonly (number | TpmObject)[],
    buffers?: readonly Uint8Array[],
  ): Promise<TpmAnswer>;
  /** As `ask`, and a refusal throws. @throws Failure see `failureOf` */
  call(
    command: TssCommand,
    numbers?: readonly (number | TpmObject)[],
    buffers?: readonly Uint8Array[],
  ): Promise<TpmAnswer>;
  /** Registers a loaded P-256 key with OpenSSL; `forget` before it is flushed. @throws Failure `tpm.lost` */
  tlsKey(key: TpmObject, point: Uint8Array): { readonly pem: string; forget(): void };
  close(): Promise<void>;
}

export interface TpmOptions {
  /** Deadline of one command. */
  readonly timeoutMs?: number;
  /** For how long a command is repeated to a busy TPM. */
  readonly retryMs?: number;
}

const TIMEOUT_MS = 30_000;
const RETRY_MS = 60_000;
const BACKOFF = { firstMs: 5, capMs: 1_000 };
/** A thread that waits for a TPM which never answers cannot be ended; after this many, only a new process helps. */
const MAX_ABANDONED = 4;
const HANDSHAKE_TIMEOUT_MS = 10_000;

const TRANSIENT = 0x8000_0000;
const LOADED_SESSION = 0x0200_0000;
const SAVED_SESSION = 0x0300_0000;

/** Threads belong to the process, not to a connection; so does their count. */
let abandoned = 0;

/**
 * Opens a TPM. `tcti` names it explicitly: `device:/dev/tpmrm0`, `swtpm:host=…,port=…`, `mssim:…`. Where no resource
 * manager cleans up, what a killed predecessor left in the TPM is flushed.
 * @throws Failure `tpm.absent`, `tpm.not-permitted`, `tpm.busy`, `tpm.timeout`, `tpm.failed`, `tpm.stuck`
 */
export async function openTpm(tcti: string = DEFAULT_TCTI, options: TpmOptions = {}): Promise<Tpm> {
  const tpm = new OpenTpm(tcti, options.timeoutMs ?? TIMEOUT_MS, options.retryMs ?? RETRY_MS);
  await tpm.connect();
  return tpm;
}

/** The object whose number is the first of an answer. */
export function objectOf(answer: TpmAnswer): TpmObject {
  return { number: answer.numbers[0]!, generation: answer.generation };
}

class OpenTpm implements Tpm {
  readonly tcti: string;
  readonly #timeoutMs: number;
  readonly #retryMs: number;
  #context: TssContext | undefined;
  #generation = 0;
  #closed = false;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(tcti: string, timeoutMs: number, retryMs: number) {
    this.tcti = tcti;
    this.#timeoutMs = timeoutMs;
    this.#retryMs = retryMs;
  }

  get alive(): boolean {
    return this.#context !== undefined && addon().tssAlive(this.#context);
  }

  get generation(): number {
    return this.#generation;
  }

  async ask(
    command: TssCommand,
    numbers: readonly (number | TpmObject)[] = [],
    buffers: readonly Uint8Array[] = [],
  ): Promise<TpmAnswer> {
    return this.#inTurn(async () => {
      if (this.#closed) throw new Error('the TPM is closed');
      if (!this.alive) await this.#reconnect();
      const answer = await this.#withRetries(command, this.#resolve(numbers), buffers);
      if (base(answer.rc) === RC.lockout) throw lockedOut(command, await this.#lockoutSeconds());
      if (answer.rc !== 0 && !this.alive) {
        await this.#drop();
        throw failureOf(answer.rc, command, addon().tssDecode(answer.rc));
      }
      return { ...answer, generation: this.#generation };
    });
  }

  async call(
    command: TssCommand,
    numbers: readonly (number | TpmObject)[] = [],
    buffers: readonly Uint8Array[] = [],
  ): Promise<TpmAnswer> {
    const answer = await this.ask(command, numbers, buffers);
    if (answer.rc !== 0) throw failureOf(answer.rc, command, addon().tssDecode(answer.rc));
    return answer;
  }

  tlsKey(key: TpmObject, point: Uint8Array): { readonly pem: string; forget(): void } {
    if (!this.alive || this.#context === undefined || key.generation !== this.#generation) throw lost();
    const { id, pem } = addon().tssTlsKey(this.#context, key.number, point, HANDSHAKE_TIMEOUT_MS);
    return { pem, forget: () => addon().tssTlsForget(id) };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#inTurn(() => this.#drop());
  }

  /** Opens the connection; a device that another program holds is tried again for a while. */
  async connect(): Promise<void> {
    const deadline = performance.now() + this.#retryMs;
    for (let attempt = 0; ; attempt++) {
      const failure = await this.#connectOnce();
      if (failure === undefined) return;
      await this.#drop();
      if (failure.code !== 'tpm.busy' || performance.now() >= deadline) throw failure;
      await sleep(pause(BACKOFF, attempt, Math.random()));
    }
  }

  async #connectOnce(): Promise<Failure | undefined> {
    if (abandoned >= MAX_ABANDONED) return stuck();
    // What was loaded before is gone from now on, and not only once the TPM has answered.
    this.#generation++;
    this.#context = addon().tssStart();
    try {
      const opened = await this.#once('open', [], [ascii(this.tcti)]);
      if (opened.rc !== 0) return unopened(this.tcti, opened.numbers[0], addon().tssDecode(opened.rc));
      const started = await this.#withRetries('startup', [], []);
      if (started.rc !== 0) return failureOf(started.rc, 'startup', addon().tssDecode(started.rc));
      if (leavesObjects(this.tcti)) await this.#flushLeftovers();
      return undefined;
    } catch (error) {
      if (error instanceof Failure) return error;
      throw error;
    }
  }

  async #reconnect(): Promise<void> {
    await this.#drop();
    await this.connect();
  }

  /** Ends the context's thread; one that does not end in time is abandoned. */
  async #drop(): Promise<void> {
    const context = this.#context;
    this.#context = undefined;
    if (context !== undefined) await withinDeadline(stopped(context), this.#timeoutMs);
  }

  #resolve(numbers: readonly (number | TpmObject)[]): number[] {
    return numbers.map((number) => {
      if (typeof number === 'number') return number;
      if (number.generation !== this.#generation) throw lost();
      return number.number;
    });
  }

  async #withRetries(
    command: TssCommand,
    numbers: readonly number[],
    buffers: readonly Uint8Array[],
  ): Promise<TssAnswer> {
    const deadline = performance.now() + this.#retryMs;
    for (let attempt = 0; ; attempt++) {
      const answer = await this.#once(command, numbers, buffers);
      if (!isTransient(answer.rc) || performance.now() >= deadline) return answer;
      await sleep(pause(BACKOFF, attempt, Math.random()));
    }
  }

  async #once(
    command: TssCommand,
    numbers: readonly number[],
    buffers: readonly Uint8Array[],
  ): Promise<TssAnswer> {
    const context = this.#context!;
    const answer = await withinDeadline(addon().tssCall(context, command, numbers, buffers), this.#timeoutMs);
    if (answer !== undefined) return answer;
    this.#context = undefined;
    void stopped(context);
    throw new Failure(
      'tpm.timeout',
      'retry',
      `TPM ${command}: no answer within ${this.#timeoutMs} ms from ${this.tcti}`,
      { action: 'If this stays, check the TPM driver (dmesg | grep tpm) or power the machine off and on.' },
    );
  }

  async #flushLeftovers(): Promise<void> {
    for (const range of [TRANSIENT, LOADED_SESSION, SAVED_SESSION]) {
      const answer = await this.#withRetries('capability', [1, range, 64], []);
      if (answer.rc !== 0) throw failureOf(answer.rc, 'capability', addon().tssDecode(answer.rc));
      // A failure to flush one is ignored: the object may be gone already.
      for (const handle of readHandles(answer.buffers[0]!))
        await this.#withRetries('flushHandle', [handle], []);
    }
  }

  async #lockoutSeconds(): Promise<number | undefined> {
    const answer = await this.#withRetries('capability', [6, PROPERTY.lockoutInterval, 1], []);
    return answer.rc === 0 ? readProperties(answer.buffers[0]!).get(PROPERTY.lockoutInterval) : undefined;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }
}

/** Stops a context and counts its thread until that has really ended. */
async function stopped(context: TssContext): Promise<TssAnswer> {
  abandoned++;
  try {
    return await addon().tssStop(context);
  } finally {
    abandoned--;
  }
}

/** The result, or undefined after `ms`. The timer keeps the process alive while the TPM works. */
async function withinDeadline<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** True where no resource manager flushes the objects of clients that are gone. */
function leavesObjects(tcti: string): boolean {
  return /^(swtpm|mssim)(:|$)/.test(tcti) || /^device:\/dev\/tpm\d+$/.test(tcti);
}

function lost(): Failure {
  return new Failure(
    'tpm.lost',
    'retry',
    'the connection to the TPM was lost, and with it the object loaded there',
  );
}

function stuck(): Failure {
  return new Failure(
    'tpm.stuck',
    'operator',
    `the TPM did not answer ${MAX_ABANDONED} times; each time a thread stays blocked until this process ends`,
    { action: 'Restart the service; if it happens again, power the machine off and on.' },
  );
}
