import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { eventually, type Outcome } from '../e2e/process.ts';
import { openQmp, type Qmp } from './qmp.ts';
import { kernel, rootDisk, settings } from './settings.ts';
import { stalls } from './stalls.ts';

export interface GuestOptions {
  /** Network namespace; the guest's uplink reaches what is reachable in it. */
  readonly namespace: string;
  readonly folder: string;
  /** Folder with the memory of the TPM. */
  readonly tpm: string;
  /** Socket of the NBD server that has the disk of the state, or the only disk of a gateway. */
  readonly disk: string;
  /** A whole gateway, which its firmware starts from its disk, instead of our root and kernel. */
  readonly gateway?: {
    /** A file system with updates, read-only, as /dev/vda. */
    readonly updates: string;
  };
  readonly memoryMb?: number;
  /** What the real time clock says at first, e.g. "1970-01-01T00:00:00"; this machine's time by default. */
  readonly clock?: string;
  /** Further words for the kernel. */
  readonly append?: string;
  readonly readOnlyRoot?: boolean;
  /** It starts with its cable unplugged. */
  readonly unplugged?: boolean;
}

/** A running Debian with our package. Its root disk is as new at each boot; its state and its TPM stay. */
export interface Guest {
  /** Runs a bash script in the guest; stdout has both streams. @throws Error if the guest ends or does not answer */
  run(script: string, seconds?: number): Promise<Outcome>;
  /** The same, and returns what it printed, trimmed. @throws Error also for an exit code other than 0 */
  must(script: string, seconds?: number): Promise<string>;
  readonly qemu: Qmp;
  /** How often this machine has stood still since the boot. */
  readonly stalls: () => number;
  plug(connected: boolean): Promise<void>;
  /** Resolves when it has restarted or switched off by itself: QEMU ends in both cases. */
  ended(seconds: number): Promise<void>;
  /** SIGKILL for QEMU and TPM. What the disk then loses is decided by `VolatileDisk`. */
  kill(): Promise<void>;
  powerOff(): Promise<void>;
}

/** Seconds. Emulated processors are slow, and slower on a busy machine: these deadlines only end what hangs. */
const BOOT_S = 900;
const COMMAND_S = 180;

export async function boot(options: GuestOptions): Promise<Guest> {
  const folder = mkdtempSync(join(options.folder, 'boot-'));
  const tpm = inside(options.namespace, [
    ...['swtpm', 'socket', '--tpm2', '--tpmstate', `dir=${options.tpm}`, '--terminate'],
    ...['--ctrl', `type=unixio,path=${folder}/tpm`],
  ]);
  await eventually('the TPM', async () => (existsSync(`${folder}/tpm`) ? true : undefined));
  const machine = inside(options.namespace, commandLine(options, folder), join(folder, 'qemu.log'));
  const gone = once(machine, 'exit');
  const before = stalls();
  const kill = async (): Promise<void> => {
    machine.kill('SIGKILL');
    await gone;
    if (tpm.exitCode === null && tpm.signalCode === null) {
      tpm.kill('SIGKILL');
      await once(tpm, 'exit');
    }
  };
  const ended = async (seconds: number): Promise<void> => {
    const patience = setTimeout(() => machine.kill('SIGKILL'), seconds * 1000);
    await gone;
    clearTimeout(patience);
    if (machine.signalCode !== null) throw new Error(`the guest did not end by itself${log(folder)}`);
    await kill();
  };
  try {
    const qemu = await openQmp(`${folder}/qmp`);
    await qemu.ask('set_link', { name: 'uplink', up: options.unplugged !== true });
    const executor = await openExecutor(`${folder}/executor`, machine, folder);
    await qemu.ask('cont');
    await executor.ready;
    const must: Guest['must'] = async (script, seconds) => {
      const { code, stdout } = await executor.run(script, seconds);
      if (code !== 0) throw new Error(`in the guest, exit ${code}: ${script}\n${stdout}`);
      return stdout.trim();
    };
    return {
      run: executor.run,
      must,
      qemu,
      stalls: () => stalls() - before,
      plug: async (connected) => void (await qemu.ask('set_link', { name: 'uplink', up: connected })),
      kill,
      ended,
      async powerOff() {
        void executor.run('systemctl poweroff').catch(() => {});
        await ended(BOOT_S);
      },
    };
  } catch (error) {
    await kill();
    throw error;
  }
}

const arm = settings.arch === 'arm64';

function commandLine(options: GuestOptions, folder: string): string[] {
  return [
    arm ? 'qemu-system-aarch64' : 'qemu-system-x86_64',
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-S'],
    // Always emulated: that /dev/kvm can be opened does not mean that it works.
    ...['-accel', 'tcg,thread=multi,tb-size=512', '-smp', '2', '-m', String(options.memoryMb ?? 512)],
    ...(arm
      ? ['-M', 'virt,gic-version=3', '-cpu', 'cortex-a57']
      : ['-M', 'q35,usb=off,vmport=off', '-cpu', 'max']),
    ...['-serial', `file:${folder}/console`, '-qmp', `unix:${folder}/qmp,server=on,wait=off`],
    ...['-rtc', `base=${options.clock ?? 'utc'}`],
    ...['-drive', `if=none,id=state,driver=nbd,server.type=unix,server.path=${options.disk}`],
    ...(options.gateway === undefined ? ownKernel(options) : firmware(options.gateway.updates, folder)),
    ...['-netdev', 'user,id=uplink,ipv6=off', '-device', 'virtio-net-pci,netdev=uplink,romfile='],
    ...['-device', 'virtio-rng-pci', '-device', 'virtio-serial-pci'],
    ...['-chardev', `socket,id=executor,path=${folder}/executor,server=on,wait=off`],
    ...['-device', 'virtserialport,chardev=executor,name=executor'],
    ...['-chardev', `socket,id=tpm,path=${folder}/tpm`, '-tpmdev', 'emulator,id=tpm,chardev=tpm'],
    ...['-device', `${arm ? 'tpm-tis-device' : 'tpm-tis'},tpmdev=tpm`],
  ];
}

