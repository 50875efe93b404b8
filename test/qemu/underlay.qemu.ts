import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { birdConfig } from '../../fabric/bgp/bird.ts';
import { kernel, rootDisk, settings, step } from './settings.ts';

const NODES = ['a', 'b', 'c'];
const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));

/** What the guest runs, and the page whose commands it runs, as its second disk. */
function payload(folder: string): string {
  const content = join(folder, 'content');
  mkdirSync(content);
  copyFileSync(path('test/qemu/guest/underlay.sh'), join(content, 'main.sh'));
  copyFileSync(path('docs/scale.md'), join(content, 'scale.md'));
  for (const [i, node] of NODES.entries()) {
    const peers = NODES.flatMap((name, j) => (j === i ? [] : [{ name, address: `fd99::${j + 1}` }]));
    const text = birdConfig({ routerId: `10.0.0.${i + 1}`, as: 64_512, peers, table: 100, protocol: 77 });
    writeFileSync(join(content, `${node}.conf`), text);
  }
  const archive = join(folder, 'payload.tar');
  execFileSync('tar', ['-C', content, '-cf', archive, '.']);
  return archive;
}

/** Boots the guest, and resolves to the lines of its console once it has switched itself off. */
async function boot(folder: string): Promise<readonly string[]> {
  const arm = settings.arch === 'arm64';
  const machine = spawn(
    arm ? 'qemu-system-aarch64' : 'qemu-system-x86_64',
    [
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-nic', 'none'],
      ...(arm ? ['-M', 'virt', '-cpu', 'cortex-a57'] : ['-M', 'q35,usb=off,vmport=off', '-cpu', 'max']),
      ...['-accel', 'tcg,thread=multi,tb-size=512', '-smp', '2', '-m', '768', '-serial', 'stdio'],
      ...['-device', 'virtio-rng-pci', '-kernel', kernel],
      '-append',
      [
        `root=/dev/nvme0n1 rw init=/main console=${arm ? 'ttyAMA0' : 'ttyS0'}`,
        'quiet loglevel=1 panic=-1 audit=0 nokaslr mitigations=off tsc=reliable no_timer_check',
      ].join(' '),
      ...['-drive', `if=none,id=root,format=raw,file=${rootDisk},snapshot=on,cache=unsafe`],
      ...['-device', 'nvme,drive=root,serial=root'],
      ...['-drive', `if=none,id=payload,format=raw,readonly=on,file=${payload(folder)}`],
      ...['-device', 'virtio-blk-pci,drive=payload'],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const patience = setTimeout(() => machine.kill('SIGKILL'), 1_800_000);
  const lines: string[] = [];
  for await (const line of createInterface({ input: machine.stdout! })) {
    lines.push(line.trimEnd());
    if (/^(not )?ok /.test(line)) step(line.trimEnd());
  }
  clearTimeout(patience);
  return lines;
}

test('nodes with WireGuard and with IPsec between them, by the kernel and strongSwan of Debian, as docs/scale.md has it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'enf-underlay-'));
  try {
    const lines = await boot(folder);
    const checks = lines.filter((line) => /^(not )?ok /.test(line));
    expect(
      checks.filter((line) => line.startsWith('not ok ')),
      lines.join('\n'),
    ).toEqual([]);
    for (const kind of ['WireGuard', 'IPsec'])
      expect(checks, lines.join('\n')).toContain(`ok ${kind}: nothing has passed the link in clear`);
    expect(lines).toContain('ended: 0');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
