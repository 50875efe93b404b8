import { Failure } from '../protocol/failure.ts';

/** TPM_RC values that the program handles. Those above 0x80 come with a parameter, handle or session number; see `base`. */
export const RC = {
  initialize: 0x100,
  /** … to `notLoadedLast`: a loaded object or session that the TPM does not know any more. */
  notLoadedFirst: 0x910,
  notLoadedLast: 0x91e,
  failure: 0x101,
  nvRange: 0x146,
  nvUninitialized: 0x14a,
  nvSpace: 0x14b,
  nvDefined: 0x14c,
  objectMemory: 0x902,
  sessionMemory: 0x903,
  memory: 0x904,
  sessionHandles: 0x905,
  objectHandles: 0x906,
  yielded: 0x908,
  canceled: 0x909,
  testing: 0x90a,
  nvRate: 0x920,
  lockout: 0x921,
  retry: 0x922,
  hierarchy: 0x085,
  handle: 0x08b,
  authFail: 0x08e,
  policyFail: 0x09d,
  pcrChanged: 0x128,
  badAuth: 0x0a2,
} as const;

const ENOENT = 2;
const ENXIO = 6;
const EACCES = 13;
const EBUSY = 16;
const ENODEV = 19;
const EPERM = 1;

/** The TPM's own code without parameter, handle and session numbers; undefined if a layer of the TSS returned it. */
export function base(rc: number): number | undefined {
  const layer = rc >>> 16;
  // 11 and 12: a resource manager that answers in place of the TPM.
  if (layer !== 0 && layer !== 11 && layer !== 12) return undefined;
  const code = rc & 0xfff;
  return (code & 0x80) === 0 ? code : code & 0xbf;
}

/** True for answers after which the same command may be sent again. */
export function isTransient(rc: number): boolean {
  const code = base(rc);
  return code === RC.retry || code === RC.yielded || code === RC.testing || code === RC.nvRate;
}

/** True if the TPM refused the authorisation: a password is required, or the hierarchy is disabled. */
export function isUnauthorised(rc: number): boolean {
  const code = base(rc);
  return code === RC.badAuth || code === RC.authFail || code === RC.hierarchy;
}

/**
 * True if the TPM finds fault with a parameter, a handle or a session that it was given (a format-one code, of which 0x80 is a part), and
 * not with its own condition, such as an update of its firmware.
 */
export const isAboutArgument = (rc: number): boolean => base(rc) !== undefined && (rc & 0x80) !== 0;

/** True if nothing exists at the handle. */
export function isAbsent(rc: number): boolean {
  return base(rc) === RC.handle;
}

function meansReset(rc: number): boolean {
  const code = base(rc);
  if (code === undefined) return false;
  return code === RC.initialize || (code >= RC.notLoadedFirst && code <= RC.notLoadedLast);
}

/**
 * The failure for a return code of `command`; `text` is the TSS's own explanation. Lockout is not among them: its
 * failure has the remaining time, see `lockedOut`.
 */
export function failureOf(rc: number, command: string, text: string): Failure {
  const said = `TPM ${command}: 0x${rc.toString(16)}, ${text}`;
  if (meansReset(rc)) return new Failure('tpm.lost', 'retry', `${said}: the TPM was reset meanwhile`);
  switch (base(rc)) {
    case undefined:
      return new Failure('tpm.failed', 'retry', `${said} (connection to the TPM lost)`, {
        action: 'If this stays, check the TPM device and its driver (dmesg | grep tpm).',
      });
    case RC.failure:
      return new Failure('tpm.defective', 'operator', `${said}: the TPM is in failure mode`, {
        action: 'Power the machine off and on; if it stays, replace the TPM.',
      });
    case RC.retry:
    case RC.yielded:
    case RC.testing:
    case RC.nvRate:
    case RC.canceled:
      return new Failure('tpm.busy', 'retry', `${said}: the TPM stayed busy`);
    case RC.objectMemory:
    case RC.sessionMemory:
    case RC.memory:
    case RC.sessionHandles:
    case RC.objectHandles:
      return new Failure('tpm.no-slots', 'retry', `${said}: no free slot in the TPM`, {
        action: 'Use /dev/tpmrm0, or end the program that holds objects in the TPM.',
      });
    case RC.nvSpace:
      return new Failure('tpm.nv-full', 'operator', `${said}: the TPM's NV memory is full`, {
        action: 'Free NV indexes that nobody needs: tpm2_getcap handles-nv-index, tpm2_nvundefine.',
      });
    case RC.badAuth:
    case RC.authFail:
    case RC.hierarchy:
      return new Failure('tpm.not-authorised', 'operator', `${said}: the TPM refused the authorisation`, {
        action: 'Give the password that was set for this key or hierarchy.',
      });
    case RC.policyFail:
    case RC.pcrChanged:
      return new Failure(
        'tpm.policy-failed',
        'operator',
        `${said}: what the object's policy asks for is not so`,
        {
          action: 'Boot the machine as it was when the object was made, or make the object anew.',
        },
      );
    default:
      return new Failure('tpm.refused', 'retry', `${said}`);
  }
}

