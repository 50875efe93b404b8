import { useState } from 'preact/hooks';
import type { DeviceDetails } from '../../fabric/operations/views/devices.ts';
import { run } from '../api/operations.ts';
import { hrefOf } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { may } from '../app/session.ts';
import { count, rateWords, shortGid, whereWords } from '../app/words.ts';
import { Presence, Standing } from '../parts/badge.tsx';
import { Copyable } from '../parts/copy.tsx';
import { GroupLink, NodeLink } from '../parts/link.tsx';
import { Facts, Page, Section } from '../parts/page.tsx';
import { ProblemBox, ProblemPage } from '../parts/problem.tsx';
import { When } from '../parts/when.tsx';
import { type DeviceAction, DeviceSheet } from './device-sheets.tsx';
import { Timeline } from './timeline.tsx';

/** One device: whether it is there and how that is known, what it may, and its handshakes. */
export function DevicePage({ address }: { readonly address: string }) {
  const { data, problem, again } = useQuery(`device ${address}`, ['device', 'group', 'handshake'], () =>
    run('device-show', { address }),
  );
  const [asked, ask] = useState<DeviceAction>();
  const [done, setDone] = useState<string>();
  if (data === undefined)
    return problem === undefined ? null : <ProblemPage title={address} problem={problem} again={again} />;
  return (
    <Page
      title={data.name ?? data.address}
      sub={
        <>
          <a href={hrefOf(['devices'])}>Devices</a> · <GroupLink gid={data.gid} name={data.group} />
        </>
      }
      actions={<Actions device={data} ask={ask} />}
    >
      {problem !== undefined && <ProblemBox problem={problem} again={again} />}
      {done !== undefined && (
        <p class="note" role="status">
          {done}
        </p>
      )}
      {data.twins !== null && <Twins twins={data.twins} />}
      <Facts
        rows={[
          ['Address', <Copyable key="a" text={data.address} />],
          ['Tunnel', <Presence key="p" device={data} long />],
          ...(data.node === null ? [] : [['Node', <NodeLink key="o" name={data.node} />] as const]),
          [
            'Standing',
            <>
              <Standing key="s" standing={data.standing} />
              {data.movedTo !== undefined && (
                <>
                  {' '}
                  its former chip has <a href={hrefOf(['devices', data.movedTo])}>{data.movedTo}</a> now
                </>
              )}
            </>,
          ],
          ['Agent', <Agent key="g" agent={data.agent} />],
          [
            'Place',
            <>
              {whereWords(data)} <span class="quiet">(where its address is registered)</span>
            </>,
          ],
          ...(data.serial === null ? [] : [['Serial number', data.serial] as const]),
          ...(data.box === null ? [] : [['Box', data.box.toLocaleString('en')] as const]),
          ...(data.resident === false
            ? [['Member key', 'not in its chip: sealed by it, or in files'] as const]
            : []),
          ['Note', data.note ?? <span class="quiet">none</span>],
          ['Network', data.network],
          ['Prefix behind it', <Prefix key="d" device={data} ask={ask} />],
          ...limitRows(data.limits),
          ['Batch id', <code key="i">{shortGid(data.gid)}</code>],
          ['Admitted', <When key="w" at={data.created} />],
          [
            'Long-term key',
            <Copyable key="k" text={data.longtermKey} shown={`${data.longtermKey.slice(0, 20)}…`} />,
          ],
        ]}
      />
      <Timeline device={data} />
      <Section title="What nobody here knows">
        <p class="quiet">
          Which chip this is. Its group signatures prove that it belongs to the batch and that it is the same
          chip each time, and nothing else: there is no serial number to show.
        </p>
      </Section>
      {asked !== undefined && (
        <DeviceSheet
          action={asked}
          device={data}
          close={() => ask(undefined)}
          done={(text) => {
            setDone(text);
            again();
          }}
        />
      )}
    </Page>
  );
}

/** Nothing, if it has no limit and none has dropped anything. */
function limitRows({ in: gets, out: sends, dropped }: DeviceDetails['limits']) {
  const isLimited = [gets.packets, gets.bytes, sends.packets, sends.bytes].some((value) => value !== null);
  if (!isLimited && !dropped) return [];
  const lost = dropped ? `; ${count(dropped, 'packet')} dropped since its tunnel began` : '';
  return [['Rate limits', `gets ${rateWords(gets)}, sends ${rateWords(sends)}${lost}`] as const];
}

function Actions({
  device,
  ask,
}: {
  readonly device: DeviceDetails;
  readonly ask: (what: DeviceAction) => void;
}) {
  const { standing } = device;
  const banned = standing === 'banned';
  if (standing === 'retired') return null;
  return (
    <>
      {may('devices.name') && (
        <button type="button" onClick={() => ask('name')}>
          Name
        </button>
      )}
      {may('devices.replace') && (
        <>
          <button type="button" onClick={() => ask('replace')}>
            Replace
          </button>
          <button type="button" onClick={() => ask('retire')}>
            Retire
          </button>
        </>
      )}
      {may('devices.standing') && (
        <>
          {!banned && standing !== 'evicted' && (
            <button type="button" onClick={() => ask('evict')}>
              Evict
            </button>
          )}
          <button
            type="button"
            class={banned ? 'primary' : 'danger'}
            onClick={() => ask(banned ? 'unban' : 'ban')}
          >
            {banned ? 'Unban' : 'Ban'}
          </button>
        </>
      )}
    </>
  );
}

function Prefix({
  device: { delegated, standing },
  ask,
}: {
  readonly device: DeviceDetails;
  readonly ask: (what: DeviceAction) => void;
}) {
  return (
    <>
      {delegated === null ? <span class="quiet">none</span> : <Copyable text={delegated} />}
      {may('networks.write') && standing !== 'retired' && (
        <>
          {' '}
          <button
            type="button"
            class="link"
            onClick={() => ask(delegated === null ? 'delegate' : 'withdraw')}
          >
            {delegated === null ? 'Delegate' : 'Withdraw'}
          </button>
        </>
      )}
    </>
  );
}

function Agent({ agent }: { readonly agent: DeviceDetails['agent'] }) {
  if (agent === null) return <span class="quiet">this kind of client tells nothing of itself</span>;
  const { version, reported, lastFailure } = agent;
  return (
    <>
      version {version}, said <When at={reported} />
      {lastFailure !== null && (
        <>
          ; last failure <code>{lastFailure.code}</code> <When at={lastFailure.at} />
        </>
      )}
    </>
  );
}

function Twins({ twins }: { readonly twins: NonNullable<DeviceDetails['twins']> }) {
  return (
    <div class="problem" role="alert">
      <p class="problem-title">Two devices have this one’s key.</p>
      <p>
        They took turns <When at={twins.at} />, from {twins.from.join(' and ')}. Evict it: only the one that
        has the credential comes back.
      </p>
    </div>
  );
}
