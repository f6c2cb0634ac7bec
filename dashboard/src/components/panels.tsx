import type { Expired } from '../api/types.ts';
import { usePage } from '../state/context.ts';
import { Boundary } from './boundary.tsx';
import { Panel } from './panel.tsx';
import { allTabs, panelsOf } from './panel-list.ts';

/** All panels. Those without stored summaries are listed at the end, with the hooks that they need. */
export function Panels({ known }: { known: readonly Expired[] | undefined }) {
  const { site } = usePage();
  const panels = panelsOf(site.summaries);
  const missing = panels.filter(({ tabs }) => tabs.length === 0);
  return (
    <>
      <div class="panels">
        {panels
          .filter(({ tabs }) => tabs.length > 0)
          .map((info) => (
            <Boundary key={info.name}>
              <Panel info={info} known={known} />
            </Boundary>
          ))}
      </div>
      {missing.length > 0 && (
        <ul class="missing">
          {missing.map(({ name, title }) => (
            <li key={name}>
              <strong>{title}</strong>: not stored. To store them, add{' '}
              <code>
                hooks: [
                {allTabs(name)
                  .map(({ hook }) => hook)
                  .join(', ')}
                ]
              </code>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
