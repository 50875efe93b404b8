import { defineConfig } from 'vitest/config';

/**
 * Tests that need nothing but Node and the npm packages: no root, no Debian package, no addon (`npm run test:unit`). What
 * needs more is named here; a test that is not named has to pass as an ordinary user on a machine without a compiler.
 */
const NEEDS_ADDON_OR_ROOT = [
  'test/native/**',
  'test/tunnel/**',
  'test/console/{cas,confirm,elsewhere,jobs,nodes,owners,prefixes,roster,rules,story,wall}.test.ts',
  'test/e2e/**',
  'test/swtpm/**',
  'test/tpm/!(structures).test.ts',
  'test/crypto/{curves,ecdaa,ecdaa-selftest,host-arithmetic,member-secret,stateless-server}.test.ts',
  'test/os/linux/{command,ipv6,links,netlink,tpm-device}.test.ts',
  'test/os/net/{acceptor,acceptor-arguments,acceptor-limits,dial,https-chain,https-client,proxy}.test.ts',
  'test/os/service/{notify,output,process}.test.ts',
  'test/agent/program.test.ts',
  'test/agent/commands/**',
  'test/agent/enftun/enftun.test.ts',
  'test/agent/identity/**',
  'test/agent/network/{hostile-host,lan,own-interface,reconciler}.test.ts',
  'test/agent/service/{addresses,delegation,effects,enrolled,environment,hosts,leaving,moving,order,pace,tpm,tpm-troubles}.test.ts',
  'test/agent/state/{enrolment-cut,held,power-cut,session}.test.ts',
  'test/agent/tunnel/**',
  'test/factory/{cli,device-life,endorsement,issuer-tpm,line,personalise,sealed,sealed-cli}.test.ts',
  'test/factory/station/**',
  'test/fabric/bgp/**',
  'test/fabric/commands/**',
  'test/fabric/crl/**',
  'test/fabric/doctor/netcheck.test.ts',
  'test/fabric/est/{issuing,makers}.test.ts',
  'test/fabric/identity/shedding.test.ts',
  'test/fabric/metrics/router.test.ts',
  'test/fabric/operations/ca-preview.test.ts',
  'test/fabric/registry/postgres/{clock,contract,duties,est-duties,migrate,move,nodes,queue,roles,schema,together,unsaid}.test.ts',
  'test/fabric/registry/postgres/servers/{fence,held,lost,outcome,replica}.test.ts',
  'test/fabric/registry/sqlite/{database,group-commit}.test.ts',
  'test/fabric/router/*.test.ts',
  'test/fabric/router/packets/**',
  'test/fabric/router/arrivals/!(clones|invitations).test.ts',
  'test/fabric/router/vouched/**',
  'test/bench/admit.test.ts',
  'test/bench/handshakes.test.ts',
  'test/powercuts/{powercuts,database/database}.test.ts',
  'test/armhf/**',
  'test/fuzz/**',
];
/** Tests that run programs of Debian's packages: openssl, zbarimg, systemd-analyze, dpkg, curl, prlimit, cat. */
const NEEDS_PROGRAMS = [
  'test/os/files/private-folder.test.ts',
  'test/fabric/api/docs.test.ts',
  'test/fabric/api/answers/**',
  'test/fabric/labels/picture-process.test.ts',
  'test/factory/{box-labels,label}.test.ts',
  'test/factory/batch/close.test.ts',
  'test/fabric/pki/{request,x509}.test.ts',
  'test/packaging/**',
  'test/yocto/**',
  'test/protocol/identity/roots.test.ts',
];
/** Tests that wait for deadlines, or compute for many seconds. */
const TAKES_LONG = [
  'test/os/net/control-socket.test.ts',
  'test/crypto/{sealed,sealed-stream}.test.ts',
  'test/factory/group.test.ts',
  'test/factory/batch/journal.test.ts',
  'test/protocol/hostile.test.ts',
  'test/sim/simulate.test.ts',
  'test/fabric/identity/{behaviour,limits,repeated,server}.test.ts',
];

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...NEEDS_ADDON_OR_ROOT, ...NEEDS_PROGRAMS, ...TAKES_LONG],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { interval: 10, timeout: 20_000 } },
    pool: 'forks',
    maxWorkers: '100%',
  },
});
