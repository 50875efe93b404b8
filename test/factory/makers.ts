import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A maker of TPMs in a folder: swtpm's own tools, with a root and an authority under it. */
export interface Maker {
  /** The certificates of its authorities. */
  readonly roots: string;
  /** Makes a chip with endorsement keys and certificates; returns the folder of its state. */
  chip(name: string): string;
}

export function maker(folder: string): Maker {
  const authority = join(folder, 'authority');
  const roots = join(folder, 'roots');
  for (const each of [authority, roots]) mkdirSync(each, { recursive: true });
  const localca = join(folder, 'localca.conf');
  const options = join(folder, 'localca.options');
  const config = join(folder, 'setup.conf');
  writeFileSync(
    localca,
    `statedir = ${authority}
signingkey = ${authority}/signkey.pem
issuercert = ${authority}/issuercert.pem
certserial = ${authority}/certserial
`,
  );
  writeFileSync(options, '--platform-manufacturer enf\n--platform-version 1\n--platform-model test\n');
  writeFileSync(
    config,
    `create_certs_tool = /usr/bin/swtpm_localca
create_certs_tool_config = ${localca}
create_certs_tool_options = ${options}
active_pcr_banks = sha256
`,
  );
  const chip = (name: string): string => {
    const state = join(folder, name);
    mkdirSync(state);
    const args = ['--tpm2', '--create-ek-cert', '--runas', 'root', '--config', config, '--tpmstate', state];
    execFileSync('swtpm_setup', args, { stdio: 'pipe', timeout: 60_000 });
    return state;
  };
  // The authority is made with the first chip.
  chip('first');
  for (const [from, to] of [
    ['swtpm-localca-rootca-cert.pem', 'root.pem'],
    ['issuercert.pem', 'intermediate.pem'],
  ] as const)
    writeFileSync(join(roots, to), readFileSync(join(authority, from)));
  return { roots, chip };
}

/** What a certificate of `certify` differs in from a good one. */
export interface CertificateChange {
  /** Lines of an openssl section. */
  readonly extensions?: string;
  readonly names?: string;
  readonly days?: number;
}

/** An authority made with openssl, which certifies any public key. */
export interface Certifier {
  /** PEM. */
  readonly root: string;
  /** A certificate for a public key in PEM, DER; for a year from now, if nothing else is said. */
  certify(publicKey: string, change?: CertificateChange): Uint8Array;
}

const GOOD = `basicConstraints = critical, CA:FALSE
keyUsage = critical, keyEncipherment, keyAgreement
extendedKeyUsage = 2.23.133.8.1
`;
/** In a name an object identifier needs something before its first dot. */
const NAMES = '1.2.23.133.2.1 = id:FFFFF1D0\n2.2.23.133.2.2 = test\n3.2.23.133.2.3 = id:1\n';

export function certifier(folder: string, constraints = 'critical, CA:TRUE'): Certifier {
  mkdirSync(folder, { recursive: true });
  const file = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void =>
    void execFileSync('openssl', args, {
      cwd: folder,
      stdio: 'pipe',
      env: { ...process.env, LD_PRELOAD: '' },
    });
  writeFileSync(
    file('root.conf'),
    `[req]\ndistinguished_name = dn\nx509_extensions = ext\nprompt = no\n[dn]\nCN = ${folder.split('/').at(-1)}
[ext]\nbasicConstraints = ${constraints}\nkeyUsage = critical, keyCertSign\nsubjectKeyIdentifier = hash\n`,
  );
  openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'ca.key');
  openssl(
    'req',
    '-x509',
    '-new',
    '-key',
    'ca.key',
    '-config',
    'root.conf',
    '-days',
    '36500',
    '-out',
    'ca.pem',
  );
  let made = 0;
  return {
    root: file('ca.pem'),
    certify(publicKey, { extensions = GOOD, names = NAMES, days = 365 } = {}) {
      const name = `ek-${++made}`;
      writeFileSync(file(`${name}.pub`), publicKey);
      writeFileSync(
        file(`${name}.conf`),
        `[req]\ndistinguished_name = dn\nprompt = no\n[dn]\nCN = ${name}
[ext]\n${extensions}subjectAltName = critical, dirName:tpm\n[tpm]\n${names}`,
      );
      openssl('req', '-new', '-key', 'ca.key', '-config', `${name}.conf`, '-out', `${name}.csr`);
      // Nobody has the private part of the key that is certified.
      openssl(
        ...['x509', '-req', '-in', `${name}.csr`, '-force_pubkey', `${name}.pub`, '-days', String(days)],
        ...[
          '-CA',
          'ca.pem',
          '-CAkey',
          'ca.key',
          '-CAcreateserial',
          '-extfile',
          `${name}.conf`,
          '-extensions',
          'ext',
        ],
        ...['-outform', 'DER', '-out', `${name}.der`],
      );
      return new Uint8Array(readFileSync(file(`${name}.der`)));
    },
  };
}
