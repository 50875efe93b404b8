import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../e2e/process.ts';
import { settings } from './settings.ts';

/** How a board boots: from the network, as its boot server would have it, or from a stick. */
export type BootFrom =
  | { readonly kernel: string; readonly initrd: string; readonly append: string }
  | { readonly stick: string };

export interface BoardOptions {
  readonly namespace: string;
  readonly folder: string;
  /** Folder with the memory of its TPM. */
  readonly tpm: string;
  readonly serial: string;
  readonly from: BootFrom;
}

/** A board with a TPM and no disk, in QEMU. */
export interface Board {
  /** What its serial console has shown so far, without colours. */
  console(): string;
  /** Waits until it has shown a text. @throws Error with its last words if it ends before, or does not in time */
  shows(text: string): Promise<void>;
  /** Resolves when it has switched itself off. */
  ended(): Promise<void>;
  kill(): Promise<void>;
}

/** Seconds; emulated processors are slow, and slower on a busy machine: they only end what hangs. */
const PATIENCE_S = 1_500;

const arm = settings.arch === 'arm64';
const COLOURS = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g');

export async function bootBoard({ namespace, folder, tpm, serial, from }: BoardOptions): Promise<Board> {
  const own = mkdtempSync(join(folder, 'board-'));
  const chip = inside(namespace, [
    ...['swtpm', 'socket', '--tpm2', '--tpmstate', `dir=${tpm}`, '--terminate'],
    ...['--ctrl', `type=unixio,path=${own}/tpm`],
  ]);
  await eventually('the TPM', async () => (existsSync(`${own}/tpm`) ? true : undefined));
  const machine = inside(
    namespace,
    [
      arm ? 'qemu-system-aarch64' : 'qemu-system-x86_64',
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
      ...['-accel', 'tcg,thread=multi,tb-size=512', '-smp', '2', '-m', '2048'],
      ...(arm ? ['-M', 'virt,gic-version=3', '-cpu', 'cortex-a57'] : ['-M', 'q35', '-cpu', 'max']),
      ...['-smbios', `type=1,serial=${serial}`, '-serial', `file:${own}/console`],
      ...bootOptions(from, own),
      ...['-netdev', 'user,id=uplink,ipv6=off', '-device', 'virtio-net-pci,netdev=uplink,romfile='],
      ...['-device', 'virtio-rng-pci'],
      ...['-chardev', `socket,id=tpm,path=${own}/tpm`, '-tpmdev', 'emulator,id=tpm,chardev=tpm'],
      ...['-device', `${arm ? 'tpm-tis-device' : 'tpm-tis'},tpmdev=tpm`],
    ],
    join(own, 'qemu.log'),
  );
  const gone = once(machine, 'exit');
  const read = (name: string): string => {
    const path = join(own, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };
  const shown = (): string => read('console').replace(COLOURS, '').replaceAll('\r', '');
  const lastWords = (): string => `\n${read('qemu.log').slice(-1_500)}\n${shown().slice(-3_000)}`;
  const isOver = (): boolean => machine.exitCode !== null || machine.signalCode !== null;
  const kill = async (): Promise<void> => {
    machine.kill('SIGKILL');
    await gone;
    if (chip.exitCode === null && chip.signalCode === null) {
      chip.kill('SIGKILL');
      await once(chip, 'exit');
    }
  };
  return {
    console: shown,
    async shows(text) {
      for (let second = 0; !shown().includes(text); second++) {
        if (isOver()) throw new Error(`the board has ended without saying ${text}${lastWords()}`);
        if (second > PATIENCE_S) throw new Error(`waited ${second} s for ${text}${lastWords()}`);
        await new Promise((resolve) => setTimeout(resolve, 1_000));
      }
    },
    async ended() {
      const patience = setTimeout(() => machine.kill('SIGKILL'), PATIENCE_S * 1_000);
      await gone;
      clearTimeout(patience);
      if (machine.signalCode !== null) throw new Error(`the board did not switch itself off${lastWords()}`);
      await kill();
    },
    kill,
  };
}

function bootOptions(from: BootFrom, folder: string): string[] {
  if ('kernel' in from) return ['-kernel', from.kernel, '-initrd', from.initrd, '-append', from.append];
  const [code, blank] = arm
    ? ['/usr/share/AAVMF/AAVMF_CODE.fd', '/usr/share/AAVMF/AAVMF_VARS.fd']
    : ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'];
  const variables = join(folder, 'variables');
  copyFileSync(blank, variables);
  return [
    ...['-drive', `if=pflash,format=raw,readonly=on,file=${code}`],
    ...['-drive', `if=pflash,format=raw,file=${variables}`],
    ...['-drive', `if=none,id=stick,format=raw,file=${from.stick},readonly=on`],
    ...['-device', 'qemu-xhci', '-device', 'usb-storage,drive=stick,removable=on,bootindex=0'],
  ];
}

function inside(namespace: string, command: readonly string[], logFile?: string): ChildProcess {
  // It ends with this process, however that ends.
  const args = ['--pdeathsig', 'KILL', 'ip', 'netns', 'exec', namespace, ...command];
  const output = logFile === undefined ? 'ignore' : openSync(logFile, 'a');
  return spawn('setpriv', args, { stdio: ['ignore', output, output] });
}
