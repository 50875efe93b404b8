import type { Failure } from '../../protocol/failure.ts';
import type { DrainOrder } from '../../protocol/tunnel/drain.ts';
import type { Verdict } from '../../protocol/tunnel/verdict.ts';

/** What the device's life is made of: situations, the events that change them, and the actions that follow. */

/** `ms` is monotonic, from any origin; `random` is uniform in [0, 1). */
export interface Moment {
  readonly ms: number;
  readonly random: number;
  /** The longest pause between two attempts at the fabric, as it has said; undefined: it has not. */
  readonly longestMs?: number | undefined;
}

/**
 * Why the device provisions itself; `interrupted`: a new key was made already when the power went; `renewal`: a person
 * asked for it; `unregistered`: the fabric has lost its record of the device. With the last two the identity that is there stays until
 * the new one is.
 */
export type Reason = 'first-boot' | 'evicted' | 'foreign-state' | 'interrupted' | 'renewal' | 'unregistered';

/** What is worked on, or will be after a pause. */
export type Goal =
  | { readonly kind: 'prepare' }
  | { readonly kind: 'provision'; readonly reason: Reason; readonly address?: string }
  /** `unfinished`: a renewal or the like broke off, so the fabric may know the next key already, and no longer this one. */
  | { readonly kind: 'connect'; readonly address: string; readonly unfinished?: true }
  /** The device is out of service, and what is left of it is removed. `told`: the fabric knows. */
  | { readonly kind: 'erase'; readonly told: boolean };

/** What has been going wrong since when, over however many attempts. */
export interface Trouble {
  readonly code: string;
  /** Of the failure: what decides whether another network may mend it. */
  readonly area: string;
  readonly message: string;
  readonly action?: string;
  readonly sinceMs: number;
  readonly attempts: number;
  /** When it was last written to the log. */
  readonly loggedMs: number;
  /** Hosts that have asked the device to come again later since it was online last, whatever failed between; `MOST_ASKED` once it has waited for that. */
  readonly refusals?: number;
}

/** Failures in a row per goal; what makes pauses grow. */
export interface Attempts {
  readonly prepare: number;
  readonly provision: number;
  readonly connect: number;
  readonly erase: number;
}

interface Common {
  readonly attempts: Attempts;
  /** When this situation began. */
  readonly sinceMs: number;
}

export type Situation =
  | { readonly kind: 'stopped' }
  /** Opening the state and the keys. */
  | (Common & {
      readonly kind: 'preparing';
      readonly goal: Goal & { kind: 'prepare' };
      readonly trouble?: Trouble;
    })
  | (Common & {
      readonly kind: 'provisioning';
      readonly goal: Goal & { kind: 'provision' };
      readonly trouble?: Trouble;
    })
  | (Common & {
      readonly kind: 'connecting';
      readonly goal: Goal & { kind: 'connect' };
      readonly trouble?: Trouble;
    })
  /** Removing identity, keys and credential. */
  | (Common & {
      readonly kind: 'erasing';
      readonly goal: Goal & { kind: 'erase' };
      readonly trouble?: Trouble;
    })
  /** Nothing is left to do, now and after each start. */
  | (Common & { readonly kind: 'decommissioned'; readonly goal: Goal & { kind: 'erase' } })
  /** The router has answered through the tunnel. */
  | (Common & {
      readonly kind: 'online';
      readonly goal: Goal & { kind: 'connect' };
      /** Since when the handshake for another key is under way beside the tunnel. */
      readonly renewingSinceMs?: number;
      /** The router leaves service. */
      readonly drain?: Drain;
    })
  /** A pause; the failure may pass by itself. */
  | (Common & {
      readonly kind: 'backing-off';
      readonly goal: Goal;
      readonly trouble: Trouble;
      readonly untilMs: number;
    })
  /** A pause; an operator has to act, and the device tries now and then whether that was done. */
  | (Common & {
      readonly kind: 'blocked';
      readonly goal: Goal;
      readonly trouble: Trouble;
      readonly untilMs: number;
    });

