import { Failure } from '../../protocol/failure.ts';
import type { Listener } from './admission.ts';
import type { Page, PageRequest } from './pages.ts';

/** `draining`: no device is to stay. `routes-lost`: no other node learns which devices it has, so that they do not reach them. `lost`: it has said nothing for `LOST_MS`. `stopped`: it has said that it stops. */
export const NODE_STATES = ['serving', 'draining', 'routes-lost', 'lost', 'stopped'] as const;
export type NodeState = (typeof NODE_STATES)[number];

/**
 * What a fabric may serve. `identity`: handshakes, and certificates by EST; `tunnels`: the router, and this host's part in the networks; `console`: the
 * console and the API, and what one of all nodes does for the registry.
 */
export const DUTIES = ['identity', 'tunnels', 'console'] as const;
export type Duty = (typeof DUTIES)[number];

/** One of the fabrics that serve one registry together. */
export interface Node {
  /** A DNS label; each has its own. */
  readonly name: string;
  /** Where other nodes reach it, as text; absent: it was not said. */
  readonly address?: string;
  /** Of its program. */
  readonly version: string;
  readonly state: NodeState;
  /** In the order of `DUTIES`; at least one. */
  readonly serves: readonly Duty[];
  /** Milliseconds since 1970, as all times here. */
  readonly started: number;
  /** When it last said that it serves. */
  readonly seen: number;
  /** Since when devices are to leave it; it stays so until it is resumed, also while it is lost or stopped. */
  readonly draining?: number;
  /** Since when no other node learns which devices it has, as it said last. */
  readonly routesLost?: number;
  /** Devices whose tunnels ended there when it was last seen; absent: it serves no tunnels. */
  readonly tunnels?: number;
  /** Its load average over a minute then. */
  readonly load: number;
}

/** What a node says of itself when it joins. */
export interface NewNode {
  readonly name: string;
  readonly address?: string;
  readonly version: string;
  /** 32 bytes that only one process at a time can have: whoever joins with those of the former process of this name has taken its place. */
  readonly installation: Uint8Array;
}

/** What a node says of itself each time. */
export interface NodeLoad {
  readonly tunnels: number;
  readonly load: number;
  /** Since when no other node learns which devices it has; absent: they do, or it is not known. */
  readonly routesLost?: number;
}

/** What a node finds when it says that it serves. */
export interface Beat {
  /** Another process has its name now. */
  readonly replaced: boolean;
  /** Others had to take it for lost, and its tunnels for ended: they are said again from now on, in the background. */
  readonly wasLost: boolean;
}

/** How often a node says that it serves. */
export const BEAT_MS = 5_000;
/** Whoever has said nothing for so long is lost, by the clock that all nodes have in common. */
export const LOST_MS = 15_000;
/** Nodes of one registry. */
export const MOST_NODES = 100;
/** A node that drains for longer than this has devices that do not leave, or was forgotten. */
export const DRAINING_LONG_MS = 3_600_000;

/** A node whose routes have been lost for longer than this is told of: a session that flaps is back by then. */
export const ROUTES_LOST_LONG_MS = 10_000;

/** A DNS label (RFC 1123) in lower case. */
export const isNodeName = (text: string): boolean => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text);

export interface NodesReader {
  /** In the order in which they first joined. */
  nodes(page: PageRequest): Promise<Page<Node>>;
  /** @throws Failure `node.unknown` */
  node(name: string): Promise<Node>;
}

/** The nodes of a registry; a fabric without a node's name does not join, and then none of this is written. */
export interface Nodes extends NodesReader {
  /**
   * Makes this process the node of that name, for which `attach` counts from then on.
   * @throws Failure `node.name-in-use` while another process is, `node.too-many`
   */
  join(node: NewNode): Promise<void>;
  /** Says that this node serves. */
  beat(load: NodeLoad): Promise<Beat>;
  /** Says that this node stops; its tunnels have ended. */
  leave(): Promise<void>;
  /** Whether this process does what one of all nodes has to do for the registry: that of the oldest node that serves the console, or the only process. */
  leads(): boolean;
  /** Ends a part of what is recorded as tunnels of lost nodes, if this node is the one that does so; true if there are more. */
  sweepLost(): Promise<boolean>;
  /** Devices are to leave this node. False if it was so already. @throws Failure `node.unknown` */
  drainNode(actor: string, name: string): Promise<boolean>;
  /** Ends that. False if it was not so. @throws Failure `node.unknown` */
  resumeNode(actor: string, name: string): Promise<boolean>;
  /** Forgets a node that does not serve any more. @throws Failure `node.unknown`, `node.serving` */
  removeNode(actor: string, name: string): Promise<void>;
  /** Calls `listener` with the name of a node that has joined, stopped, drains, was resumed, or is gone. Returns a function that ends that. */
  onNodeChange(listener: Listener<string>): () => void;
}

export const unknownNode = (name: string): Failure =>
  new Failure('node.unknown', 'operator', `there is no node ${JSON.stringify(name)}`, {
    action: 'See "enf-fabric node list".',
  });
