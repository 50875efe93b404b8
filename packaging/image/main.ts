import { layoutOf, sfdiskScript, shellVariables } from './layout.ts';

/** Called by image.sh: `image.mjs sfdisk|shell amd64|arm64 SLOT-MIB DATA-MIB` prints the layout of the disk. */
const [form, arch, slot, data] = process.argv.slice(2);
if ((form !== 'sfdisk' && form !== 'shell') || (arch !== 'amd64' && arch !== 'arm64'))
  throw new Error('sfdisk|shell amd64|arm64 SLOT-MIB DATA-MIB');
const layout = layoutOf(arch, { slot: Number(slot), data: Number(data) });
process.stdout.write(form === 'sfdisk' ? sfdiskScript(layout) : shellVariables(layout));
