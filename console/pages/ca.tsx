import { useState } from 'preact/hooks';
import { run } from '../api/operations.ts';
import { hrefOf } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { may } from '../app/session.ts';
import { count } from '../app/words.ts';
import { ImportSheet } from '../cas/ca-import.tsx';
import { Fetched, Lists } from '../cas/ca-lists.tsx';
import { CrlSheet, connectedOf, FetchSheet, RemoveSheet, RevokeSheet } from '../cas/ca-sheets.tsx';
import { Copyable } from '../parts/copy.tsx';
import { Facts, Page, Section } from '../parts/page.tsx';
import { ProblemBox, ProblemPage } from '../parts/problem.tsx';
import { Rows } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';

type Asked = 'import' | 'crl' | 'fetch' | 'revoke' | 'remove';

/** One CA: whom it admits, and what is revoked. */
export function CaPage({ id }: { readonly id: number }) {
  const { data, problem, again } = useQuery(`ca ${id}`, ['audit', 'device'], () => run('pki-list', {}));
  const [asked, ask] = useState<Asked>();
  const [done, setDone] = useState<string>();
  if (data === undefined)
    return problem === undefined ? null : <ProblemPage title="CA" problem={problem} again={again} />;
  const ca = data.rows.find((row) => row.id === id);
  if (ca === undefined)
    return (
      <Page title="No such CA">
        <p class="empty">
          It was removed, or is none of yours. <a href={hrefOf(['cas'])}>All CAs</a>
        </p>
      </Page>
    );
  const sheet = {
    ca,
    close: () => ask(undefined),
    done: (text: string) => {
      setDone(text);
      again();
    },
  };
  return (
    <Page
      title={ca.name}
      sub={<a href={hrefOf(['cas'])}>CAs</a>}
      actions={
        may('pki.write') && (
          <>
            <button type="button" onClick={() => ask('import')}>
              List devices
            </button>
            <button type="button" class="danger" onClick={() => ask('remove')}>
              Remove
            </button>
          </>
        )
      }
    >
      {problem !== undefined && <ProblemBox problem={problem} again={again} />}
      {done !== undefined && (
        <p class="note" role="status">
          {done}
        </p>
      )}
      <p class="big" role="status">
        {count(ca.devices, 'device')} came, {connectedOf(ca).toLocaleString('en')} with a tunnel
      </p>
      <Facts
        rows={[
          ['Subject', ca.subject],
          ['SHA-256', <Copyable key="f" text={ca.fingerprint} />],
          ['Ends', <When key="e" at={ca.notAfter} />],
          ['Admits', ca.admits === 'listed' ? 'devices that are listed' : 'whoever it gave an address'],
          ['Listed', count(ca.listed, 'device')],
          ['Added', <When key="c" at={ca.created} />],
        ]}
      />
      {ca.admits === 'listed' && ca.listed === 0 && (
        <p class="note note-warn">Nobody comes in before devices are listed.</p>
      )}
      <Section title="Networks">
        <Rows
          caption="The networks for whose addresses it may vouch"
          rows={ca.groups}
          keyOf={({ gid }) => gid}
          columns={[
            { name: 'Network', kind: 'main', cell: ({ network }) => <code>{network}</code> },
            {
              name: 'Devices',
              cell: ({ gid, devices }) => (
                <a href={hrefOf(['devices'], { gid })}>{count(devices, 'device')}</a>
              ),
            },
            { name: 'With a tunnel', cell: ({ connected }) => connected.toLocaleString('en') },
            {
              name: 'Limits',
              cell: ({ gid }) => <a href={hrefOf(['batches', gid])}>How many, and from where</a>,
            },
          ]}
        />
      </Section>
      <Section
        title="Revoked certificates"
        actions={
          may('pki.revoke') && (
            <>
              <button type="button" onClick={() => ask('crl')}>
                Give a list
              </button>
              {may('pki.write') && (
                <button type="button" onClick={() => ask('fetch')}>
                  {ca.crl === null ? 'Have it fetched' : 'Fetch from elsewhere'}
                </button>
              )}
              <button type="button" class="danger" onClick={() => ask('revoke')}>
                Revoke one
              </button>
            </>
          )
        }
      >
        <p>{ca.revoked === 0 ? 'None is revoked.' : `${count(ca.revoked, 'certificate')} revoked.`}</p>
        <Lists lists={ca.lists} />
        <Fetched crl={ca.crl} />
      </Section>
      {asked === 'import' && <ImportSheet {...sheet} />}
      {asked === 'crl' && <CrlSheet {...sheet} />}
      {asked === 'fetch' && <FetchSheet {...sheet} />}
      {asked === 'revoke' && <RevokeSheet {...sheet} />}
      {asked === 'remove' && <RemoveSheet {...sheet} />}
    </Page>
  );
}
