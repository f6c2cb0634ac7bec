import { usePage } from '../state/context.ts';
import { Boundary } from './boundary.tsx';
import { Panel } from './panel.tsx';
import { allTabs, panelsOf } from './panel-list.ts';

/** All panels. Summaries that are not kept are listed in one line at the end. */
export function Panels() {
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
              <Panel info={info} />
            </Boundary>
          ))}
      </div>
      {missing.length > 0 && (
        <ul class="missing">
          {missing.map(({ name, title }) => (
            <li key={name}>
              <strong>{title}</strong> are not kept. To keep them:{' '}
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
