import type { Command, Invocation } from '../../cli/program.ts';
import { table } from '../../cli/table.ts';
import { Failure } from '../../protocol/failure.ts';
import { acknowledgeAlarm, listAlarms } from '../operations/alarms.ts';
import {
  addHook,
  listDeliveries,
  listHooks,
  removeHook,
  retryDelivery,
  testHook,
} from '../operations/hooks.ts';
import { OWNED, withFabric } from './common/context.ts';
import { AFTER, ALL, CSV, LIMIT, printList, when } from './common/list.ts';

const alarmList: Command = {
  name: 'alarm list',
  summary: 'Lists what an owner should look at, and what to do about it.',
  options: [{ name: 'ended', help: 'those that are over' }, LIMIT, AFTER, ALL, CSV, ...OWNED],
  examples: ['enf-fabric alarm list', 'enf-fabric alarm list --ended --json'],
  async run(invocation) {
    const ended = invocation.flag('ended');
    await withFabric(invocation, (fabric) =>
      printList(
        invocation,
        fabric,
        listAlarms,
        {
          header: ['ID', 'ALARM', 'SINCE', ended ? 'ENDED' : 'LAST FOUND', 'ACKNOWLEDGED BY', 'WHAT TO DO'],
          cells: (alarm) => [
            String(alarm.id),
            alarm.what,
            when(alarm.opened),
            when(alarm.ended ?? alarm.seen),
            alarm.acknowledged?.by ?? '-',
            alarm.action,
          ],
          things: ['alarm', 'alarms'],
          none: ended ? 'No alarm has ended yet.' : 'No alarm is open.',
          owner: ({ owner }) => owner,
        },
        { state: ended ? 'ended' : 'open' } satisfies { state: 'open' | 'ended' },
      ),
    );
    return undefined;
  },
};

const alarmAcknowledge: Command = {
  name: 'alarm acknowledge',
  summary: 'Says that somebody looks after an alarm. It ends by itself when it is over.',
  arguments: '<id>',
  options: [...OWNED],
  examples: ['enf-fabric alarm acknowledge 7'],
  async run(invocation) {
    const id = idOf(invocation);
    const view = await withFabric(invocation, (fabric) => fabric.run(acknowledgeAlarm, { id }));
    invocation.print(view, () => `Alarm ${id} ${view.changed ? 'is' : 'was already'} acknowledged.`);
    return undefined;
  },
};

const hookAdd: Command = {
  name: 'hook add',
  summary: 'Adds a place that hears of alarms: an https: address or mailto:. Its key is shown once.',
  arguments: '<url>',
  options: [{ name: 'name', value: 'TEXT', help: 'what people call it', required: true }, ...OWNED],
  examples: [
    'enf-fabric hook add https://hooks.example.org/enf --name on-call',
    'enf-fabric hook add mailto:ops@example.org --name ops',
  ],
  async run(invocation) {
    const input = { url: invocation.positionals[0]!, name: invocation.required('name') };
    const view = await withFabric(invocation, (fabric) => fabric.run(addHook, input));
    invocation.print(
      view,
      () =>
        `${view.secret}\n\nHook ${view.id} to ${view.to}. The key of its signatures is above; nobody can read it again.\n` +
        `Try it: enf-fabric hook test ${view.id}`,
    );
    return undefined;
  },
};

const hookList: Command = {
  name: 'hook list',
  summary: 'Lists the places that hear of alarms.',
  options: [...OWNED],
  examples: ['enf-fabric hook list'],
  async run(invocation) {
    await withFabric(invocation, async (fabric) => {
      const { rows } = await fabric.run(listHooks, {});
      invocation.print(rows, () =>
        table(
          ['ID', 'NAME', 'TO', 'ADDED', 'BY'],
          rows.map((hook) => [String(hook.id), hook.name, hook.to, when(hook.created), hook.createdBy]),
          'No hooks yet; add one with "enf-fabric hook add".',
        ),
      );
    });
    return undefined;
  },
};

function hookCommand(
  verb: string,
  summary: string,
  operation: typeof removeHook,
  done: (id: number) => string,
): Command {
  return {
    name: `hook ${verb}`,
    summary,
    arguments: '<id>',
    options: [...OWNED],
    examples: [`enf-fabric hook ${verb} 2`],
    async run(invocation) {
      const id = idOf(invocation);
      const view = await withFabric(invocation, (fabric) => fabric.run(operation, { id }));
      invocation.print(view, () => done(id));
      return undefined;
    },
  };
}

const hookDeliveries: Command = {
  name: 'hook deliveries',
  summary: 'Lists what was sent to a hook, or waits, newest first.',
  arguments: '<id>',
  options: [LIMIT, AFTER, ALL, CSV, ...OWNED],
  examples: ['enf-fabric hook deliveries 2'],
  async run(invocation) {
    const id = idOf(invocation);
    await withFabric(invocation, (fabric) =>
      printList(
        invocation,
        fabric,
        listDeliveries,
        {
          header: ['ID', 'EVENT', 'CREATED', 'STATUS', 'ATTEMPTS', 'NEXT OR LAST', 'ERROR'],
          cells: (each) => [
            String(each.id),
            each.event,
            when(each.created),
            each.status,
            String(each.attempts),
            when(each.at),
            each.error ?? '-',
          ],
          things: ['delivery', 'deliveries'],
          none: 'Nothing yet.',
        },
        { id },
      ),
    );
    return undefined;
  },
};

/** @throws Failure `cli.bad-option` */
function idOf(invocation: Invocation): number {
  const text = invocation.positionals[0]!;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new Failure(
    'cli.bad-option',
    'operator',
    `expected a number, got ${JSON.stringify(text.slice(0, 40))}`,
    {
      action: 'Give the number that the list shows.',
    },
  );
}

export const alarmCommands: readonly Command[] = [
  alarmList,
  alarmAcknowledge,
  hookAdd,
  hookList,
  hookCommand(
    'test',
    'Sends an event to try a hook.',
    testHook,
    (id) => `Sent; see "enf-fabric hook deliveries ${id}".`,
  ),
  hookCommand('remove', 'Removes a hook, which hears of that.', removeHook, (id) => `Hook ${id} is removed.`),
  hookDeliveries,
  hookCommand(
    'retry',
    'Sends a delivery once more, by its number.',
    retryDelivery,
    (id) => `Delivery ${id} is sent again.`,
  ),
];
