import { hrefOfExport, type ListName } from '../api/operations.ts';

/** Links to a list as a file, as it is narrowed now: the browser saves it while it comes. */
export function Export({ list, filter = {} }: { readonly list: ListName; readonly filter?: object }) {
  return (
    <span class="export">
      Export{' '}
      <a href={hrefOfExport(list, 'csv', filter)} download>
        CSV
      </a>{' '}
      <a href={hrefOfExport(list, 'ndjson', filter)} download>
        NDJSON
      </a>
    </span>
  );
}
