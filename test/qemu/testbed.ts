import { join } from 'node:path';
import { admit, openBatch, personalised } from '../e2e/batch.ts';
import { eventually } from '../e2e/process.ts';
import { type Device, type Handshake, ping, type World } from '../e2e/world.ts';
import { fileSystem, VolatileDisk } from './disk.ts';
import { boot, type Guest, type GuestOptions } from './guest.ts';
import { type NbdServer, serveNbd } from './nbd.ts';
import { step } from './settings.ts';

/** A fabric, and one device whose TPM is personalised and admitted, with a disk for its state. */
export interface Testbed {
  readonly world: World;
  /** The same device as a program on this machine; its TPM is off while the guest has it. */
  readonly device: Device;
  readonly disk: VolatileDisk;
  /** Boots the device as a guest. */
  boot(options?: Partial<GuestOptions>): Promise<Guest>;
  /** The power has gone off at the disk: so it does for the rest, and comes back for the disk. */
  afterCut(guest: Guest): Promise<void>;
  accepted(): Promise<Handshake[]>;
  rows(): Promise<{ readonly address: string }[]>;
  close(): Promise<void>;
}

/** What the device is: our kernel and root with a disk for the state, or a gateway with all on its disk. */
export interface Machine {
  readonly disk?: Buffer;
  readonly options?: Partial<GuestOptions>;
}

/** `name` as for `createNetwork`. */
export async function openTestbed(name: string, machine: Machine = {}): Promise<Testbed> {
  step('a fabric, and a device personalised at the factory');
  const { world, group, label } = await openBatch(name);
  let guest: Guest | undefined;
  let server: NbdServer | undefined;
  try {
    await admit(world, label);
    const device = await personalised(world, group, 1);
    await device.tpm.stop();
    const tpmFile = join(device.tpm.state, 'tpm2-00.permall');
    // The head first: read last, it could be ahead of the rows.
    const registry = ['-head', '', '-wal'].map((end) => join(world.fabric.data, `registry.db${end}`));
    const content = machine.disk ?? fileSystem(join(world.folder, 'blank.ext4'));
    const disk = new VolatileDisk(content, [tpmFile, ...registry]);
    const socket = join(world.folder, 'disk.nbd');
    server = await serveNbd(socket, disk);
    const where = { namespace: device.namespace, folder: world.folder, tpm: device.tpm.state, disk: socket };
    return {
      world,
      device,
      disk,
      async boot(options = {}) {
        guest = await boot({ ...where, ...machine.options, ...options });
        return guest;
      },
      async afterCut(cut) {
        server?.drop();
        await cut.kill();
        disk.powerUp();
      },
      accepted: async () => (await world.fabric.handshakes()).filter(({ result }) => result === 'ok'),
      rows: () => world.fabric.json('device', 'list'),
      async close() {
        await guest?.kill();
        await server?.close();
        await world.close();
      },
    };
  } catch (error) {
    await server?.close();
    await world.close();
    throw error;
  }
}

/** Waits in the guest until a shell condition holds. @throws Error with the agent's log if it does not */
export async function until(guest: Guest, condition: string, seconds = 300): Promise<void> {
  const loop = `for _ in $(seq ${seconds}); do if ${condition}; then exit 0; fi; sleep 1; done; exit 1`;
  const { code } = await guest.run(loop, seconds);
  if (code === 0) return;
  const { stdout } = await guest.run(
    'systemctl --failed --no-legend; systemctl status --no-pager enf-agent; journalctl -b -o short-monotonic -u enf-agent | tail -30',
  );
  throw new Error(`waited ${seconds} s in the guest for: ${condition}\n${stdout}`);
}

export const ONLINE = 'systemctl is-active --quiet enf-online.target';
export const says = (text: string): string => `systemctl show -P StatusText enf-agent | grep -qF '${text}'`;

/** Waits for the tunnel and returns the address. */
export async function online(guest: Guest): Promise<string> {
  await until(guest, `${ONLINE} && ${says('online as ')}`);
  return guest.must(`systemctl show -P StatusText enf-agent | sed 's/^online as //'`);
}

/** systemd has not restarted the agent since somebody started it. @throws Error if it has, and not because this machine stood still */
export async function neverRestarted(guest: Guest): Promise<void> {
  const restarts = Number(await guest.must('systemctl show -P NRestarts enf-agent'));
  if (restarts > guest.stalls()) throw new Error(`the agent was restarted ${restarts} times`);
}

/** The fabric's host reaches the device through the tunnel. */
export const reached = (testbed: Testbed, address: string): Promise<number> =>
  eventually('an answer through the tunnel', () => ping(testbed.world.network.fabric, address), 120_000);
