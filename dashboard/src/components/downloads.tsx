import { downloadOf } from '../api/paths.ts';
import { Icon } from './icons.tsx';
import { Popover } from './popover.tsx';

const FORMATS = [
  ['csv', 'CSV'],
  ['ndjson', 'NDJSON'],
] as const;

/** Downloads of a query's complete result. @param path Path of the query, as in `pathOf`. */
export function Downloads({ path }: { path: string }) {
  return (
    <Popover
      class="quiet"
      label={
        <>
          <Icon name="download" /> Download
        </>
      }
    >
      {(close) => (
        <ul class="menu">
          {FORMATS.map(([format, label]) => (
            <li key={format}>
              <a class="menu-item" href={downloadOf(path, format)} download onClick={() => close()}>
                {label}
              </a>
            </li>
          ))}
        </ul>
      )}
    </Popover>
  );
}
