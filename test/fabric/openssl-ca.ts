import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Certificates as owners have them: made by the openssl program. */

export type KeyKind = 'p256' | 'p384' | 'p521' | 'ed25519' | 'rsa2048' | 'rsa1024';

const KEYS: Readonly<Record<KeyKind, readonly string[]>> = {
  p256: ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  p384: ['EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  p521: ['EC', '-pkeyopt', 'ec_paramgen_curve:P-521'],
  ed25519: ['ED25519'],
  rsa2048: ['RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  rsa1024: ['RSA', '-pkeyopt', 'rsa_keygen_bits:1024'],
};

export interface MadeCertificate {
  /** PEM, and the name of its file. */
  readonly pem: string;
  readonly file: string;
  readonly key: string;
  readonly keyFile: string;
  readonly subject: string;
}

export interface Wanted {
  readonly subject: string;
  readonly by?: MadeCertificate;
  readonly key?: KeyKind;
  /** Lines of an extension section. */
  readonly extensions?: readonly string[];
  readonly serial?: string;
  /** When it ends, in seconds from now; it began an hour ago. */
  readonly seconds?: number;
}

export interface CaFolder {
  readonly folder: string;
  ca(wanted: Wanted): MadeCertificate;
  /** A machine with these addresses. */
  leaf(
    wanted: Omit<Wanted, 'extensions'> & { readonly addresses: readonly string[]; readonly usage?: string },
  ): MadeCertificate;
  /** A list of revoked certificates (PEM), by their serial numbers. */
  crl(by: MadeCertificate, serials: readonly string[]): string;
  remove(): void;
}

const digits = (value: number): string => String(value).padStart(2, '0');

/** As `openssl ca` reads times. */
function utc(at: Date): string {
  const parts = [
    at.getUTCMonth() + 1,
    at.getUTCDate(),
    at.getUTCHours(),
    at.getUTCMinutes(),
    at.getUTCSeconds(),
  ];
  return `${at.getUTCFullYear()}${parts.map(digits).join('')}Z`;
}

export function caFolder(): CaFolder {
  const folder = mkdtempSync(join(tmpdir(), 'enf-ca-'));
  let made = 0;
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', [...args], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  };
  const configure = (name: string, section: string): void => {
    writeFileSync(join(folder, `${name}.index`), '');
    writeFileSync(
      join(folder, `${name}.cnf`),
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${name}.index\nnew_certs_dir=.\nserial=${name}.serial\ncrlnumber=${name}.number\ndefault_md=sha256\npolicy=p\ndefault_crl_days=30\nunique_subject=no\n[p]\n[x]\n${section}\n`,
    );
  };

  function make({
    subject,
    by,
    key = 'p256',
    extensions = [],
    serial,
    seconds = 86_400,
  }: Wanted): MadeCertificate {
    const name = `c${++made}`;
    const [file, keyFile] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
    openssl('genpkey', '-algorithm', ...KEYS[key], '-out', keyFile);
    openssl('req', '-new', '-key', keyFile, '-subj', subject, '-out', `${name}.csr`);
    configure(name, extensions.join('\n'));
    writeFileSync(join(folder, `${name}.serial`), serial ?? digits(made + 0x10).padStart(4, '0'));
    const [from, to] = [new Date(Date.now() - 3_600_000), new Date(Date.now() + 1_000 * seconds)];
    openssl(
      ...['ca', '-batch', '-notext', '-preserveDN', '-config', `${name}.cnf`, '-extensions', 'x'],
      ...['-startdate', utc(from), '-enddate', utc(to), '-in', `${name}.csr`, '-out', file],
      ...(by === undefined ? ['-selfsign', '-keyfile', keyFile] : ['-cert', by.file, '-keyfile', by.keyFile]),
    );
    return { pem: readFileSync(file, 'utf8'), file, key: readFileSync(keyFile, 'utf8'), keyFile, subject };
  }

  return {
    folder,
    ca: ({ extensions = [], ...wanted }) =>
      make({
        ...wanted,
        extensions: ['basicConstraints=critical,CA:TRUE', 'subjectKeyIdentifier=hash', ...extensions],
      }),
    leaf: ({ addresses, usage = 'clientAuth', ...wanted }) =>
      make({
        ...wanted,
        extensions: [
          'basicConstraints=CA:FALSE',
          ...(usage === '' ? [] : [`extendedKeyUsage=${usage}`]),
          ...(addresses.length === 0
            ? []
            : [`subjectAltName=${addresses.map((each) => `IP:${each}`).join(',')}`]),
        ],
      }),
    crl(by, serials) {
      const name = `l${++made}`;
      configure(name, '');
      const [from, to] = [new Date(Date.now() - 60_000), new Date(Date.now() + 86_400_000)].map((at) =>
        utc(at).slice(2),
      );
      writeFileSync(
        join(folder, `${name}.index`),
        serials.map((serial) => `R\t${to}\t${from}\t${serial}\tunknown\t/CN=x\n`).join(''),
      );
      writeFileSync(join(folder, `${name}.number`), '01');
      const file = join(folder, `${name}.crl`);
      openssl(
        'ca',
        '-config',
        `${name}.cnf`,
        '-gencrl',
        '-cert',
        by.file,
        '-keyfile',
        by.keyFile,
        '-out',
        file,
      );
      return readFileSync(file, 'utf8');
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