function ownKernel(options: GuestOptions): string[] {
  const append = [
    `root=/dev/nvme0n1 ${options.readOnlyRoot ? 'ro' : 'rw'} console=${arm ? 'ttyAMA0' : 'ttyS0'}`,
    // no_timer_check: on a busy machine an emulated timer answers too late, and the kernel would give up.
    'quiet panic=-1 systemd.show_status=0 audit=0 nokaslr mitigations=off tsc=reliable no_timer_check',
    // A file system that is never written to needs no check.
    options.readOnlyRoot ? 'systemd.mask=systemd-fsck-root.service' : '',
    options.append ?? '',
  ];
  return [
    ...['-kernel', kernel, '-append', append.join(' ')],
    ...['-drive', `if=none,id=root,format=raw,file=${rootDisk},snapshot=on,cache=unsafe`],
    ...['-device', 'nvme,drive=root,serial=root'],
    ...['-device', 'virtio-blk-pci,drive=state,logical_block_size=4096,physical_block_size=4096'],
  ];
}

/** UEFI, whose variables are those of a new machine at each boot: the gateway keeps nothing in them. */
function firmware(updates: string, folder: string): string[] {
  const [code, blank] = arm
    ? ['/usr/share/AAVMF/AAVMF_CODE.fd', '/usr/share/AAVMF/AAVMF_VARS.fd']
    : ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'];
  const variables = join(folder, 'variables');
  copyFileSync(blank, variables);
  return [
    ...['-drive', `if=pflash,format=raw,readonly=on,file=${code}`],
    ...['-drive', `if=pflash,format=raw,file=${variables}`],
    ...['-device', 'nvme,drive=state,serial=disk,bootindex=0'],
    ...['-drive', `if=none,id=updates,format=raw,readonly=on,file=${updates}`],
    ...['-device', 'virtio-blk-pci,drive=updates'],
    ...['-device', 'i6300esb'],
  ];
}

/** The other end of guest/executor.sh. */
async function openExecutor(
  path: string,
  machine: ChildProcess,
  folder: string,
): Promise<{ ready: Promise<void>; run: Guest['run'] }> {
  const socket: Socket = connect(path);
  await once(socket, 'connect');
  const waiting = new Map<string, (outcome: Outcome | Error) => void>();
  let ended: Error | undefined;
  const end = (error: Error): void => {
    ended ??= error;
    for (const settle of waiting.values()) settle(ended);
    waiting.clear();
  };
  socket.on('error', () => {});
  machine.once('exit', (code, signal) =>
    end(
      new Error(`the guest has ended, ${signal ?? `exit code ${code}`}: ${lastWords(folder)}${log(folder)}`),
    ),
  );
  createInterface({ input: socket }).on('line', (line) => {
    const [id, code, output] = line.split(' ');
    const settle = waiting.get(id!);
    waiting.delete(id!);
    settle?.({ code: Number(code ?? 0), stdout: Buffer.from(output ?? '', 'base64').toString(), stderr: '' });
  });
  const expect = (id: string, seconds: number, what: string): Promise<Outcome> =>
    new Promise((resolve, reject) => {
      if (ended !== undefined) return reject(ended);
      const patience = setTimeout(
        () => settle(new Error(`waited ${seconds} s for ${what}${log(folder)}`)),
        seconds * 1000,
      );
      const settle = (outcome: Outcome | Error): void => {
        clearTimeout(patience);
        waiting.delete(id);
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      };
      waiting.set(id, settle);
    });
  let last = 0;
  return {
    ready: expect('READY', BOOT_S, 'the guest to boot').then(() => {}),
    run(script, seconds = COMMAND_S) {
      const id = String(++last);
      socket.write(`${id} ${seconds} ${Buffer.from(script).toString('base64')}\n`);
      return expect(id, seconds + COMMAND_S, `the guest to run: ${script}`);
    },
  };
}

function inside(namespace: string, command: readonly string[], logFile?: string): ChildProcess {
  // It ends with this process, however that ends.
  const args = ['--pdeathsig', 'KILL', 'ip', 'netns', 'exec', namespace, ...command];
  const output = logFile === undefined ? 'ignore' : openSync(logFile, 'a');
  return spawn('setpriv', args, { stdio: ['ignore', output, output] });
}

/** The last line that the guest's console or QEMU wrote: a test's report begins with it. */
function lastWords(folder: string): string {
  const lines = log(folder)
    .split(/[\r\n]+/)
    .filter((line) => line.trim() !== '');
  return lines.at(-1)?.trim() ?? 'without a word';
}

function log(folder: string): string {
  const texts = ['qemu.log', 'console'].map((name) => join(folder, name)).filter(existsSync);
  return texts.map((path) => `\n${readFileSync(path, 'utf8').slice(-1500)}`).join('');
}
