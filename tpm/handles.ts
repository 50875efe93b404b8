/** Where a personalised TPM keeps what makes it a member of its group. */
export interface HandleMap {
  readonly hierarchy: 'platform' | 'owner';
  /** Persistent handle of the ECDAA key; in a TPM without ECDAA, of the sealed secret of a member. */
  readonly daaKey: number;
  /** NV indexes. */
  readonly nv: {
    readonly gpk: number;
    readonly credential: number;
    readonly credentialSignature: number;
    readonly tlsRoot: number;
    readonly basename: number;
    readonly xttRoot: number;
    /** Only beside a sealed secret: its public point. */
    readonly memberPoint: number;
  };
}

/**
 * The handles of the C programs (tpm.md §1). Platform objects survive TPM2_Clear and cannot be removed by the owner,
 * but personalising needs the platform hierarchy open.
 */
export const PLATFORM_MAP: HandleMap = {
  hierarchy: 'platform',
  daaKey: 0x8180_0000,
  nv: {
    gpk: 0x0141_0000,
    credential: 0x0141_0001,
    credentialSignature: 0x0141_0002,
    tlsRoot: 0x0141_0005,
    // Not assigned by the C programs.
    memberPoint: 0x0141_0006,
    basename: 0x0141_0007,
    xttRoot: 0x0141_0009,
  },
};

/**
 * For machines whose firmware locks the platform hierarchy at boot. Both lie in what the TCG's registry of reserved
 * handles leaves to the owner: persistent 0x81020000–0x817FFFFF (the last three bytes spell "ENF") and NV
 * 0x01800000–0x01BFFFFF (low bytes as in the platform map). TPM2_Clear removes them.
 */
export const OWNER_MAP: HandleMap = {
  hierarchy: 'owner',
  daaKey: 0x8145_4e46,
  nv: {
    gpk: 0x018e_4f00,
    credential: 0x018e_4f01,
    credentialSignature: 0x018e_4f02,
    tlsRoot: 0x018e_4f05,
    memberPoint: 0x018e_4f06,
    basename: 0x018e_4f07,
    xttRoot: 0x018e_4f09,
  },
};

/** Searched in this order. */
export const HANDLE_MAPS: readonly HandleMap[] = [PLATFORM_MAP, OWNER_MAP];

/** Parent of the longterm keys: the handle the C programs use, and most other software, too. */
export const COMMON_PARENT = 0x8100_0001;

/** Our own parent ("ENP"), for TPMs whose common parent belongs to another program and is unsuitable. */
export const OWN_PARENT = 0x8145_4e50;