/** A router that leaves service, as it has said (docs/wire.md, "Drain"). */
export interface Drain {
  readonly order: DrainOrder;
  /** There is another host to go to. */
  readonly elsewhere: boolean;
  /** How often that has failed. */
  readonly failures: number;
  /** It is under way. `heard`: what a router has said of leaving service meanwhile, which may be the other host's. */
  readonly move?: { readonly heard?: Pick<Drain, 'order' | 'elsewhere'> };
}

/** What became of the factory's credential when the device went out of service: `kept`: it could not be removed here. */
export type CredentialEnd = 'removed' | 'kept';

export type Event =
  | { readonly kind: 'start' }
  /** State and keys are open; they determine what comes next. */
  | { readonly kind: 'prepared'; readonly goal: Exclude<Goal, { kind: 'prepare' }> }
  | { readonly kind: 'provisioned'; readonly address: string }
  /** The tunnel carries packets. */
  | { readonly kind: 'up' }
  /** The attempt failed, or the tunnel broke. */
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** `elsewhere`: there is a host that was not tried yet, of those that have not asked the device to come again later. */
  | { readonly kind: 'verdict'; readonly verdict: Verdict; readonly elsewhere?: boolean }
  | { readonly kind: 'timer' }
  /** The clock jumped, the machine was asleep, or the like: what was true of the network may not be any more. */
  | { readonly kind: 'disturbed'; readonly cause: string }
  /** The route out has changed, or there is one where there was none. */
  | { readonly kind: 'network' }
  /** The route of the connection itself has changed: it cannot last. */
  | { readonly kind: 'moved' }
  /** The router leaves service; `elsewhere`: there is another host. */
  | { readonly kind: 'drained'; readonly order: DrainOrder; readonly elsewhere: boolean }
  /** It does not any more. */
  | { readonly kind: 'undrained' }
  /** The connection to another host was not made; the one that there is goes on. */
  | { readonly kind: 'not-moved'; readonly failure: Failure }
  /** The handshake is to be run again, for another key at the same address: an operator asks for it, or the key is old. */
  | { readonly kind: 'renew' }
  /** The device has got another identity: what was worked on is over. */
  | { readonly kind: 'enrolled' }
  /** The handshake beside the tunnel has failed. */
  | { readonly kind: 'not-renewed'; readonly failure: Failure }
  /** The fabric has retired the device at its own wish (`told`), or an operator takes it out of service without the fabric. */
  | { readonly kind: 'left'; readonly told: boolean }
  /** That wish was refused, or could not be kept. */
  | { readonly kind: 'stays'; readonly failure: Failure }
  /** Identity, keys and credential are removed. */
  | { readonly kind: 'erased'; readonly credential: CredentialEnd }
  | { readonly kind: 'stop' };

export type Action =
  | { readonly kind: 'prepare' }
  /** `address`: the only one that the device takes. */
  | { readonly kind: 'provision'; readonly address?: string }
  | { readonly kind: 'connect' }
  /** As `provision`, beside the tunnel that there is. */
  | { readonly kind: 'renew'; readonly address: string }
  | { readonly kind: 'erase'; readonly told: boolean }
  /** Finds out at once whether the tunnel still works; it may have `moved`. */
  | { readonly kind: 'probe' }
  /** Connects to another host beside the tunnel that there is, which ends then. */
  | { readonly kind: 'move' }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'log'; readonly level: 'warning' | 'notice' | 'info'; readonly message: string }
  /** Close everything: tunnel, device, keys. */
  | { readonly kind: 'release' };

export interface Step {
  readonly situation: Situation;
  readonly actions: readonly Action[];
}

/** A pause: how long, what comes after it, and whether a person has to do something. */
export interface Pause {
  readonly goal: Goal;
  readonly attempts: Attempts;
  readonly ms: number;
  readonly blocked: boolean;
}
