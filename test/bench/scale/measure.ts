import { statSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { pathOf } from '../../../fabric/pki/files.ts';
import { run } from './command.ts';
import type { Generated } from './generate.ts';
import type { Row } from './report.ts';
import { serve } from './serving.ts';

/** How long an idle fabric is watched: the stalls that the machine has by itself. */
const IDLE_MS = 3_000;

/** What a registry in a file takes. */
export const onDisk = ({ data }: Generated, devices: number): Row[] => [
  {
    what: 'the registry on the disk, a device',
    unit: 'B',
    value: statSync(pathOf(data, 'registry')).size / devices,
  },
];

/** No fabric serves: commands open the registry themselves. */
export async function measureAlone({ data }: Generated, devices: number): Promise<Row[]> {
  const first = await run('device', 'list', '--data', data);
  const all = await run('device', 'list', '--all', '--json', '--data', data);
  if (all.rows !== devices) throw new Error(`${all.rows} of ${devices} devices were listed`);
  const audit = await run('audit', '--data', data);
  return [
    { what: 'device list, first page', unit: 's', value: first.seconds, must: { atMost: 0.3 } },
    { what: '  its memory', unit: 'MB', value: first.peakMb, must: { atMost: 120 } },
    {
      what: 'device list --all --json',
      unit: 'rows/s',
      value: all.rows / all.seconds,
      must: { atLeast: 50_000 },
    },
    { what: '  its memory', unit: 'MB', value: all.peakMb, must: { atMost: 200 } },
    { what: 'audit, entries', unit: '/s', value: devices / audit.seconds },
  ];
}

/** A fabric serves meanwhile: how long it takes, and how long its event loop stands still. */
export async function measureServing({ data, gid }: Generated): Promise<Row[]> {
  const fabric = await serve(data, true);
  const at = ['--data', data];
  const stall = (ms: number): Row => ({
    what: '  longest stall of the fabric',
    unit: 'ms',
    value: ms,
    must: { atMost: 10 },
  });
  try {
    const idle = await fabric.during(() => setTimeout(IDLE_MS));
    const residentMb = fabric.residentMb();
    const first = await fabric.during(() => run('device', 'list', ...at));
    const all = await fabric.during(() => run('device', 'list', '--all', '--json', ...at));
    const suspend = await fabric.during(() => run('group', 'suspend', gid, ...at));
    const resume = await fabric.during(() => run('group', 'resume', gid, ...at));
    const groups = await fabric.during(() => run('group', 'list', ...at));
    const audit = await fabric.during(() => run('audit', ...at));
    return [
      { what: 'serve, until it is ready', unit: 's', value: fabric.seconds, must: { atMost: 2 } },
      { what: 'idle, its memory', unit: 'MB', value: residentMb },
      { what: 'idle, longest stall of the fabric', unit: 'ms', value: idle.stallMs },
      { what: 'device list, beside it', unit: 's', value: first.result.seconds, must: { atMost: 0.3 } },
      stall(first.stallMs),
      {
        what: 'device list --all --json, beside it',
        unit: 'rows/s',
        value: all.result.rows / all.result.seconds,
        must: { atLeast: 50_000 },
      },
      stall(all.stallMs),
      { what: 'group suspend', unit: 's', value: suspend.result.seconds, must: { atMost: 0.5 } },
      stall(suspend.stallMs),
      { what: 'group resume', unit: 's', value: resume.result.seconds, must: { atMost: 0.5 } },
      stall(resume.stallMs),
      { what: 'group list', unit: 's', value: groups.result.seconds, must: { atMost: 0.5 } },
      stall(groups.stallMs),
      { what: 'audit, beside it', unit: 's', value: audit.result.seconds },
      stall(audit.stallMs),
    ];
  } finally {
    await fabric.stop();
  }
}
