import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A software token (SoftHSM) of this process, whose calls are written down by OpenSC's spy module. */
export interface SoftHsm {
  readonly folder: string;
  /** The PKCS#11 module, for module-path. */
  readonly module: string;
  init(token: string, pin: string): void;
  /** Copies a private key (PEM file, PKCS#8) into the token, with its public key. */
  import(token: string, pin: string, label: string, id: string, keyFile: string): void;
  /** How often a PIN was given since the last call. */
  logins(): number;
  /** How often it was to sign since the last call. */
  signatures(): number;
  /** Takes all tokens away, for good. */
  unplug(): void;
  remove(): void;
}

const LIBRARIES = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;

/** One in a process: a module reads its settings from the environment when it is loaded. */
export function softHsm(): SoftHsm {
  const folder = mkdtempSync(join(tmpdir(), 'enf-hsm-'));
  const calls = join(folder, 'calls');
  mkdirSync(join(folder, 'tokens'));
  writeFileSync(calls, '');
  writeFileSync(
    join(folder, 'softhsm2.conf'),
    `directories.tokendir = ${folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n`,
  );
  process.env.SOFTHSM2_CONF = join(folder, 'softhsm2.conf');
  process.env.PKCS11SPY = `${LIBRARIES}/softhsm/libsofthsm2.so`;
  process.env.PKCS11SPY_OUTPUT = calls;
  const util = (...argv: string[]): void => void execFileSync('softhsm2-util', argv, { stdio: 'pipe' });
  const counter = (call: string): (() => number) => {
    let seen = 0;
    return () => {
      const all = readFileSync(calls, 'utf8').match(new RegExp(`: ${call}$`, 'gm'))?.length ?? 0;
      const since = all - seen;
      seen = all;
      return since;
    };
  };
  return {
    folder,
    module: `${LIBRARIES}/pkcs11-spy.so`,
    init: (token, pin) =>
      util('--init-token', '--free', '--label', token, '--pin', pin, '--so-pin', '0123456789'),
    import: (token, pin, label, id, keyFile) =>
      util('--import', keyFile, '--token', token, '--pin', pin, '--label', label, '--id', id),
    logins: counter('C_Login'),
    signatures: counter('C_SignInit'),
    unplug: () => rmSync(join(folder, 'tokens'), { recursive: true }),
    remove: () => rmSync(folder, { recursive: true }),
  };
}