/** The failure for a TPM that could not be opened; `errno` is undefined where there is no device file. */
export function unopened(tcti: string, errno: number | undefined, text: string): Failure {
  switch (errno) {
    case EACCES:
    case EPERM:
      return new Failure('tpm.not-permitted', 'operator', `${tcti}: not permitted to open the TPM device`, {
        action: 'Run as a user of the group that owns the device (usually tss), or add a udev rule.',
      });
    case EBUSY:
      return new Failure('tpm.busy', 'retry', `${tcti}: another program holds the TPM device`, {
        action: 'Use the resource manager, device:/dev/tpmrm0, or end the other program.',
      });
    case ENOENT:
    case ENXIO:
    case ENODEV:
      return new Failure('tpm.absent', 'retry', `${tcti}: no such TPM device`, {
        action: 'Switch the TPM on in the firmware, load its driver, or configure the right device.',
      });
    default:
      return new Failure('tpm.absent', 'retry', `${tcti}: no TPM answers there (${text})`, {
        action: 'Check the configured TPM connection, and that the TPM or its simulator runs.',
      });
  }
}

/** `seconds` until the TPM takes one failed attempt off its counter; undefined if it does not report it. */
export function lockedOut(command: string, seconds: number | undefined): Failure {
  const wait =
    seconds === undefined
      ? 'the TPM does not report for how long'
      : `it allows another attempt within ${seconds} s`;
  return new Failure('tpm.lockout', 'operator', `TPM ${command}: dictionary-attack lockout; ${wait}`, {
    action:
      'Wait, or reset it with the lockout password: tpm2_dictionarylockout --clear-lockout. Find out which program tried wrong passwords.',
  });
}

const UNLOCK = {
  platform: 'Most firmware locks the platform hierarchy at boot: use the owner hierarchy (--map owner).',
  owner:
    'Give the owner password (--hierarchy-auth-file), or clear the TPM in the firmware if nothing else uses it.',
  endorsement:
    'Remove the password of the endorsement hierarchy (tpm2_changeauth -c endorsement), or clear the TPM in the firmware if nothing else uses it.',
} as const;

/** A hierarchy that refuses our authorisation: it has a password that was not given, or the firmware disabled it. */
export function hierarchyLocked(hierarchy: keyof typeof UNLOCK, cause?: unknown): Failure {
  return new Failure(
    'tpm.hierarchy-locked',
    'operator',
    `the TPM's ${hierarchy} hierarchy refuses the authorisation`,
    {
      action: UNLOCK[hierarchy],
      cause,
    },
  );
}

/** A handle at which there is something that is not ours. */
export function occupied(handle: number, by: string): Failure {
  const hex = `0x${handle.toString(16).padStart(8, '0')}`;
  return new Failure('tpm.occupied', 'operator', `${hex} in the TPM already holds ${by}`, {
    action: `If nobody needs it, remove it yourself (tpm2_evictcontrol or tpm2_nvundefine ${hex}) and try again.`,
  });
}
