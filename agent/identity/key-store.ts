import type { DaaKey } from '../../protocol/crypto/daa-key.ts';
import type { EcdsaSigner } from '../../protocol/crypto/primitives.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import type { SavedKey } from '../state/state.ts';

/** What the factory gave the device. */
export interface Credential {
  /** Group public key, 258 bytes. */
  readonly gpk: Uint8Array;
  /** 260 bytes. */
  readonly credential: Uint8Array;
  /** 1 to 64 bytes. */
  readonly basename: Uint8Array;
  /** XTT root certificate, 81 bytes. */
  readonly xttRoot: Uint8Array;
}

/** A longterm key that is ready to sign. */
export interface LongtermKey {
  /** 65 bytes, uncompressed P-256. */
  readonly publicKey: Uint8Array;
  readonly sign: EcdsaSigner;
  /** What `tls.connect` takes as key, good for the next handshake: PEM. @throws Failure `tpm.lost` */
  tlsKey(): string;
  close(): Promise<void>;
}

/** The group member's key. */
export interface DeviceKey extends DaaKey {
  /** True if the TPM made it, and it never leaves that; false if its secret is sealed in the TPM, or in a file. */
  readonly resident: boolean;
}

/** Where keys for TLS are made and loaded. */
export interface KeyMaker {
  /** Makes a longterm key. It is not used before the caller has made it durable. */
  create(): Promise<SavedKey>;
  /** @throws Failure `tpm.foreign-key` if another TPM made it, `agent.mode-changed` */
  load(saved: SavedKey): Promise<LongtermKey>;
  close(): Promise<void>;
}

/** Where the device's keys live: a TPM, or files. */
export interface KeyStore extends KeyMaker {
  credential(): Promise<Credential>;
  /** Root of the router's TLS certificate, as the factory wrote it: PEM or DER. Undefined if it wrote none. */
  tlsRoot(): Promise<Uint8Array | undefined>;
  /** The group member's key; only provisioning needs it. */
  daaKey(): Promise<DeviceKey>;
}

/** True if this key can never be loaded here, as opposed to a TPM that does not answer at the moment. */
export function isUnloadable(error: unknown): boolean {
  return ['tpm.foreign-key', 'identity.bad-tss2-file', 'identity.bad-key-file'].some((code) =>
    isFailure(error, code),
  );
}

/** The saved key is of the kind this key store does not hold. */
export function modeChanged(saved: SavedKey): Failure {
  return new Failure(
    'agent.mode-changed',
    'operator',
    `the state holds a key of mode "${saved.kind}", but identity.mode is the other one`,
    {
      action: `Set identity.mode = "${saved.kind}" again, or run "enf-agent forget --yes" to provision again.`,
    },
  );
}
