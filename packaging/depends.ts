/**
 * Debian 13 has renamed libraries whose interface did not change on 64-bit machines: our binary runs with
 * both. Package names of Debian 12, and those of Debian 13.
 */
const RENAMED: Readonly<Record<string, string>> = {
  'libtss2-esys-3.0.2-0': 'libtss2-esys-3.0.2-0t64',
  'libtss2-mu0': 'libtss2-mu-4.0.1-0t64',
  'libtss2-rc0': 'libtss2-rc0t64',
  'libtss2-sys1': 'libtss2-sys1t64',
  'libtss2-tctildr0': 'libtss2-tctildr0t64',
  'libtss2-tcti-device0': 'libtss2-tcti-device0t64',
};

const SYSUSERS = 'systemd | systemd-standalone-sysusers | systemd-sysusers';
/** Loaded by name when the TPM is "device:…". */
const TPM_DEVICE = 'libtss2-tcti-device0';

/** What the linker does not know of, by package. */
const FIXED: Readonly<Record<string, readonly string[]>> = {
  'enf-agent': ['nodejs (>= 20)', 'iproute2', SYSUSERS, TPM_DEVICE],
  'enf-fabric': ['debconf (>= 0.5) | debconf-2.0', 'iproute2', 'nftables', SYSUSERS],
  'enf-factory': ['nodejs (>= 20)', TPM_DEVICE],
};

/**
 * The dependencies of the package `name`: the libraries that dpkg-shlibdeps found (as it prints them, "libc6 (>= 2.34), …"), and
 * what the linker does not know of. Each library with its names in both Debians, whichever this one is. The fabric runs on the
 * major versions of Node.js that it has a database driver for.
 */
export function depends(name: string, libraries: string, majors: readonly number[]): string {
  const node =
    name === 'enf-fabric'
      ? [`nodejs (>= ${Math.min(...majors)})`, `nodejs (<< ${Math.max(...majors) + 1}~)`]
      : [];
  const fixed = [...(FIXED[name] ?? []), ...node];
  const found = libraries
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
  return [...fixed, ...found].map(bothNames).sort().join(', ');
}

function bothNames(dependency: string): string {
  const [name, ...version] = dependency.split(' ');
  const pair = Object.entries(RENAMED).find((names) => names.includes(name!));
  if (pair === undefined) return dependency;
  // The version is that of this Debian; the library of the other one is newer, or is not there under this name.
  return pair.map((each) => (each === name ? [each, ...version].join(' ') : each)).join(' | ');
}
