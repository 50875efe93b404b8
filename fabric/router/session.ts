import { Failure } from '../../protocol/failure.ts';
import { formatIpv6, type Prefix } from '../../protocol/ipv6.ts';
import { type FrameReader, frameReader, MAX_PACKET } from '../../protocol/tunnel/frame.ts';
import type { Verdict } from '../../protocol/tunnel/verdict.ts';
import type { Endpoint } from './admission.ts';
import { type Counters, count, type DropCause, newCounters } from './counters.ts';
import { type Outbox, outbox } from './outbox.ts';
import { type Connection, part } from './parting.ts';
import type { Port } from './switch.ts';

/** enftun reads TLS blockingly: a half-arrived record of 16 KB would stall both its directions on a slow link. */
const LEGACY_RECORD_LENGTH = 4096;

/** Bounds of one session. */
export interface SessionLimits {
  /** Bytes that may wait for the peer. */
  readonly queueBytes: number;
  /** A peer that takes nothing for so long is gone. */
  readonly stallMs: number;
  /** How long an orderly close waits for the peer's own. */
  readonly lingerMs: number;
}

/** Whom a session reports to. */
export interface SessionEvents {
  /** Packets the device sent; valid during the call only. */
  packets(session: Session, packets: readonly Uint8Array[]): void;
  /** Once, as soon as the session takes no more packets. */
  ended(session: Session, reason: string): void;
}

/** The tunnel of one device: frames in, frames out, over a connection that was admitted. */
export class Session implements Port {
  readonly address: Uint8Array;
  readonly network: Prefix;
  /** The address as text, for logs and views. */
  readonly name: string;
  /** The key the peer has proven in the handshake, 65 bytes. */
  readonly provenKey: Uint8Array;
  readonly connection: Connection;
  readonly counters: Counters = newCounters();
  readonly sinceMs: number = Date.now();
  readonly #events: SessionEvents;
  readonly #limits: SessionLimits;
  readonly #total: Counters;
  readonly #waiting: Outbox;
  readonly #reader: FrameReader = frameReader();
  #writingSinceMs: number | undefined;
  #ended = false;

  /** `total` is counted beside the session's own counters. */
  constructor(
    connection: Connection,
    endpoint: Endpoint,
    provenKey: Uint8Array,
    events: SessionEvents,
    limits: SessionLimits,
    total: Counters,
  ) {
    this.address = endpoint.address;
    this.network = endpoint.network;
    this.name = formatIpv6(endpoint.address);
    this.provenKey = provenKey;
    this.connection = connection;
    this.#events = events;
    this.#limits = limits;
    this.#total = total;
    this.#waiting = outbox(limits.queueBytes);
  }

  /** Begins to read. Reading never pauses, whatever becomes of writing. */
  start(): void {
    const { tls, understands } = this.connection;
    if (!understands) tls.setMaxSendFragment(LEGACY_RECORD_LENGTH);
    tls.on('data', (chunk: Uint8Array) => this.#receive(chunk));
    tls.on('error', (error) =>
      this.#end(`connection failed (${(error as NodeJS.ErrnoException).code ?? error.message})`),
    );
    // Waits no longer than usual for what is still to be written: the device may have stopped to read.
    tls.on('end', () => this.cut(undefined, 'closed by the device'));
    tls.on('close', () => this.#end('connection lost'));
  }

  /** Queues a packet for the device, to be sent by the next `flush`; drops and counts it if it does not fit. */
  offer(packet: Uint8Array): void {
    if (this.#ended) return;
    if (packet.length > MAX_PACKET) this.dropped('too-long');
    else if (!this.#waiting.push(packet)) this.dropped('queue-full');
    else {
      count(this.counters.sent, packet.length);
      count(this.#total.sent, packet.length);
    }
  }

  /** Sends what waits, unless a write is in flight: then it joins the queue and goes when that is done. */
  flush(): void {
    if (this.#ended || this.#writingSinceMs !== undefined) return;
    const block = this.#waiting.take();
    if (block === undefined) return;
    this.#writingSinceMs = performance.now();
    this.connection.tls.write(block, () => {
      this.#writingSinceMs = undefined;
      this.flush();
    });
  }

  /** Counts a packet that went no further. */
  dropped(cause: DropCause): void {
    this.counters.drops[cause] += 1;
    this.#total.drops[cause] += 1;
  }

  /** Ends the session at once; how depends on the verdict and the kind of peer (`part`). */
  cut(verdict: Verdict | undefined, reason: string): void {
    if (this.#ended) return;
    this.#end(reason);
    part(this.connection, verdict, this.#limits.lingerMs);
  }

  /** Cuts a peer that has taken nothing for too long. TCP would go on resending for a quarter of an hour. */
  checkProgress(): void {
    const since = this.#writingSinceMs;
    if (this.#ended || since === undefined || performance.now() - since < this.#limits.stallMs) return;
    this.#end('the device takes no data');
    this.connection.tls.destroy();
  }

  /** Bytes that wait for the device. */
  get queuedBytes(): number {
    return this.#waiting.waiting;
  }

  #receive(chunk: Uint8Array): void {
    if (this.#ended) return;
    try {
      const packets = this.#reader.push(chunk);
      for (const packet of packets) {
        count(this.counters.received, packet.length);
        count(this.#total.received, packet.length);
      }
      this.#events.packets(this, packets);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.cut(undefined, `${error.code}: ${error.message}`);
    }
  }

  #end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#waiting.clear();
    this.#events.ended(this, reason);
  }
}
